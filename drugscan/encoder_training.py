"""Training a merged encoder: the first layers of a pretrained encoder, a layer that pools, one output per label.

Fits a machine without a GPU: the vocabulary is cut to what such messages use, layers may be left out, texts are cut at
`max_tokens`, and matrix products run in bf16. Texts are varied anew in every epoch (`augmentation`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.optim.swa_utils import AveragedModel

from drugscan import augmentation, near_copies, storage
from drugscan.batching import micro_batches
from drugscan.evaluation import Labelled, truth
from drugscan.measures import OUTPUTS
from drugscan.models import Model
from drugscan.models.device import check_device, device_for, padded
from drugscan.models.features import folded_text
from drugscan.optimisation import averaging, class_weights, merged_loss, optimiser
from drugscan.pretrained import Network, start

SMOOTHING: Final = 0.01
AS_WRITTEN: Final = 0.3
"""Share of the texts that an epoch sees unvaried."""
TEACHING: Final = 0.5
"""Weight of the teacher's probabilities in the targets of labelled texts; the labels have the rest."""
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderOptions:
    """How to train."""

    base: str
    """Folder or Hub name of the pretrained BERT-like encoder with a Unigram vocabulary."""
    epochs: int = 7
    layers: int = 0
    """First layers of the encoder that are kept; 0 = all. One more layer is added that pools."""
    vocabulary: int = 15_500
    """Pieces that are kept; 0 = all."""
    max_tokens: int = 160
    batch_tokens: int = 1_400
    rate: float = 3e-4
    seed: int = 0
    device: str = "auto"
    held_out: float = 0.0
    """Share of the texts on which training stops early: two epochs without a better loss; 0 = no early stop."""
    class_weights: bool = False
    """Rare labels count more: by the root of negatives to positives, at most 4."""
    outputs: tuple[int, ...] = tuple(range(9))
    """Columns of `evaluation.truth` that the network has: all nine (merged), 0 (detector), or 1 to 8 (categoriser)."""


OnEpoch = Callable[[int, float, float], None]
"""Hears after each epoch: its number from 1, mean loss, seconds."""


@dataclass(frozen=True)
class Lessons:
    """What to learn from, beside the labelled texts."""

    labelled: Sequence[Labelled]
    teachers: Sequence[Model] = ()
    """Models whose mean probabilities are learned together with the labels (distillation: Hinton et al. 2015)."""
    unlabelled: Sequence[str] = ()
    """Texts of which only the teachers' word is known; as many as a quarter of the labelled ones join each epoch."""
    checkpoint: Path | None = None
    """File in which a killed training is resumed after its last whole epoch."""
    on_epoch: OnEpoch = field(default=lambda epoch, loss, seconds: None)


def train_encoder(lessons: Lessons, options: EncoderOptions) -> Network:
    """A trained network; the same seed on the same machine gives the same weights."""
    check_device(device_for(options.device))
    torch.manual_seed(options.seed)
    kept, held = _held_out(lessons.labelled, options)
    network = start(options.base, [each.text for each in lessons.labelled], options)
    run = _Run(network, _Epochs(kept, lessons, options), options)
    subject = _subject(lessons, options) if lessons.checkpoint else ""
    if lessons.checkpoint and lessons.checkpoint.exists():
        run.resume(lessons.checkpoint, subject)
    while run.done < options.epochs and not run.stale:
        began = time.perf_counter()
        loss = run.epoch()
        if held:
            run.judge(held)
        if lessons.checkpoint:
            run.save(lessons.checkpoint, subject)
        lessons.on_epoch(run.done, loss, time.perf_counter() - began)
    network.module.load_state_dict(run.best if held else run.averaged)
    network.module.cpu().eval()  # type: ignore[no-untyped-call]
    return network


def _subject(lessons: Lessons, options: EncoderOptions) -> str:
    """Digest of everything that a training depends on, so that no checkpoint of another one is gone on with."""
    teachers = [teacher.model_id for teacher in lessons.teachers]
    texts = [repr(each) for each in lessons.labelled]
    return storage.digest(repr(asdict(options)), str(len(texts)), *texts, *teachers, *lessons.unlabelled)


def _held_out(labelled: Sequence[Labelled], options: EncoderOptions) -> tuple[list[Labelled], list[Labelled]]:
    """Texts to learn from and texts to stop on; near-copies lie on one side."""
    if not options.held_out:
        return list(labelled), []
    groups = near_copies.groups_of([each.text for each in labelled])
    numbers = np.unique(groups)
    chosen = np.random.default_rng(options.seed).random(len(numbers)) < options.held_out
    held = np.isin(groups, numbers[chosen])
    return [e for e, out in zip(labelled, held, strict=True) if not out], [
        e for e, out in zip(labelled, held, strict=True) if out
    ]


class _Epochs:
    """The texts and targets of each epoch, varied anew."""

    def __init__(self, labelled: Sequence[Labelled], lessons: Lessons, options: EncoderOptions) -> None:
        self._labelled = [each for each in labelled if each.drugsad or 0 in options.outputs]
        self._columns = list(options.outputs)
        self.random = np.random.default_rng(options.seed)
        self._targets = truth(self._labelled).astype(np.float32) * (1 - 2 * SMOOTHING) + SMOOTHING
        self._ads = truth(self._labelled)[:, 0].astype(np.float32)
        self._others = list(lessons.unlabelled) if lessons.teachers else []
        if lessons.teachers:
            # once, for a variation has the labels of its text: a teacher is slow
            taught = _taught(lessons.teachers, [each.text for each in self._labelled])
            self._targets = TEACHING * taught + (1 - TEACHING) * self._targets
            self._others_taught = _taught(lessons.teachers, self._others)

    def draw(self) -> tuple[list[str], _Floats, _Floats]:
        """Texts, targets [texts, outputs], and how much the labels of each text count [texts]."""
        random = self.random
        shown = [e if random.random() < AS_WRITTEN else augmentation.varied(e, random) for e in self._labelled]
        texts, targets, ads = [each.text for each in shown], self._targets, self._ads
        if self._others:
            chosen = random.choice(len(self._others), min(len(self._others), len(shown) // 4), replace=False)
            texts += [self._others[index] for index in chosen]
            targets = np.concatenate([targets, self._others_taught[chosen]])
            ads = np.append(ads, self._others_taught[chosen, 0])
        return texts, targets[:, self._columns], ads


def _taught(teachers: Sequence[Model], texts: Sequence[str]) -> _Floats:
    """Mean probabilities of the teachers, [texts, 9]; where a teacher did not look, a label is improbable."""
    said = []
    for teacher in teachers:
        columns = [teacher.labels.index(output) for output in OUTPUTS]  # an imported model has its own order
        said.append(np.nan_to_num(teacher.score(texts)[:, columns], nan=SMOOTHING))
    return np.mean(said, axis=0, dtype=np.float32)  # type: ignore[no-any-return]


class _Run:
    """A training under way: network, optimiser, what is done and what was best."""

    def __init__(self, network: Network, epochs: _Epochs, options: EncoderOptions) -> None:
        self._network, self._epochs, self._options = network, epochs, options
        self._device = device_for(options.device)
        self._module: Any = network.module.to(self._device)  # type: ignore[arg-type]
        texts, targets, _ = epochs.draw()
        self._weights = class_weights(targets) if options.class_weights else torch.ones(targets.shape[1])
        steps = len(list(micro_batches(self._lengths(texts), options.batch_tokens)))
        self._optimiser, self._schedule = optimiser(network.module, options.rate, steps * options.epochs)
        self._average = AveragedModel(self._module, avg_fn=averaging)
        self.done, self._least, self._since = 0, np.inf, 0
        self.best: dict[str, torch.Tensor] = {}

    @property
    def stale(self) -> bool:
        """Whether two epochs brought nothing."""
        return self._since >= 2

    @property
    def averaged(self) -> dict[str, torch.Tensor]:
        """Weights averaged over the steps, by their names in the network."""
        found: dict[str, torch.Tensor] = self._average.module.state_dict()
        return found

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._network.tokenizer.encode_batch([folded_text(text) for text in texts])
        return [each.ids[: self._options.max_tokens] for each in found]

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(each) for each in self._ids(texts)]

    def _batches(
        self, module: torch.nn.Module, texts: Sequence[str]
    ) -> Iterator[tuple[npt.NDArray[np.int64], torch.Tensor]]:
        """Indices and logits [batch, outputs] of each batch, in random order."""
        ids = self._ids(texts)
        batches = list(micro_batches([len(each) for each in ids], self._options.batch_tokens))
        for number in self._epochs.random.permutation(len(batches)):
            batch = batches[number]
            inputs = padded([ids[index] for index in batch], self._network.pad, self._device)
            with torch.autocast(self._device.split(":")[0], torch.bfloat16):
                logits = module(**inputs).logits
            yield batch, logits.float()

    def _loss(self, batch: npt.NDArray[np.int64], logits: torch.Tensor, drawn: tuple[_Floats, _Floats]) -> torch.Tensor:
        targets, ads = (torch.from_numpy(each[batch]).to(self._device) for each in drawn)
        return merged_loss(logits, targets, ads, self._weights.to(self._device), self._options.outputs)

    def epoch(self) -> float:
        """One pass over the texts; the mean loss."""
        self._module.train()
        texts, *drawn = self._epochs.draw()
        losses = []
        for batch, logits in self._batches(self._module, texts):
            loss = self._loss(batch, logits, (drawn[0], drawn[1]))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._module.parameters(), 1.0)
            self._optimiser.step()
            self._schedule.step()
            self._average.update_parameters(self._module)
            self._optimiser.zero_grad()
            losses.append(float(loss.detach()))
        self.done += 1
        return float(np.mean(losses))

    def judge(self, held: Sequence[Labelled]) -> None:
        """The loss on held-out texts; the best weights are kept."""
        module = self._average.module.eval()
        right = truth(held).astype(np.float32)
        drawn = (right[:, list(self._options.outputs)], right[:, 0])
        with torch.inference_mode():
            losses = [float(self._loss(*each, drawn)) for each in self._batches(module, [each.text for each in held])]
        loss = float(np.mean(losses))
        self._since = 0 if loss < self._least else self._since + 1
        if loss < self._least:
            self._least = loss
            self.best = {name: value.detach().cpu().clone() for name, value in self.averaged.items()}

    def save(self, path: Path, subject: str) -> None:
        """Everything that the next epoch depends on; whole or not at all."""
        state = {
            "subject": subject,
            "module": self._module.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": self._epochs.random.bit_generator.state,
            "torch": torch.get_rng_state(),
            "progress": (self.done, float(self._least), self._since),
            "best": self.best,
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path, subject: str) -> None:
        """Go on after the epoch of a checkpoint of the same training; one of another is not looked at."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        if state.get("subject") != subject:
            return
        self._module.load_state_dict(state["module"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self._epochs.random.bit_generator.state = state["random"]
        torch.set_rng_state(state["torch"])
        (self.done, self._least, self._since), self.best = state["progress"], state["best"]
