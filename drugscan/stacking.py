"""Fitting a cascade: how a linear pair and an encoder speak together, on texts that neither had seen."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from drugscan import estimates, models, storage
from drugscan.evaluation import read_sample
from drugscan.models.cascade import CascadeConfig
from drugscan.models.encoder import OUTPUTS
from drugscan.models.errors import ModelError

MISSED: Final = 0.01
"""Share of the ads that the gate may cost: it is set so that the linear pair loses no more out of fold."""
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Folders of the two models of a cascade."""

    first: str
    then: str


def train_cascade(paths: Sequence[str], parts: Parts, out: str) -> tuple[str, dict[str, Any]]:
    """Fit a cascade of two trained models to their out-of-fold scores and write it to `out`; id and estimates.

    Raises `ModelError` when a model has no such scores, or of other texts.
    """
    sample = read_sample(paths)
    raw = [estimates.kept(folder, sample.labelled) for folder in (parts.first, parts.then)]
    both = [_calibrated(logits, sample.right) for logits in raw]
    if not sample.right[:, 0].any():
        raise ModelError("there is no ad among the texts; a cascade is fitted on ads and others")
    chances = expit(both[0][:, 0])
    lost = float(np.quantile(chances[sample.right[:, 0]], MISSED))
    gate = float(min(estimates.LEAST_THRESHOLD, np.floor(lost * 10_000) / 10_000))  # no threshold may lie below it
    blend, logits = _stacked(both, sample.right, estimates.grouped_folds(sample.groups, 0))
    scores = expit(logits).astype(np.float32)
    scores[chances < gate] = np.where(np.arange(len(OUTPUTS)) > 0, np.nan, chances[chances < gate][:, None])
    thresholds = estimates.thresholds(scores, sample.right)
    names = [path.rsplit("/", 1)[-1] for path in sample.files]
    found = {"leave_files_out": estimates.by_file(scores, sample.right, thresholds, names)}
    config = CascadeConfig(
        family="cascade",
        first=os.path.relpath(parts.first, out),
        then=os.path.relpath(parts.then, out),
        gate=gate,
        blend=blend,
        thresholds=thresholds,
        training={
            "date": datetime.now(UTC).date().isoformat(),
            "texts": len(sample.labelled),
            "asked": float((chances >= gate).mean()),
            "files": {name: names.count(name) for name in dict.fromkeys(names)},
            "estimates": found,
        },
    )
    storage.write_bytes(storage.join(out, "config.json"), msgspec.json.format(msgspec.json.encode(config), indent=1))
    return models.load(out).model_id, found


def _calibrated(logits: _Floats, right: npt.NDArray[np.bool_]) -> _Floats:
    """Out-of-fold log odds as the model itself gives them: with the slope and shift that were folded into it."""
    slopes, shifts = estimates.platt(logits, right)
    return logits * slopes + shifts


def _stacked(
    both: Sequence[_Floats], right: npt.NDArray[np.bool_], folds: npt.NDArray[np.int64]
) -> tuple[dict[str, tuple[float, float, float]], _Floats]:
    """Weights per output, and cross-fitted log odds [texts, 9]: each text's by weights that did not see it."""
    blend, logits = {}, np.zeros(right.shape)
    for column, output in enumerate(OUTPUTS):
        pair = np.stack([each[:, column] for each in both], 1)
        use = right[:, 0] if column else np.ones(len(right), bool)
        for fold in np.unique(folds):
            chosen = use & (folds != fold)
            first, then, shift = _weights(pair[chosen], right[chosen, column])
            logits[folds == fold, column] = pair[folds == fold] @ np.array([first, then]) + shift
        blend[output] = _weights(pair[use], right[use, column])
    return blend, logits


def _weights(pair: _Floats, right: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Of two log odds, shape [texts, 2], and what is added; their mean where there is one class only."""
    from sklearn.linear_model import LogisticRegression

    if right.all() or not right.any():
        return 0.5, 0.5, 0.0
    model = LogisticRegression(C=1e6).fit(pair, right)
    return float(model.coef_[0, 0]), float(model.coef_[0, 1]), float(model.intercept_[0])
