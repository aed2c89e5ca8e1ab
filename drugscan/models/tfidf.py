"""A model in scikit-learn's own terms: TF-IDF of word or character n-grams, a logistic regression for each output.

What `published` makes of a joblib file. Features and probabilities are those of scikit-learn to the last digits;
scikit-learn itself is not needed. The score of a text is the same to the bit whatever else stands in the batch.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors.numpy
from scipy import sparse
from scipy.special import expit

from drugscan import storage
from drugscan.models.errors import ModelError
from drugscan.models.vectoriser import Features, finder
from drugscan.schema import DETECTOR_LABEL, LABELS

BATCH_CHARACTERS: Final = 100_000
"""Text whose n-grams are counted at once: some 50 MB at the peak."""
_VERSION: Final = 1
"""Part of a model's id; raised whenever the same text gets another score."""
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN: Final = {"text_id", "tokens", "truncated"}
"""Columns of a score file that are no labels."""
_FILES: Final = ("vocabulary.json", "model.safetensors", "config.json")


class TfidfConfig(msgspec.Struct, frozen=True):
    """`config.json` of such a model."""

    family: str
    labels: tuple[str, ...]
    """Names of the outputs, in their order."""
    features: Features
    thresholds: dict[str, float]
    source: dict[str, str] = {}
    """The file it was imported from; nothing here changes a score."""


class Weights(msgspec.Struct, frozen=True, gc=False):
    """What was learnt: `idf` float [n-grams] or None, `weights` float [n-grams, labels], `bias` float64 [labels].

    A bias may be infinite: the output then always says the same.
    """

    idf: npt.NDArray[np.floating[Any]] | None
    weights: npt.NDArray[np.floating[Any]]
    bias: npt.NDArray[np.float64]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """By name, as they are stored."""
        named = {"weights": self.weights, "bias": self.bias}
        return named if self.idf is None else {**named, "idf": self.idf}


class Tfidf:
    """Vectoriser and outputs of an imported pipeline; see `models.Model`."""

    gate: float = 0.0
    """Every output is asked about every text."""
    max_characters: int | None = None

    def __init__(self, config: TfidfConfig, vocabulary: Sequence[str], learnt: Weights) -> None:
        """Raises `ModelError` when the parts do not fit together."""
        check_labels(config.labels)
        if set(config.thresholds) != set(config.labels):
            raise ModelError("it does not have a threshold for each label")
        _check_arrays(learnt, len(vocabulary), len(config.labels))
        if len(set(vocabulary)) != len(vocabulary):
            raise ModelError("its vocabulary holds an n-gram twice")
        self.config, self.labels = config, config.labels
        self._learnt = learnt
        self._find = finder(config.features, vocabulary)
        settings = msgspec.json.encode([_VERSION, config.labels, config.features]).decode()
        content = [
            f"{name} {a.dtype} {blake2b(a.tobytes()).hexdigest()}" for name, a in sorted(learnt.arrays().items())
        ]
        self.model_id = f"tfidf-{storage.digest(settings, json.dumps(list(vocabulary)), *content)[:12]}"

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least probability at which a label holds: 0.5, as scikit-learn decides."""
        return self.config.thresholds

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Probabilities, shape [texts, labels]."""
        return self.probabilities(texts).astype(np.float32)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """As `score`, unrounded: scikit-learn's `predict_proba` of the second class of each output."""
        parts = [self._probabilities(batch) for batch in _batches(texts)]
        return np.concatenate([np.empty((0, len(self.labels))), *parts])

    def _probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        product = self.features(texts) @ self._learnt.weights
        # in the precision in which scikit-learn computes: that of the features or of the weights, the finer of both
        scores: npt.NDArray[np.float64] = expit(product + self._learnt.bias.astype(product.dtype)).astype(np.float64)
        return scores

    def features(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF of each text: shape [texts, n-grams]."""
        options = self.config.features
        matrix = self._counts(texts)
        if options.binary:
            matrix.data.fill(1)
        if options.sublinear_tf:
            matrix.data = np.log(matrix.data) + 1
        if self._learnt.idf is not None:
            matrix.data *= self._learnt.idf[matrix.indices]
        if options.norm:
            _normalise(matrix, options.norm)
        return matrix

    def _counts(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """How often each known n-gram stands in each text."""
        rows, columns = self._find(texts)
        ones = np.ones(len(rows), self.config.features.dtype)
        matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), len(self._learnt.weights)))
        matrix.sum_duplicates()
        return matrix


def _normalise(matrix: sparse.csr_matrix, norm: str) -> None:
    """Scale each row to length one, in place; summed in float64 also for float32, as scikit-learn does."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    parts = np.abs(matrix.data) if norm == "l1" else matrix.data * matrix.data
    lengths = np.bincount(rows, parts, minlength=matrix.shape[0])
    lengths = lengths if norm == "l1" else np.sqrt(lengths)
    lengths[lengths == 0] = 1
    matrix.data /= lengths[rows]


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in order, cut so that a batch holds about `BATCH_CHARACTERS`."""
    ends = np.cumsum([len(text) + 2 for text in texts]) // BATCH_CHARACTERS
    cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(texts)]
    return (texts[begin:end] for begin, end in zip(cuts, cuts[1:], strict=False) if end > begin)


def check_labels(labels: Sequence[str]) -> None:
    """Raises `ModelError` unless these can be the outputs of a model: `drugsad` and the eight, others beside them."""
    odd = [label for label in labels if not _LABEL.fullmatch(label) or label in _TAKEN or labels.count(label) > 1]
    missing = [label for label in (DETECTOR_LABEL, *LABELS) if label not in labels]
    if odd:
        raise ModelError(f"labels must be different small words, these are not: {', '.join(map(ascii, odd[:5]))}")
    if missing:
        raise ModelError(f"drugscan needs an output for each of its labels; missing: {', '.join(missing)}")


def _check_arrays(learnt: Weights, ngrams: int, labels: int) -> None:
    expected = {"weights": (ngrams, labels), "bias": (labels,), "idf": (ngrams,)}
    for name, found in learnt.arrays().items():
        if found.shape != expected[name] or found.dtype not in (np.float32, np.float64):
            raise ModelError(f"its {name} are {found.dtype} {list(found.shape)}, not float {list(expected[name])}")
        if not (np.isfinite(found).all() or (name == "bias" and not np.isnan(found).any())):
            raise ModelError(f"its {name} hold something that is no number")


def save(folder: str, config: TfidfConfig, vocabulary: Sequence[str], learnt: Weights) -> None:
    """Write vocabulary.json, model.safetensors and, last, config.json."""
    arrays = safetensors.numpy.save(learnt.arrays())
    described = msgspec.json.format(msgspec.json.encode(config), indent=1)
    contents = (json.dumps(list(vocabulary), ensure_ascii=False).encode(), arrays, described)
    for name, content in zip(_FILES, contents, strict=True):
        storage.write_bytes(storage.join(folder, name), content)


def load(folder: str, config: bytes) -> Tfidf:
    """The model in a folder; raises `ModelError` when it is damaged."""
    try:
        decoded = msgspec.json.decode(config, type=TfidfConfig)
        vocabulary = msgspec.json.decode(storage.read_bytes(storage.join(folder, _FILES[0])), type=list[str])
        arrays = safetensors.numpy.load(storage.read_bytes(storage.join(folder, _FILES[1])))
        learnt = Weights(arrays.get("idf"), arrays["weights"], arrays["bias"])
        return Tfidf(decoded, vocabulary, learnt)
    except (msgspec.MsgspecError, KeyError, ModelError, safetensors.SafetensorError, storage.StorageError) as error:
        raise ModelError(f"{folder}: not an imported model, or damaged ({error}); import it again") from error
