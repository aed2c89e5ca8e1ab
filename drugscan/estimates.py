"""How good a model that was just trained probably is, and the thresholds and calibration that follow: out of fold.

Every file of labelled texts has its own angle, so the honest estimate asks a model that has not seen the file
(leave-one-file-out, or several files at once where training is slow); grouped folds stand beside it. Near-copies never
stand on both sides of a split.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from drugscan import storage
from drugscan.evaluation import Labelled, decisions, figures
from drugscan.models.errors import ModelError
from drugscan.schema import DETECTOR_LABEL, LABELS

KEPT: Final = "out_of_fold.safetensors"
"""File in the folder of a trained model: logits of every text by models that had not seen it."""
LEAST_THRESHOLD: Final = 0.30
"""Below it no threshold is chosen, and no gate may lie above it."""
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Matrix = npt.NDArray[np.bool_]


def grouped_folds(groups: _Ints, seed: int, folds: int = 5) -> _Ints:
    """A fold number from 0 for each text; a group lies in one fold."""
    _, numbers = np.unique(groups, return_inverse=True)
    chosen: _Ints = np.random.default_rng(seed).permutation(np.arange(numbers.max() + 1) % folds)[numbers]
    return chosen


def file_folds(files: _Ints, folds: int) -> _Ints:
    """A fold number from 0 for each text; a file lies whole in one fold, and the folds are of like size."""
    sizes = np.bincount(files)
    filled, of_file = np.zeros(min(folds, len(sizes)), np.int64), np.zeros(len(sizes), np.int64)
    for file in np.argsort(-sizes, kind="stable"):
        of_file[file] = filled.argmin()
        filled[of_file[file]] += sizes[file]
    return of_file[files]


def kept_out(groups: _Ints, inside: _Matrix) -> _Matrix:
    """Texts to train on when those `inside` are asked: all others but near-copies of these; shape [texts]."""
    return ~np.isin(groups, groups[inside])


def both_classes(folds: _Ints, groups: _Ints, right: _Matrix) -> npt.NDArray[np.bool_]:
    """Whether what an output can be learned from stays when a fold is left out, whichever; shape [outputs].

    That is both of its classes (of a label: among the ads), if it has both at all. A model that knows one class only
    says the opposite of the truth of what was left out, and calibration would believe it.
    """

    def has_both(rows: _Matrix) -> npt.NDArray[np.bool_]:
        ads = rows[rows[:, 0]]
        counted = [(rows if column == 0 else ads)[:, column] for column in range(rows.shape[1])]
        return np.array([each.any() and not each.all() for each in counted], bool)

    left = [has_both(right[kept_out(groups, folds == fold)]) for fold in np.unique(folds)]
    can: npt.NDArray[np.bool_] = np.all(left, axis=0) | ~has_both(right)
    return can


def platt(logits: _Floats, right: npt.NDArray[np.bool_]) -> tuple[_Floats, _Floats]:
    """Slope and shift per column that calibrate out-of-fold logits (Platt 1999); of the labels over the true ads."""
    from sklearn.linear_model import LogisticRegression

    slopes, shifts = np.ones(right.shape[1]), np.zeros(right.shape[1])
    for column in range(right.shape[1]):
        use = right[:, 0] if column else np.ones(len(right), bool)
        if len(np.unique(right[use, column])) == 2:
            model = LogisticRegression(C=1e6).fit(logits[use, column : column + 1], right[use, column])
            slopes[column], shifts[column] = model.coef_[0, 0], model.intercept_[0]
    return slopes, shifts


def probabilities(logits: _Floats, slopes: _Floats, shifts: _Floats) -> npt.NDArray[np.float32]:
    """Calibrated probabilities of the same shape as the logits, [texts, 9]."""
    return (1.0 / (1.0 + np.exp(-(logits * slopes + shifts)))).astype(np.float32)


def thresholds(scores: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Per label the threshold from 0.30 to 0.70 with the best accuracy out of fold; of equals the nearest to 0.5."""
    steps = np.round(np.arange(LEAST_THRESHOLD, 0.701, 0.01), 2)
    scores = np.nan_to_num(scores, nan=-1.0)
    steps = steps[np.argsort(np.abs(steps - 0.5), kind="stable")]
    chosen = {}
    for column, name in enumerate((DETECTOR_LABEL, *LABELS)):
        use = right[:, 0] if column else np.ones(len(right), bool)
        accuracies = [float(((scores[use, column] >= step) == right[use, column]).mean()) for step in steps]
        chosen[name] = float(steps[int(np.argmax(accuracies))])
    return chosen


def by_file(
    scores: npt.NDArray[np.float32], right: _Matrix, limits: dict[str, float], files: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Accuracy of the detector and mean accuracy of the labels (of the true ads): of `all`, and of each file.

    `scores` (NaN where the categoriser is not asked) and `right` have shape [texts, 9]; `files` is each text's.
    """
    said, names = decisions(scores, limits), np.array(files)

    def short(rows: _Matrix) -> dict[str, float | None]:
        result: dict[str, dict[str, float | None]] = figures(right[rows], said[rows])  # type: ignore[assignment]
        return {"detector": result["detector"]["accuracy"], "labels": result["categoriser"]["label_accuracy"]}

    return {"all": short(np.ones(len(scores), bool)), **{name: short(names == name) for name in dict.fromkeys(files)}}


def keep(folder: str, logits: _Floats, labelled: Sequence[Labelled]) -> None:
    """Write out-of-fold logits, shape [texts, 9], beside the model that they speak for."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "logits": logits.astype(np.float32),
        "texts": np.frombuffer(_digest(labelled), np.uint8),
    }
    storage.write_bytes(storage.join(folder, KEPT), safetensors.numpy.save(arrays))


def kept(folder: str, labelled: Sequence[Labelled]) -> _Floats:
    """The out-of-fold logits of a model, [texts, 9]; raises `ModelError` when they are of other texts or not there."""
    path = storage.join(folder, KEPT)
    if not storage.exists(path):
        raise ModelError(f"{folder} has no out-of-fold scores; train it with `drugscan train`, an encoder with --folds")
    arrays = safetensors.numpy.load(storage.read_bytes(path))
    if arrays["texts"].tobytes() != _digest(labelled):
        raise ModelError(f"{folder} was trained on other texts; give the same files in the same order")
    return arrays["logits"].astype(np.float64)


def _digest(labelled: Sequence[Labelled]) -> bytes:
    return storage.digest(*(each.text for each in labelled)).encode()
