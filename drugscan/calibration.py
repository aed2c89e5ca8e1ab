"""Do probabilities mean what they say: of the texts scored 0.8, are eight in ten ads?

Reliability in bins of equal mass (as many texts in each), the expected calibration error over them and the Brier
score. Fifteen bins are usual (Guo et al., On Calibration of Modern Neural Networks, ICML 2017); equal mass instead of
equal width has less bias, since most scores lie near 0 or 1 and equal-width bins between stay almost empty (Nguyen &
O'Connor, EMNLP 2015; Roelofs et al., Mitigating Bias in Calibration Error Estimation, AISTATS 2022). The error is that
of the probability of the output itself, not of the more likely answer.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drugscan.measures import OUTPUTS, asked, ratio
from drugscan.resampling import Interval

BINS: Final = 15
_Matrix = npt.NDArray[np.bool_]
_Scores = npt.NDArray[np.float32]
_Floats = npt.NDArray[np.float64]
_COUNT, _TRUE, _SCORE = (slice(at * BINS, (at + 1) * BINS) for at in range(3))


def bin_numbers(scores: _Scores) -> npt.NDArray[np.int64]:
    """The bin of each score, 0 to `BINS` - 1: equal mass, but equal scores always share a bin."""
    ordered = np.sort(scores)
    edges = ordered[[len(ordered) * step // BINS for step in range(1, BINS)]] if len(ordered) else ordered
    return np.searchsorted(np.unique(edges), scores, side="right").astype(np.int64)


def bin_sums(right: _Matrix, scores: _Scores) -> _Floats:
    """What calibration is summed from, per text, shape [texts, 9, 3 * `BINS` + 1].

    In the text's bin of each output: one, whether it holds, its score; last the squared error. Zeros where the output
    is not asked (labels of what is no ad) or not scored (NaN).
    """
    found: _Floats = np.zeros((*right.shape, 3 * BINS + 1))
    for column in range(right.shape[1]):
        rows = np.flatnonzero(asked(right)[:, column] & ~np.isnan(scores[:, column]))
        score, true = scores[rows, column].astype(np.float64), right[rows, column]
        bins = bin_numbers(scores[rows, column])
        for part, value in ((_COUNT, np.ones(len(rows))), (_TRUE, true), (_SCORE, score)):
            found[rows, column, part.start + bins] = value
        found[rows, column, -1] = (score - true) ** 2
    return found


def errors(sums: _Floats) -> dict[str, _Floats]:
    """By dotted name ECE and Brier score of every output, and the rate of every bin, from sums of shape [..., 9, 46].

    Each has shape [...]; NaN where nothing was scored.
    """
    count, true, score = sums[..., _COUNT], sums[..., _TRUE], sums[..., _SCORE]
    total = count.sum(axis=-1)
    ece, brier = ratio(np.abs(true - score).sum(axis=-1), total), ratio(sums[..., -1], total)
    rate = ratio(true, count)
    found: dict[str, _Floats] = {}
    for column, output in enumerate(OUTPUTS):
        found |= {f"calibration.{output}.ece": ece[..., column], f"calibration.{output}.brier": brier[..., column]}
        found |= {f"bins.{output}.{number}": rate[..., column, number] for number in range(BINS)}
    return found


def calibration(sums: _Floats, intervals: dict[str, Interval], by_chance: _Floats) -> dict[str, dict[str, Any]]:
    """Per output: n (texts asked and scored), ece, ece_by_chance, brier, bins (n, score, rate, interval of the rate).

    `sums` of shape [9, 46] over all texts, `intervals` by the names of `errors`, `by_chance` from `chance`.
    """
    figures = errors(sums)
    found: dict[str, dict[str, Any]] = {}
    for column, output in enumerate(OUTPUTS):
        count, true, score = (sums[column, part] for part in (_COUNT, _TRUE, _SCORE))
        known = {name: float(figures[f"calibration.{output}.{name}"]) for name in ("ece", "brier")}
        values = {**known, "ece_by_chance": float(by_chance[column])}
        found[output] = {
            "n": int(count.sum()),
            **{name: None if np.isnan(value) else value for name, value in values.items()},
            "bins": [
                {
                    "n": int(count[number]),
                    "score": float(score[number] / count[number]),
                    "rate": float(true[number] / count[number]),
                    "interval": intervals.get(f"bins.{output}.{number}"),
                }
                for number in np.flatnonzero(count)
            ],
        }
    return found


def chance(right: _Matrix, scores: _Scores) -> _Floats:
    """The ECE that perfectly calibrated scores would show on so many texts, shape [9]: what ECE to read as none.

    The gap of a bin is then a sum of independent errors with variance p(1-p), so about normal, and the mean of its
    size is its standard deviation times the root of 2/pi (after Bröcker & Smith 2007, consistency of reliability
    diagrams). Near-copies make it somewhat larger.
    """
    found = np.full(right.shape[1], np.nan)
    for column in range(right.shape[1]):
        score = scores[asked(right)[:, column] & ~np.isnan(scores[:, column]), column]
        if len(score):
            variance = np.bincount(bin_numbers(score), score.astype(np.float64) * (1 - score), BINS)
            found[column] = float(np.sqrt(2 / np.pi * variance).sum() / len(score))
    return found
