"""The merged encoder: one pretrained transformer, averaged, with one head for the detector and the eight labels.

Trained by `encoder_training`, stored as a tokenizer, int8 or float weights in safetensors, and JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
import transformers
from scipy.special import expit
from torch import nn

from drugscan import storage
from drugscan.models.device import device_for, dtype_for, run
from drugscan.models.errors import ModelError
from drugscan.models.features import FOLDING_VERSION, folded_text
from drugscan.schema import DETECTOR_LABEL, LABELS

OUTPUTS: Final = (DETECTOR_LABEL, *LABELS)
_Floats = npt.NDArray[np.float32]


class MergedConfig(msgspec.Struct, frozen=True):
    """`config.json` of a merged encoder."""

    family: str
    encoder: dict[str, object]
    """The configuration of transformers' BertModel."""
    folding_version: int
    max_tokens: int
    """Longer texts are cut, and their scores say so."""
    gate: float
    thresholds: dict[str, float]
    training: dict[str, object] = {}


class MergedEncoder(nn.Module):
    """A pretrained encoder without pooler, its token states averaged, one linear layer for all nine outputs."""

    def __init__(self, config: Mapping[str, object]) -> None:
        super().__init__()
        bert = transformers.BertConfig.from_dict(dict(config))
        self.encoder = transformers.BertModel(bert, add_pooling_layer=False)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(bert.hidden_size, len(OUTPUTS))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits, shape [texts, 9]; no mask means that all texts have one length."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if attention_mask is None:
            return self.head(self.dropout(states.mean(dim=1)))  # type: ignore[no-any-return]
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return self.head(self.dropout((states * weights).sum(dim=1) / weights.sum(dim=1)))  # type: ignore[no-any-return]


class Encoder:
    """A merged encoder of our own; see `models.Model`."""

    labels: tuple[str, ...] = OUTPUTS

    def __init__(
        self, config: MergedConfig, arrays: Mapping[str, _Floats], tokenizer: bytes, device: str = "auto"
    ) -> None:
        from tokenizers import Tokenizer

        self.config = config
        self._device = device_for(device)
        dtype = dtype_for(self._device)
        module = MergedEncoder(config.encoder)
        state = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
        module.load_state_dict(state)
        self._module = module.to(self._device, dtype).eval()
        self._tokenizer = Tokenizer.from_str(tokenizer.decode())
        self._pad = int(module.encoder.config.pad_token_id or 0)
        scoring = msgspec.json.encode([config.encoder, config.folding_version, config.max_tokens, config.gate])
        content = [np.ascontiguousarray(arrays[name]).tobytes().hex() for name in sorted(arrays)]
        digest = storage.digest(scoring.decode(), str(dtype), tokenizer.decode(), *content)
        self.model_id = f"merged-{digest[:12]}"

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least probability at which a label holds."""
        return self.config.thresholds

    def score(self, texts: Sequence[str]) -> _Floats:
        """Probabilities, shape [texts, 9] (`labels`); NaN for the labels of a text below the gate."""
        ids = [each[: self.config.max_tokens] for each in self._ids(texts)]
        if not ids:
            return np.empty((0, len(OUTPUTS)), np.float32)
        logits = run(self._module, ids, self._pad, self._device)
        scores: _Floats = expit(logits)
        scores[scores[:, 0] < self.config.gate, 1:] = np.nan
        return scores

    def lengths(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Tokens of each text, and whether it was cut."""
        tokens = np.array([len(each) for each in self._ids(texts)], np.int32)
        return tokens, tokens > self.config.max_tokens

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch([folded_text(text) for text in texts])]


def quantised(arrays: Mapping[str, _Floats]) -> dict[str, npt.NDArray[np.generic]]:
    """Matrices as int8 with a scale per row (name + `.scale`), everything else as float16: a quarter of the size."""
    small: dict[str, npt.NDArray[np.generic]] = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[0] > len(OUTPUTS):
            scale = np.maximum(np.abs(array).max(axis=1, keepdims=True) / 127, 1e-8).astype(np.float16)
            small[name] = np.clip(np.rint(array / scale.astype(np.float32)), -127, 127).astype(np.int8)
            small[f"{name}.scale"] = scale
        else:
            small[name] = array.astype(np.float16)
    return small


def restored(arrays: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, _Floats]:
    """What `quantised` made, as float32 again."""
    full = {}
    for name, array in arrays.items():
        if not name.endswith(".scale"):
            scale = arrays.get(f"{name}.scale")
            full[name] = array.astype(np.float32) * (1 if scale is None else scale.astype(np.float32))
    return full


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
    except (msgspec.MsgspecError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: not a merged encoder ({error})") from error
    if decoded.folding_version != FOLDING_VERSION:
        raise ModelError(f"{folder} was trained for another version of drugscan; train it again")
    return model
