"""The merged encoder: one transformer with an output for the detector and for each of the eight labels.

Trained by `encoder_training`, stored as a tokenizer, weights (floats or integers of few bits) in safetensors, and JSON.
It is a BERT classifier of transformers, so that it can be given to others as a plain Hugging Face folder (`sharing`).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Final, cast

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
import transformers
from scipy.special import expit
from tokenizers import Tokenizer

from drugscan import storage
from drugscan.models.choice import Choice
from drugscan.models.device import Device
from drugscan.models.errors import ModelError
from drugscan.models.features import FOLDING_VERSION, MAX_CHARACTERS, folded_text
from drugscan.models.tokens import Scores, TokenIds, Tokenised
from drugscan.schema import DETECTOR_LABEL, LABELS

OUTPUTS: Final = (DETECTOR_LABEL, *LABELS)
BLOCK: Final = 64
"""Weights of a row that share a scale."""
_Floats = npt.NDArray[np.float32]


class MergedConfig(msgspec.Struct, frozen=True):
    """`config.json` of a merged encoder."""

    family: str
    encoder: dict[str, object]
    """The configuration of transformers' BertForSequenceClassification."""
    folding_version: int
    max_tokens: int
    """Longer texts are cut, and their scores say so."""
    thresholds: dict[str, float]
    calibration: dict[str, tuple[float, float]] = {}
    """Output -> slope and shift of its logit (Platt 1999), fitted out of fold; none: as it is."""
    training: dict[str, object] = {}
    """Data, date, settings and honest estimates; nothing here changes a score."""


def module_of(config: Mapping[str, object]) -> transformers.BertForSequenceClassification:
    """The network, its weights not set: a BERT-like encoder with one output per label of `OUTPUTS`."""
    return transformers.BertForSequenceClassification(transformers.BertConfig.from_dict(dict(config)))


class Encoder:
    """A merged encoder of our own; see `models.Model` and `models.Tokenising`."""

    labels: tuple[str, ...] = OUTPUTS
    max_characters: int | None = MAX_CHARACTERS

    gate: float = 0.0
    """One pass gives all nine outputs, so none is left out."""

    def __init__(self, config: MergedConfig, arrays: Mapping[str, _Floats], tokenizer: bytes) -> None:
        """`arrays`: weights as float32 by their names in the network. `tokenizer`: JSON of `tokenizers`."""
        self.config = config
        self.device = Device(Choice(), config.max_tokens)
        self.arrays = arrays
        self.tokenizer = Tokenizer.from_str(tokenizer.decode())
        scoring = msgspec.json.encode([config.encoder, config.folding_version, config.max_tokens, config.calibration])
        content = [blake2b(arrays[name].tobytes()).hexdigest() for name in sorted(arrays)]
        self.content_id = f"merged-{storage.digest(scoring.decode(), tokenizer.decode(), *content)[:12]}"

    @property
    def model_id(self) -> str:
        """Digest of everything that changes a score."""
        return self.device.model_id(self.content_id)

    @property
    def dtype(self) -> str:
        """Precision of the forward passes."""
        return self.device.dtype_name

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least probability at which a label holds."""
        return self.config.thresholds

    @cached_property
    def _module(self) -> torch.nn.Module:
        module = module_of(self.config.encoder)
        module.load_state_dict({name: torch.from_numpy(np.array(a, np.float32)) for name, a in self.arrays.items()})
        return self.device.placed(module)

    def place(self, choice: Choice) -> None:
        """See `models.Tokenising`."""
        self.device = Device(choice, self.config.max_tokens)

    def start(self, threads: int | None = None) -> None:
        """See `models.Tokenising`."""
        if threads:
            torch.set_num_threads(threads)
        _ = self._module

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """See `models.Tokenising`."""
        longest = self.config.max_tokens
        ids = [each.ids for each in self.tokenizer.encode_batch([folded_text(text) for text in texts])]
        truncated = np.array([len(each) > longest for each in ids], bool)
        return Tokenised(TokenIds.of(each[:longest] for each in ids), truncated)

    def forward(self, tokenised: Tokenised) -> Scores:
        """See `models.Tokenising`; one pass for all nine."""
        logits, padding = self.logits(tokenised.ids)
        return Scores(expit(logits), len(tokenised.ids.flat), padding)

    def logits(self, ids: TokenIds) -> tuple[_Floats, int]:
        """Calibrated log odds of texts, shape [texts, 9], and the tokens of padding it took."""
        if not len(ids):
            return np.empty((0, len(OUTPUTS)), np.float32), 0
        pad = int(cast(int, self.config.encoder.get("pad_token_id")) or 0)
        logits, padding = self.device.run(lambda **batch: self._module(**batch).logits, ids, pad)
        return calibrated(logits, self.config.calibration), padding

    def score(self, texts: Sequence[str]) -> _Floats:
        """Probabilities, shape [texts, 9] (`labels`)."""
        return self.forward(self.tokenise(texts)).values


def calibrated(logits: _Floats, calibration: Mapping[str, tuple[float, float]]) -> _Floats:
    """Logits with slope and shift of each output applied, shape [texts, 9]; float32."""
    slopes, shifts = zip(*(calibration.get(name, (1.0, 0.0)) for name in OUTPUTS), strict=True)
    return (logits * np.array(slopes, np.float32) + np.array(shifts, np.float32)).astype(np.float32)


def quantised(arrays: Mapping[str, _Floats], bits: int = 8) -> dict[str, npt.NDArray[np.generic]]:
    """Matrices as integers of 2 to 8 bits with a scale per block of a row, everything else as float16.

    A matrix becomes `NAME.levels`, uint8 [rows, columns * bits / 8], and `NAME.scale`, float16 [rows, blocks]. Blocks
    instead of whole rows are what makes 5 bits enough (Dettmers & Zettlemoyer 2023). Small matrices, and those whose
    rows are no whole number of blocks, stay floats.
    """
    small: dict[str, npt.NDArray[np.generic]] = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.size > 50_000 and array.shape[1] % BLOCK == 0:
            small[f"{name}.levels"], small[f"{name}.scale"] = _packed(array, bits)
        else:
            small[name] = array.astype(np.float16)
    return small


def restored(arrays: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, _Floats]:
    """What `quantised` made, as float32 again; raises `ValueError` when it is not whole."""
    full = {}
    for name, array in arrays.items():
        stem, _, kind = name.rpartition(".")
        if kind == "levels":
            full[stem] = _unpacked(array.astype(np.uint8), arrays[f"{stem}.scale"].astype(np.float32))
        elif kind == "scale" and f"{stem}.levels" not in arrays:
            raise ValueError(f"{stem} is stored as an earlier version did it; train again")
        elif kind != "scale":
            full[name] = array.astype(np.float32)
    return full


def _packed(array: _Floats, bits: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    """Levels, their bits one after the other, and the step between two levels of each block."""
    blocks, most = array.reshape(len(array), -1, BLOCK), 2 ** (bits - 1) - 1
    scale = np.maximum(np.abs(blocks).max(axis=2) / most, 1e-7).astype(np.float16)
    levels = np.clip(np.rint(blocks / scale[:, :, None].astype(np.float32)), -most, most) + most
    return _regrouped(levels, bits, 8).astype(np.uint8).reshape(len(array), -1), scale


def _unpacked(packed: npt.NDArray[np.uint8], scale: _Floats) -> _Floats:
    bits = packed.shape[1] * 8 // (scale.shape[1] * BLOCK)
    levels = _regrouped(packed, 8, bits).astype(np.float32).reshape(*scale.shape, BLOCK)
    weights: _Floats = (levels - (2 ** (bits - 1) - 1)) * scale[:, :, None]
    return weights.reshape(len(scale), -1)


def _regrouped(numbers: npt.NDArray[np.generic], bits: int, into: int) -> npt.NDArray[np.uint64]:
    """Numbers of `bits` bits as numbers of `into` bits, high bits first; one of the two is 8."""
    groups = numbers.astype(np.uint64).reshape(-1, into)
    words = (groups << np.arange(into, dtype=np.uint64)[::-1] * np.uint64(bits)).sum(axis=1, dtype=np.uint64)
    regrouped: npt.NDArray[np.uint64] = words[:, None] >> np.arange(bits, dtype=np.uint64)[::-1] * np.uint64(into)
    return regrouped & np.uint64(2**into - 1)


def save(folder: str, arrays: Mapping[str, npt.NDArray[np.generic]], tokenizer: bytes, config: MergedConfig) -> None:
    """Write tokenizer.json, model.safetensors and, last, config.json."""
    storage.write_bytes(storage.join(folder, "tokenizer.json"), tokenizer)
    storage.write_bytes(storage.join(folder, "model.safetensors"), safetensors.numpy.save(dict(arrays)))
    storage.write_bytes(storage.join(folder, "config.json"), msgspec.json.format(msgspec.json.encode(config), indent=1))


def load(folder: str, config: bytes) -> Encoder:
    """The merged encoder in a folder; raises `ModelError` when it is damaged or was trained for another folding."""
    try:
        decoded = msgspec.json.decode(config, type=MergedConfig)
        arrays = safetensors.numpy.load(storage.read_bytes(storage.join(folder, "model.safetensors")))
        model = Encoder(decoded, restored(arrays), storage.read_bytes(storage.join(folder, "tokenizer.json")))
    except (msgspec.MsgspecError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: not a merged encoder ({error})") from error
    if decoded.folding_version != FOLDING_VERSION:
        raise ModelError(f"{folder} was trained for another version of drugscan; train it again")
    return model
