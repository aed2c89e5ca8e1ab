"""Training a merged encoder: a pretrained encoder, averaged, with one head for the detector and the eight labels.

Fits a machine without a GPU: the vocabulary is cut to what such messages use, its embeddings stay as they are, the
last layers may be left out, and texts are cut at `max_tokens`.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import transformers
from tokenizers import Tokenizer
from torch.nn import functional

from drugscan import augmentation
from drugscan.batching import micro_batches
from drugscan.evaluation import Labelled, truth
from drugscan.models.device import device_for, padded
from drugscan.models.encoder import MergedEncoder
from drugscan.models.errors import ModelError
from drugscan.models.features import folded_text

HEAD_RATE: Final = 1e-3
DETECTOR_WEIGHT: Final = 4.0
"""The detector's loss counts as half of the eight labels' together: it is asked of every text."""
SMOOTHING: Final = 0.01
AS_WRITTEN: Final = 0.3
"""Share of the texts that an epoch sees unvaried."""
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderOptions:
    """How to train."""

    base: str
    """Folder or Hub name of the pretrained BERT-like encoder with a Unigram vocabulary."""
    epochs: int = 5
    layers: int | None = None
    """First layers of the encoder that are kept; all if None."""
    vocabulary: int | None = 32_000
    """Pieces that are kept; all if None."""
    max_tokens: int = 160
    batch_tokens: int = 600
    rate: float = 1e-4
    seed: int = 0
    device: str = "auto"


OnEpoch = Callable[[int, float, float], None]
"""Hears after each epoch: its number from 1, mean loss, seconds."""


def train_encoder(
    labelled: Sequence[Labelled], options: EncoderOptions, on_epoch: OnEpoch
) -> tuple[MergedEncoder, str]:
    """A trained encoder and its tokenizer (JSON); the same seed on the same machine gives the same encoder."""
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    device = device_for(options.device)
    module, tokenizer = _start(options, [each.text for each in labelled])
    module.to(device).train()
    batches = _Batches(labelled, tokenizer, options, random)
    optimiser, schedule = _optimiser(module, options, batches.per_epoch * options.epochs)
    pad = int(module.encoder.config.pad_token_id or 0)
    for epoch in range(1, options.epochs + 1):
        began, losses = time.perf_counter(), []
        for ids, right in batches.epoch():
            with torch.autocast("cuda", torch.bfloat16, enabled=device.startswith("cuda")):
                logits = module(**padded(ids, pad, device))
            loss = merged_loss(logits.float(), torch.from_numpy(right).to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            losses.append(float(loss.detach()))
        on_epoch(epoch, float(np.mean(losses)), time.perf_counter() - began)
    return module.eval(), tokenizer.to_str()


class _Batches:
    """The texts of each epoch, varied anew, cut into batches of like length in random order."""

    def __init__(
        self, labelled: Sequence[Labelled], tokenizer: Tokenizer, options: EncoderOptions, random: np.random.Generator
    ) -> None:
        self._labelled, self._tokenizer, self._options, self._random = labelled, tokenizer, options, random
        lengths = [len(each) for each in self._ids(labelled)]
        self.per_epoch = len(list(micro_batches(lengths, options.batch_tokens)))

    def _ids(self, shown: Sequence[Labelled]) -> list[list[int]]:
        found = self._tokenizer.encode_batch([folded_text(each.text) for each in shown])
        return [each.ids[: self._options.max_tokens] for each in found]

    def epoch(self) -> Iterator[tuple[list[list[int]], _Floats]]:
        random = self._random
        shown = [e if random.random() < AS_WRITTEN else augmentation.varied(e, random) for e in self._labelled]
        ids, right = self._ids(shown), truth(shown).astype(np.float32)
        batches = list(micro_batches([len(each) for each in ids], self._options.batch_tokens))
        for number in random.permutation(len(batches)):
            batch = batches[number]
            yield [ids[index] for index in batch], right[batch]


def merged_loss(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the detector over all texts plus that of the labels over the ads; both of shape [texts, 9]."""
    smooth = right * (1 - 2 * SMOOTHING) + SMOOTHING
    losses = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    ads = right[:, :1]
    labels = (losses[:, 1:] * ads).sum() / ads.sum().clamp(min=1)
    return DETECTOR_WEIGHT * losses[:, 0].mean() + labels


def _optimiser(
    module: MergedEncoder, options: EncoderOptions, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW with a short warm-up and a linear way down; the new head learns faster than the encoder."""
    body = [each for each in module.encoder.parameters() if each.requires_grad]
    groups = [{"params": body, "lr": options.rate}, {"params": list(module.head.parameters()), "lr": HEAD_RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    warm = max(1, steps // 12)

    def factor(step: int) -> float:
        return min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _start(options: EncoderOptions, texts: Sequence[str]) -> tuple[MergedEncoder, Tokenizer]:
    """The pretrained encoder with a new head, cut to the wanted layers and vocabulary, embeddings frozen."""
    pretrained = transformers.AutoModel.from_pretrained(options.base, use_safetensors=True, trust_remote_code=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.base).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    config, state = pretrained.config, pretrained.state_dict()
    if options.vocabulary:
        tokenizer, kept = cut_vocabulary(tokenizer, [folded_text(text) for text in texts], options.vocabulary)
        words = "embeddings.word_embeddings.weight"
        state[words] = state[words][torch.from_numpy(kept)]
        config.vocab_size = len(kept)
        config.pad_token_id = tokenizer.token_to_id("<pad>")
    config.num_hidden_layers = options.layers or config.num_hidden_layers
    module = MergedEncoder(config.to_diff_dict() | {"vocab_size": config.vocab_size})
    missing = module.encoder.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise ModelError(f"{options.base} is no BERT encoder: it lacks {', '.join(missing[:3])}")
    module.encoder.embeddings.word_embeddings.weight.requires_grad_(False)
    return module, tokenizer


def cut_vocabulary(tokenizer: Tokenizer, texts: Sequence[str], size: int) -> tuple[Tokenizer, npt.NDArray[np.int64]]:
    """A tokenizer of `size` pieces, and their numbers in the old one: those of the texts, then frequent Latin ones.

    A Unigram vocabulary is sorted by frequency, so what comes first is kept. Texts are folded to lower case: pieces
    with capitals are of no use.
    """
    spec = json.loads(tokenizer.to_str())
    if spec["model"]["type"] != "Unigram":
        raise ModelError("only a Unigram vocabulary can be cut; keep it whole with --vocabulary 0")
    pieces = spec["model"]["vocab"]
    chosen = {each["id"] for each in spec["added_tokens"] if each["id"] < len(pieces)}
    chosen |= {number for each in tokenizer.encode_batch(list(texts)) for number in each.ids}
    for number, (piece, _) in enumerate(pieces):
        if len(chosen) >= size:
            break
        if _latin(piece.lstrip("▁")):
            chosen.add(number)
    order = sorted(chosen)
    new = {old: number for number, old in enumerate(order)}
    spec["model"]["vocab"] = [pieces[number] for number in order]
    spec["model"]["unk_id"] = new[spec["model"]["unk_id"]]
    spec["added_tokens"] = [{**each, "id": new[each["id"]]} for each in spec["added_tokens"] if each["id"] in new]
    for special in spec["post_processor"]["special_tokens"].values():
        special["ids"] = [new[number] for number in special["ids"]]
    return Tokenizer.from_str(json.dumps(spec)), np.array(order)


def _latin(bare: str) -> bool:
    return bool(bare) and bare == bare.lower() and all(c.isascii() or "\u00c0" <= c < "\u0250" for c in bare)


def arrays_of(module: MergedEncoder) -> dict[str, _Floats]:
    """All parameters as float32."""
    return {name: value.detach().float().cpu().numpy() for name, value in module.state_dict().items()}
