"""The linear pair: TF-IDF of word and character n-grams, logistic regression for the detector and each label.

Trained with scikit-learn, stored and run without it: hashes, idf and weights as arrays in safetensors, the rest in
JSON. The score of a text is the same to the bit whatever else stands in the batch.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors.numpy
from scipy import sparse
from scipy.special import expit

from drugscan import storage
from drugscan.models.errors import ModelError
from drugscan.models.features import FEATURE_VERSION, MAX_CHARACTERS, feature_text, ngrams
from drugscan.schema import DETECTOR_LABEL, LABELS

BATCH_CHARACTERS: Final = 300_000
"""Feature text that is hashed at once: some 100 MB of arrays at the peak."""
_TABLE_BITS: Final = 21


class LinearConfig(msgspec.Struct, frozen=True):
    """`config.json` of a linear pair."""

    family: str
    feature_version: int
    gate: float
    """Below this probability of `drugsad` the categoriser is not asked (its labels are null)."""
    thresholds: dict[str, float]
    training: dict[str, object] = {}
    """Data, date, settings and honest estimates; nothing here changes a score."""


class Vocabulary:
    """Sorted hashes of known n-grams, found through a table that their top bits address directly."""

    def __init__(self, hashes: npt.NDArray[np.uint64]) -> None:
        self.hashes = hashes
        self._shift = np.uint64(64 - _TABLE_BITS)
        edges = np.arange(1 << _TABLE_BITS, dtype=np.uint64) << self._shift
        self._first = np.searchsorted(hashes, edges).astype(np.int32)
        self._padded = np.concatenate([hashes, np.zeros(8, np.uint64)])
        self._probes = int(np.max(np.diff(np.append(self._first, len(hashes))), initial=1))

    def find(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Index of each hash, or -1; a hash lies among the few that share its top bits."""
        begin = self._first[(hashes >> self._shift).astype(np.int64)].astype(np.int64)
        found = np.full(len(hashes), -1, np.int64)
        for probe in range(min(self._probes, 8)):
            hit = self._padded[np.minimum(begin + probe, len(self._padded) - 1)] == hashes
            found[hit] = begin[hit] + probe
        found[found >= len(self.hashes)] = -1
        return found


def counts(texts: Sequence[str], vocabulary: Vocabulary) -> sparse.csr_matrix:
    """How often each known n-gram stands in each feature text: float64, shape [texts, vocabulary]."""
    hashes, owners, _ = ngrams(texts)
    found = vocabulary.find(hashes)
    known = found >= 0
    size = len(vocabulary.hashes)
    keys, times = np.unique(owners[known] * size + found[known], return_counts=True)
    rows, columns = np.divmod(keys, size)
    starts = np.searchsorted(rows, np.arange(len(texts) + 1))
    return sparse.csr_matrix((times.astype(np.float64), columns, starts), shape=(len(texts), size))


def weighed(
    matrix: sparse.csr_matrix, idf: npt.NDArray[np.float64], of_words: npt.NDArray[np.bool_]
) -> sparse.csr_matrix:
    """TF-IDF from counts: (1 + ln tf) * idf, words and characters each scaled to length one (Salton & Buckley 1988)."""
    matrix = matrix.copy()
    matrix.data = (1.0 + np.log(matrix.data)) * idf[matrix.indices]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    block = rows * 2 + of_words[matrix.indices]
    lengths = np.sqrt(np.bincount(block, matrix.data**2, minlength=2 * matrix.shape[0]))
    matrix.data /= np.maximum(lengths[block], 1e-12)
    return matrix


class LinearPair:
    """A trained linear pair; see `models.Model`."""

    labels: tuple[str, ...] = (DETECTOR_LABEL, *LABELS)
    max_characters: int | None = MAX_CHARACTERS

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]], config: LinearConfig) -> None:
        self.config = config
        self._vocabulary = Vocabulary(np.asarray(arrays["hashes"], np.uint64))
        self._idf = np.asarray(arrays["idf"], np.float64)
        self._of_words = np.asarray(arrays["of_words"], bool)
        self._weights = np.asarray(arrays["weights"], np.float64)
        self._bias = np.asarray(arrays["bias"], np.float64)
        content = [np.ascontiguousarray(arrays[name]).tobytes().hex() for name in sorted(arrays)]
        parts = (str(config.feature_version), str(config.gate), *content)
        self.model_id = f"linear-{storage.digest(*parts)[:12]}"

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least probability at which a label holds."""
        return self.config.thresholds

    @property
    def gate(self) -> float:
        """Below this probability of `drugsad` the labels are NaN."""
        return self.config.gate

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Probabilities, shape [texts, 9] (`labels`); NaN for the labels of a text below the gate."""
        scores: npt.NDArray[np.float32] = expit(self.logits(texts)).astype(np.float32)
        scores[scores[:, 0] < self.config.gate, 1:] = np.nan
        return scores

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Log odds of every label of every text, shape [texts, 9]; none is left out."""
        folded = [feature_text(text) for text in texts]
        parts = [self._logits_of(batch) for batch in _batches(folded)]
        return np.concatenate([np.empty((0, len(self.labels))), *parts])

    def _logits_of(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        matrix = weighed(counts(texts, self._vocabulary), self._idf, self._of_words)
        logits: npt.NDArray[np.float64] = matrix @ self._weights + self._bias
        return logits


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    """Texts in order, cut so that a batch holds about `BATCH_CHARACTERS`."""
    ends = np.cumsum([len(text) + 2 for text in texts]) // BATCH_CHARACTERS
    cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(texts)]
    return [texts[begin:end] for begin, end in zip(cuts, cuts[1:], strict=False) if end > begin]


def save(folder: str, arrays: Mapping[str, npt.NDArray[np.generic]], config: LinearConfig) -> None:
    """Write model.safetensors and, last, config.json."""
    storage.write_bytes(storage.join(folder, "model.safetensors"), safetensors.numpy.save(dict(arrays)))
    storage.write_bytes(storage.join(folder, "config.json"), msgspec.json.format(msgspec.json.encode(config), indent=1))


def load(folder: str, config: bytes) -> LinearPair:
    """The pair in a folder; raises `ModelError` when it is damaged or was trained for another feature text."""
    try:
        decoded = msgspec.json.decode(config, type=LinearConfig)
        arrays = safetensors.numpy.load(storage.read_bytes(storage.join(folder, "model.safetensors")))
        model = LinearPair(arrays, decoded)
    except (msgspec.MsgspecError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: not a linear pair ({error})") from error
    if decoded.feature_version != FEATURE_VERSION:
        raise ModelError(f"{folder} was trained for another version of drugscan; train it again")
    return model
