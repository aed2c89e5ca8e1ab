"""Training the linear pair, with an honest estimate beside it.

The estimate is leave-one-file-out: every file of labelled texts has its own angle, and a model that has not seen
the angle is asked. Grouped five-fold stands beside it. Near-copies never stand on both sides of a split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from drugscan import estimates, near_copies, storage
from drugscan.evaluation import Labelled, read_labelled, truth
from drugscan.models import linear
from drugscan.models.features import FEATURE_VERSION, feature_text, ngrams
from drugscan.models.linear import LinearConfig, Vocabulary
from drugscan.schema import DETECTOR_LABEL, LABELS

MAX_FEATURES: Final = 160_000
"""What fits in five megabytes with nine weights of two bytes each."""
MIN_TEXTS: Final = 2
GATE: Final = 0.02
DETECTOR_C: Final = (3.0, 10.0, 30.0)
LABEL_C: Final = (10.0, 30.0, 100.0)
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingResult:
    """What was trained, and how good it probably is."""

    folder: str
    model_id: str
    estimates: dict[str, dict[str, dict[str, float | None]]]
    """`leave_one_file_out` and `grouped_five_fold`: detector and label accuracy, by file too."""


@dataclass(frozen=True)
class _Data:
    """Labelled texts as a matrix of counts; what every fold selects from."""

    counts: sparse.csr_matrix
    hashes: npt.NDArray[np.uint64]
    of_words: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    files: _Ints
    groups: _Ints


@dataclass(frozen=True)
class _Fit:
    """Weights over all features of the data, shape [features, 9], bias [9], idf [features]."""

    weights: _Floats
    bias: _Floats
    idf: _Floats


def train_linear(paths: Sequence[str], out: str, seed: int = 0) -> TrainingResult:
    """Train a pair on JSONL files of labelled texts and write it to the folder `out`; the same seed, the same pair."""
    per_file = [read_labelled(path) for path in paths]
    labelled = [each for file in per_file for each in file]
    names = [path.rsplit("/", 1)[-1] for path in paths]
    data = _prepare(labelled, np.repeat(np.arange(len(paths)), [len(file) for file in per_file]))
    files = [name for name, file in zip(names, per_file, strict=True) for _ in file]
    five = estimates.grouped_folds(data.groups, seed)
    penalties = _choose_penalties(data, five)
    by_group = _out_of_fold(data, five, penalties)
    by_file = _out_of_fold(data, data.files, penalties) if len(paths) > 1 else by_group
    # where a class stands in one file only, nothing is learned without that file
    by_file = np.where(estimates.both_classes(data.files, data.groups, data.right), by_file, by_group)
    estimates.keep(out, by_file, labelled)
    slopes, shifts = estimates.platt(by_file, data.right)
    scores = [_gated(estimates.probabilities(logits, slopes, shifts)) for logits in (by_file, by_group)]
    thresholds = estimates.thresholds(scores[0], data.right)
    found = {
        name: estimates.by_file(each, data.right, thresholds, files)
        for name, each in zip(("leave_one_file_out", "grouped_five_fold"), scores, strict=True)
    }
    fit = _fit(data, np.ones(len(labelled), bool), penalties)
    config = LinearConfig(
        family="linear",
        feature_version=FEATURE_VERSION,
        gate=GATE,
        thresholds=thresholds,
        training={
            "date": datetime.now(UTC).date().isoformat(),
            "files": {name: len(file) for name, file in zip(names, per_file, strict=True)},
            "texts": len(labelled),
            "ads": int(data.right[:, 0].sum()),
            "c": penalties,
            "seed": seed,
            "estimates": found,
        },
    )
    linear.save(out, _arrays(data, fit, slopes, shifts), config)
    return TrainingResult(out, linear.load(out, _config_bytes(out)).model_id, found)


def _config_bytes(folder: str) -> bytes:
    return storage.read_bytes(storage.join(folder, "config.json"))


def _prepare(labelled: Sequence[Labelled], files: _Ints) -> _Data:
    texts = [feature_text(each.text) for each in labelled]
    hashes, owners, of_words = ngrams(texts)
    pairs = np.unique(np.stack([hashes, owners.astype(np.uint64)], 1), axis=0)
    values, texts_with = np.unique(pairs[:, 0], return_counts=True)
    vocabulary = values[texts_with >= MIN_TEXTS]
    kinds = np.zeros(len(vocabulary), bool)
    kinds[np.searchsorted(vocabulary, np.intersect1d(hashes[of_words], vocabulary))] = True
    matrix = linear.counts(texts, Vocabulary(vocabulary))
    groups = near_copies.groups_of([each.text for each in labelled])
    return _Data(matrix, vocabulary, kinds, truth(labelled), files, groups)


def _fit(data: _Data, rows: npt.NDArray[np.bool_], penalties: dict[str, float]) -> _Fit:
    """Detector on all chosen texts, each label on the ads among them."""
    chosen = data.counts[rows]
    present = np.bincount(chosen.indices, minlength=chosen.shape[1])
    idf = np.where(present >= MIN_TEXTS, 1.0 + np.log((1 + chosen.shape[0]) / (1.0 + present)), 0.0)
    matrix, right = linear.weighed(chosen, idf, data.of_words), data.right[rows]
    ads = right[:, 0]
    weights, bias = np.zeros((chosen.shape[1], right.shape[1])), np.zeros(right.shape[1])
    for column, name in enumerate((DETECTOR_LABEL, *LABELS)):
        use = ads if column else np.ones(len(ads), bool)
        weights[:, column], bias[column] = _regress(matrix[use], right[use, column], penalties[name])
    return _Fit(weights, bias, idf)


def _regress(matrix: sparse.csr_matrix, right: npt.NDArray[np.bool_], penalty: float) -> tuple[_Floats, float]:
    """Weights and bias of a logistic regression; constant where there is one class only."""
    from sklearn.linear_model import LogisticRegression

    if right.all() or not right.any():
        return np.zeros(matrix.shape[1]), 10.0 if right.all() and len(right) else -10.0
    model = LogisticRegression(C=penalty, solver="liblinear", dual=True, max_iter=2000, random_state=0)
    model.fit(matrix, right)
    return model.coef_[0], float(model.intercept_[0])


def _out_of_fold(data: _Data, folds: _Ints, penalties: dict[str, float]) -> _Floats:
    """Logits [texts, 9] of every text by a model that saw neither its fold nor a near-copy of a text of its fold."""
    logits = np.zeros(data.right.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        fit = _fit(data, estimates.kept_out(data.groups, inside), penalties)
        matrix = linear.weighed(data.counts[inside], fit.idf, data.of_words)
        logits[inside] = matrix @ fit.weights + fit.bias
    return logits


def _gated(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores as the pair gives them: no labels below the gate."""
    return np.where((scores[:, :1] < GATE) & (np.arange(scores.shape[1]) > 0), np.float32(np.nan), scores)


def _choose_penalties(data: _Data, folds: _Ints) -> dict[str, float]:
    """C of each regression: the one with the least log loss out of fold."""
    tried = []
    for detector, label in zip(DETECTOR_C, LABEL_C, strict=True):
        penalties = {DETECTOR_LABEL: detector} | dict.fromkeys(LABELS, label)
        logits = _out_of_fold(data, folds, penalties)
        tried.append((penalties, _losses(logits, data.right)))
    best = np.argmin([losses for _, losses in tried], axis=0)
    return {name: tried[best[column]][0][name] for column, name in enumerate((DETECTOR_LABEL, *LABELS))}


def _losses(logits: _Floats, right: npt.NDArray[np.bool_]) -> list[float]:
    """Log loss per column; of the labels over the true ads."""
    loss = np.logaddexp(0.0, np.where(right, -logits, logits))
    return [float(loss[:, 0].mean()), *loss[right[:, 0], 1:].mean(axis=0).tolist()]


def _arrays(data: _Data, fit: _Fit, slopes: _Floats, shifts: _Floats) -> dict[str, npt.NDArray[np.generic]]:
    """What is stored: the features that matter most, calibration folded into weights and bias."""
    weights, bias = fit.weights * slopes, fit.bias * slopes + shifts
    strength = np.abs(weights).max(axis=1) * fit.idf
    kept = np.sort(np.argsort(-strength, kind="stable")[:MAX_FEATURES])
    return {
        "hashes": data.hashes[kept],
        "of_words": data.of_words[kept],
        "idf": fit.idf[kept].astype(np.float16),
        "weights": weights[kept].astype(np.float16),
        "bias": bias.astype(np.float32),
    }
