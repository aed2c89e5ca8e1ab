"""Any Hugging Face sequence classifier: a detector with a categoriser, or a merged one that gives all nine labels.

Weights are read from safetensors only, and code that comes with a model is never run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import transformers
from safetensors import SafetensorError

from drugscan import storage
from drugscan.models import hub, outputs
from drugscan.models.choice import Choice
from drugscan.models.device import Device
from drugscan.models.errors import ModelError
from drugscan.models.features import FOLDING_VERSION, MAX_CHARACTERS, folded_text
from drugscan.models.outputs import OURS
from drugscan.models.tokens import Scores, TokenIds, Tokenised
from drugscan.schema import DETECTOR_LABEL, LABELS

GATE: Final = 0.02
"""Of a pair: below this probability of `drugsad` the categoriser is not asked; that of the linear pair."""
THRESHOLD: Final = 0.5
LONGEST: Final = 512
"""Tokens of a text that are read where neither the tokenizer nor the model sets a limit."""
_AUTO: Final[Any] = transformers.AutoModelForSequenceClassification
_SAFE: Final = {"trust_remote_code": False}
_Floats = npt.NDArray[np.float32]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Classifier:
    """One transformer with its tokenizer; the weights are loaded when the first text is scored."""

    def __init__(self, name: str, wanted: Sequence[str], named: outputs.Named) -> None:
        """`wanted`: our labels that its outputs must hold. Raises `ModelError`."""
        self.name, self.folder = name, hub.local_folder(name)
        with _told(name):
            config = transformers.AutoConfig.from_pretrained(self.folder, **_SAFE)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder, **_SAFE)
            with torch.device("meta"):
                empty = _AUTO.from_config(config, **_SAFE)
        self.config: Mapping[str, Any] = config.to_dict()
        self.max_tokens = _max_tokens(self._tokenizer, config, empty)
        self._pad = config.pad_token_id
        self._check(config)
        self.outputs = outputs.read(name, self.config, wanted, named)
        self.folds = _folds(name, self.config)
        self.device = Device(Choice(), self.max_tokens)

    def _check(self, config: Any) -> None:  # noqa: ANN401
        heads = config.architectures or []
        if heads and not any("SequenceClassification" in head for head in heads):
            raise ModelError(f"{self.name} is a {heads[0]}, not a classifier of texts; train its head first")
        if self._pad is None:
            raise ModelError(f"{self.name} names no pad_token_id in its config.json; set it to its tokenizer's")
        if any(self._tokenizer("a").get("token_type_ids", [])):
            raise ModelError(f"{self.name} is a {config.model_type}, whose token types are not supported")

    @cached_property
    def _module(self) -> torch.nn.Module:
        with _told(self.name):
            module, report = _AUTO.from_pretrained(
                self.folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **_SAFE
            )
        if report["missing_keys"]:
            raise ModelError(f"{self.name} lacks weights: {', '.join(sorted(report['missing_keys'])[:3])}")
        return self.device.placed(module)

    def start(self) -> None:
        """Load the weights; raises `ModelError`."""
        _ = self._module

    def tokenise(self, texts: Sequence[str]) -> tuple[TokenIds, npt.NDArray[np.bool_]]:
        """Token ids with the special ones, and which texts were cut to `max_tokens`."""
        ids = [each or [self._pad] for each in self._encoded(texts)]
        truncated = np.array([len(each) > self.max_tokens for each in ids], bool)
        long = np.flatnonzero(truncated)
        shorter = self._encoded([texts[int(index)] for index in long], truncation=True, max_length=self.max_tokens)
        for index, each in zip(long, shorter, strict=True):
            ids[index] = each
        return TokenIds.of(ids), truncated

    def _encoded(self, texts: Sequence[str], **how: Any) -> list[list[int]]:  # noqa: ANN401
        if not texts:
            return []
        if self.folds:
            texts = [folded_text(text) for text in texts]
        plain = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        found: list[list[int]] = self._tokenizer(list(texts), **plain, **how)["input_ids"]
        return found

    def probabilities(self, ids: TokenIds) -> tuple[_Floats, int]:
        """Of the wanted labels, shape [texts, wanted], and the tokens of padding it took."""
        if not len(ids):
            return np.empty((0, len(self.outputs.labels)), np.float32), 0
        logits, padding = self.device.run(lambda **batch: self._module(**batch).logits, ids, self._pad)
        return self.outputs.probabilities(logits), padding

    def reads_like(self, other: "Classifier") -> bool:
        """Whether a text has the same token ids for both."""
        return self.max_tokens == other.max_tokens and self._reading() == other._reading()

    def _reading(self) -> str:
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            return self.folder
        backend.no_truncation()
        backend.no_padding()
        return f"{self.folds}{backend.to_str()}"


class HuggingFace:
    """A pair, or a merged classifier; see `models.Model` and `models.Tokenising`."""

    labels: tuple[str, ...] = OURS

    def __init__(self, first: Classifier, categoriser: Classifier | None) -> None:
        """`first`: the detector of a pair, or a merged classifier that stands alone."""
        self._first, self._categoriser = first, categoriser
        self._shared = categoriser is None or first.reads_like(categoriser)
        self.gate = 0.0 if categoriser is None else GATE
        both = [first] if categoriser is None else [first, categoriser]
        parts = [(hub.digest(each.folder), msgspec.json.encode(each.outputs).decode()) for each in both]
        digest = storage.digest(str(self.gate), *(part for pair in parts for part in pair))
        self._content = f"{'pair' if categoriser else 'classifier'}-{digest[:12]}"
        self._both = both
        self.max_characters: int | None = MAX_CHARACTERS if any(each.folds for each in both) else None
        self.thresholds: Mapping[str, float] = _thresholds(both)
        """Those that drugscan wrote into a config.json (`sharing`), else `THRESHOLD`."""

    @property
    def model_id(self) -> str:
        """Digest of everything that changes a score."""
        return self._first.device.model_id(self._content)

    @property
    def dtype(self) -> str:
        """Precision of the forward passes."""
        return self._first.device.dtype_name

    def place(self, choice: Choice) -> None:
        """See `models.Tokenising`."""
        for each in self._both:
            each.device = Device(choice, each.max_tokens)

    def start(self, threads: int | None = None) -> None:
        """See `models.Tokenising`."""
        if threads:
            torch.set_num_threads(threads)
        for each in self._both:
            each.start()

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """See `models.Tokenising`."""
        ids, truncated = self._first.tokenise(texts)
        if self._categoriser is None or self._shared:
            return Tokenised(ids, truncated)
        others, shorter = self._categoriser.tokenise(texts)
        return Tokenised(ids, truncated | shorter, others)

    def forward(self, tokenised: Tokenised) -> Scores:
        """See `models.Tokenising`; the categoriser is asked only from the gate on."""
        ids = tokenised.ids
        found, padding = self._first.probabilities(ids)
        if self._categoriser is None:
            return Scores(found, len(ids.flat), padding)
        asked = np.flatnonzero(found[:, 0] >= self.gate)
        chosen = (tokenised.others or ids).take(asked)
        values = np.full((len(ids), len(OURS)), np.nan, np.float32)
        values[:, 0] = found[:, 0]
        values[asked, 1:], more = self._categoriser.probabilities(chosen)
        return Scores(values, len(ids.flat) + len(chosen.flat), padding + more)

    def score(self, texts: Sequence[str]) -> _Floats:
        """Probabilities, shape [texts, 9] (`labels`); NaN for the labels of a text below the gate of a pair."""
        return self.forward(self.tokenise(texts)).values


def load(folder: str, config: bytes, named: outputs.Named = ()) -> HuggingFace:  # noqa: ARG001
    """The merged classifier in a folder; `config` is read by transformers. Raises `ModelError`."""
    model = Classifier(folder, OURS, named)
    outputs.check_named(named, outputs.their_names(model.config))
    return HuggingFace(model, None)


def load_pair(detector: str, categoriser: str, named: outputs.Named = ()) -> HuggingFace:
    """A pair from two folders or Hub names; raises `ModelError`."""
    first, second = Classifier(detector, [DETECTOR_LABEL], named), Classifier(categoriser, LABELS, named)
    outputs.check_named(named, [*outputs.their_names(first.config), *outputs.their_names(second.config)])
    return HuggingFace(first, second)


def _folds(name: str, config: Mapping[str, Any]) -> bool:
    """Whether drugscan trained it, so that it wants texts as `folded_text` gives them."""
    version = (config.get("drugscan") or {}).get("folding_version")
    if version not in (None, FOLDING_VERSION):
        raise ModelError(f"{name} was trained by another version of drugscan; use that one, or train it again")
    return version is not None


def _thresholds(classifiers: Sequence[Classifier]) -> dict[str, float]:
    chosen = dict.fromkeys(OURS, THRESHOLD)
    for each in classifiers:
        found = each.config.get("drugscan") or {}
        try:
            limits = msgspec.convert(found.get("thresholds", {}), dict[str, _Share])
        except (msgspec.ValidationError, AttributeError) as error:
            raise ModelError(f"{each.name}: the thresholds under `drugscan` in its config.json: {error}") from error
        chosen |= {label: limits[label] for label in each.outputs.labels if label in limits}
    return chosen


def _max_tokens(tokenizer: Any, config: Any, empty: torch.nn.Module) -> int:  # noqa: ANN401
    """The most tokens of a text: the least of what the tokenizer and the position embeddings allow."""
    limits = [int(tokenizer.model_max_length)]
    limits.append(int(getattr(config, "max_position_embeddings", None) or limits[0]))
    for path, part in empty.named_modules():
        if path.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            # RoBERTa and its kin count positions from behind the padding index
            limits.append(part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1))
    shortest = min(limits)
    return shortest if shortest < 1_000_000 else LONGEST


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What transformers raises becomes a `ModelError` that names the model; its progress bars stay away."""
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        words = " ".join(str(error).split())
        raise ModelError(
            f"{name} cannot be loaded as a classifier of texts: {words[:300]} (code that comes with a model is "
            "never run; only what transformers itself knows)"
        ) from error
