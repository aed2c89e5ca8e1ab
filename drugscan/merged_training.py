"""From files of labelled texts to a merged encoder that can be used: folds, calibration, thresholds, final training.

Every fold is kept in the folder of the model while it is made, and every training has a checkpoint: a killed run goes
on where it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drugscan import estimates, models, sharing, storage
from drugscan.encoder_training import EncoderOptions, Lessons, train_encoder
from drugscan.evaluation import Sample, read_sample
from drugscan.models import Model, encoder
from drugscan.models.choice import Choice
from drugscan.models.device import Device
from drugscan.models.encoder import OUTPUTS, MergedConfig
from drugscan.models.features import FOLDING_VERSION, folded_text
from drugscan.models.tokens import TokenIds
from drugscan.pretrained import Network

WORK: Final = "training"
"""Folder of folds and checkpoints inside that of the model; removed when all is done."""
_Floats = npt.NDArray[np.float32]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to train, from what, and how it is judged."""

    paths: Sequence[str]
    """JSONL files of labelled texts."""
    out: str
    """Local folder of the new model."""
    options: EncoderOptions
    folds: int = 0
    """Groups of files that are left out in turn, for the honest estimate, calibration and thresholds; 0 = none."""
    teachers: Sequence[str] = ()
    """Models to learn from beside the labels, in the final training; see `encoder_training.Lessons`."""
    unlabelled: Sequence[str] = ()
    """Texts for the teachers."""
    small: bool = False
    """Store matrices as integers instead of float16."""
    bits: int = 8
    """Of such an integer, 2 to 8; 5 cost no accuracy where it was measured (docs/models.md)."""


def train_merged(plan: Plan, say: Say) -> tuple[str, dict[str, Any]]:
    """Train a merged encoder and write it to `plan.out`; its model_id and its estimates. `say` hears of progress."""
    sample = read_sample(plan.paths)
    work = Path(plan.out, WORK)
    work.mkdir(parents=True, exist_ok=True)
    teachers = [models.ready(name) for name in plan.teachers]
    lessons = _lessons(sample.labelled, work / "final.pt", say, "final training")
    network = train_encoder(replace(lessons, teachers=teachers, unlabelled=plan.unlabelled), plan.options)
    thresholds, calibration, found = dict.fromkeys(OUTPUTS, 0.5), {}, {}
    if plan.folds:
        logits = out_of_fold(sample, plan, say).astype(np.float64)
        estimates.keep(plan.out, logits, sample.labelled)
        slopes, shifts = estimates.platt(logits, sample.right)
        calibration = {n: (float(a), float(b)) for n, a, b in zip(OUTPUTS, slopes, shifts, strict=True)}
        scores = estimates.probabilities(logits, slopes, shifts)
        thresholds = estimates.thresholds(scores, sample.right)
        names = [path.rsplit("/", 1)[-1] for path in sample.files]
        found = {_folds(sample, plan)[0]: estimates.by_file(scores, sample.right, thresholds, names)}
    config = MergedConfig(
        family="merged",
        encoder=_plain(network),
        folding_version=FOLDING_VERSION,
        max_tokens=plan.options.max_tokens,
        thresholds=thresholds,
        calibration=calibration,
        training=_record(plan, sample, teachers) | {"estimates": found},
    )
    stored = encoder.quantised(network.arrays(), plan.bits) if plan.small else _halved(network.arrays())
    encoder.save(plan.out, stored, network.tokenizer.to_str().encode(), config)
    for file in sorted(work.iterdir()):
        file.unlink()
    work.rmdir()
    return models.load(plan.out).model_id, found


def train_pair(plan: Plan, say: Say) -> list[str]:
    """Train a detector and a categoriser apart, as Hugging Face folders; their paths, for --detector, --categoriser.

    `folds`, `small` and `bits` of the plan are for a merged encoder and not looked at.
    """
    sample, folders = read_sample(plan.paths), []
    teachers = [models.ready(name) for name in plan.teachers]
    for name, outputs in (("detector", (0,)), ("categoriser", tuple(range(1, len(OUTPUTS))))):
        folder = Path(plan.out, name)
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = folder / "checkpoint.pt"
        lessons = replace(
            _lessons(sample.labelled, checkpoint, say, name), teachers=teachers, unlabelled=plan.unlabelled
        )
        network = train_encoder(lessons, replace(plan.options, outputs=outputs))
        sharing.write_folder(str(folder), network, [OUTPUTS[column] for column in outputs], plan.options.max_tokens)
        checkpoint.unlink()
        folders.append(str(folder))
    return folders


def _lessons(labelled: Sequence[Any], checkpoint: Path, say: Say, name: str) -> Lessons:
    def told(epoch: int, loss: float, seconds: float) -> None:
        say(f"{name}: epoch {epoch}, loss {loss:.3f}, {seconds:.0f} s")

    return Lessons(labelled, checkpoint=checkpoint, on_epoch=told)


def _folds(sample: Sample, plan: Plan) -> tuple[str, npt.NDArray[np.int64]]:
    """Name of the estimate, and the fold of each text: whole files, or groups if files leave nothing to learn from."""
    _, files = np.unique(np.array(sample.files), return_inverse=True)
    folds = estimates.file_folds(files, plan.folds)
    if len(np.unique(folds)) > 1 and estimates.both_classes(folds, sample.groups, sample.right).all():
        return f"leave_files_out_{plan.folds}", folds
    count = max(2, plan.folds)
    return f"grouped_{count}_fold", estimates.grouped_folds(sample.groups, plan.options.seed, count)


def out_of_fold(sample: Sample, plan: Plan, say: Say) -> _Floats:
    """Logits [texts, 9] of every text by an encoder that saw neither its fold nor a near-copy; float32."""
    (_, folds), subject = _folds(sample, plan), _subject(sample, plan)
    logits = np.zeros(sample.right.shape, np.float32)
    for fold in np.unique(folds):
        inside, kept = folds == fold, Path(plan.out, WORK, f"fold-{fold}-{subject}.npy")
        if not kept.exists():
            chosen = estimates.kept_out(sample.groups, inside)
            labelled = [each for each, use in zip(sample.labelled, chosen, strict=True) if use]
            lessons = _lessons(labelled, kept.with_suffix(".pt"), say, f"fold {fold + 1} of {plan.folds}")
            network = train_encoder(lessons, plan.options)
            texts = [each.text for each, use in zip(sample.labelled, inside, strict=True) if use]
            np.save(kept, logits_of(network, texts, plan.options))
            kept.with_suffix(".pt").unlink()
        logits[inside] = np.load(kept)
    return logits


def _subject(sample: Sample, plan: Plan) -> str:
    """Digest of all that the folds depend on, so that those of other texts or options are made anew."""
    texts = [repr(each) for each in sample.labelled]
    return storage.digest(repr(plan.options), str(plan.folds), *texts, *sample.files)[:12]


def logits_of(network: Network, texts: Sequence[str], options: EncoderOptions) -> _Floats:
    """What a network says of texts, shape [texts, outputs]; float32."""
    device = Device(Choice(device=options.device), options.max_tokens)
    module = device.placed(network.module)
    ids = network.tokenizer.encode_batch([folded_text(text) for text in texts])
    tokens = TokenIds.of(each.ids[: options.max_tokens] for each in ids)
    logits, _ = device.run(lambda **batch: module(**batch).logits, tokens, network.pad)
    return logits


def _plain(network: Network) -> dict[str, object]:
    """The configuration of the network, as far as it is not transformers' default."""
    return dict(network.module.config.to_diff_dict())


def _halved(arrays: dict[str, _Floats]) -> dict[str, npt.NDArray[np.generic]]:
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def _record(plan: Plan, sample: Sample, teachers: Sequence[Model]) -> dict[str, Any]:
    names, counts = np.unique([path.rsplit("/", 1)[-1] for path in sample.files], return_counts=True)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "files": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "texts": len(sample.labelled),
        "ads": int(sample.right[:, 0].sum()),
        "options": {**asdict(plan.options), "base": storage.join(plan.options.base).rsplit("/", 1)[-1]},
        "teachers": [each.model_id for each in teachers],
        "unlabelled": len(plan.unlabelled),
    }
