"""Accuracy, precision, recall and F1, computed from four counts per output, for one sample or for many draws at once.

Definitions as in Manning, Raghavan & Schütze, Introduction to Information Retrieval (2008), sections 8.3 and 13.6.
The detector is asked of every text, the eight labels of the true ads.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drugscan.schema import DETECTOR_LABEL, LABELS

OUTPUTS: Final[tuple[str, ...]] = (DETECTOR_LABEL, *LABELS)
"""The nine outputs in the order of every matrix here."""
RATES: Final = ("accuracy", "precision", "recall", "f1")
COUNTS: Final = 4
"""Counts of a tally: asked, said and true, said, true."""
STEPS: Final = np.round(np.arange(0.01, 0.991, 0.01), 2)
"""Thresholds of a curve."""
_Matrix = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]


def asked(right: _Matrix) -> _Matrix:
    """Which outputs count for a text, shape [texts, 9]: the detector always, the labels where it is an ad."""
    mask = np.repeat(right[:, :1], right.shape[1], axis=1)
    mask[:, 0] = True
    return mask


def tallies(right: _Matrix, said: _Matrix, given: Collection[str] = OUTPUTS) -> _Floats:
    """Counts of each text, shape [texts, 9, 4]: asked, said and true, said, true; zeros for outputs not `given`."""
    counts = asked(right) & np.array([output in given for output in OUTPUTS])
    stacked: _Floats = np.stack([np.ones_like(right), right & said, said, right], -1).astype(np.float64)
    return np.where(counts[..., None], stacked, 0.0)


def rates(tally: _Floats) -> dict[str, _Floats]:
    """`RATES` from sums of counts, shape [..., 4]; NaN where one cannot be given (nothing asked, nothing said)."""
    total, hits, said, true = np.moveaxis(tally, -1, 0)
    return {
        "accuracy": ratio(total - said - true + 2 * hits, total),
        "precision": ratio(hits, said),
        "recall": ratio(hits, true),
        "f1": ratio(2 * hits, said + true),
    }


def ratio(part: _Floats, whole: _Floats) -> _Floats:
    """`part / whole`, NaN where `whole` is zero."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found: _Floats = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.divide(part, whole, out=found, where=whole > 0)


def summed(tally: _Floats) -> dict[str, _Floats]:
    """Every figure by dotted name from sums of counts, shape [..., 9, 4]; each of shape [...]."""
    per_output = rates(tally)
    accuracy, f1 = (_mean(per_output[name][..., 1:]) for name in ("accuracy", "f1"))
    found = {f"detector.{name}": values[..., 0] for name, values in per_output.items()}
    found |= {
        "categoriser.label_accuracy": accuracy,
        "categoriser.hamming_loss": 1.0 - accuracy,
        "categoriser.macro_f1": f1,
    }
    for column, label in enumerate(LABELS, 1):
        found |= {f"categoriser.per_label.{label}.{name}": values[..., column] for name, values in per_output.items()}
    return found


def figures(right: _Matrix, said: _Matrix, given: Collection[str] = OUTPUTS) -> dict[str, object]:
    """`detector` and `categoriser` figures from truth and decisions, each of shape [texts, 9].

    `label_accuracy` is the mean over labels of the share of ads that are right, so 1 - `hamming_loss`. Null: what
    cannot be given (no ads, never said), or what the model does not give.
    """
    found = nested(plain(summed(tallies(right, said, given).sum(axis=0))))
    support = (right & asked(right)).sum(axis=0)
    for column, label in enumerate(LABELS, 1):
        found["categoriser"]["per_label"][label]["support"] = int(support[column])
    return found


def curve(right: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32], digits: int = 4) -> dict[str, Any]:
    """`RATES` of one output at every threshold of `STEPS`, and the best threshold by accuracy and by F1.

    `right` and `scores` have shape [texts]; a text that was not scored (NaN) is never said. Of equally good
    thresholds the one nearest to 0.5. What is best on the texts it was chosen on flatters: use it on others.
    """
    known = np.nan_to_num(scores, nan=-1.0)
    limits = STEPS.astype(np.float32)
    said = len(known) - np.searchsorted(np.sort(known), limits)
    hits = right.sum() - np.searchsorted(np.sort(known[right]), limits)
    tally = np.stack([np.full(len(limits), len(right)), hits, said, np.full(len(limits), right.sum())], -1)
    found = rates(tally.astype(np.float64))
    lists = {name: [None if np.isnan(v) else round(v, digits) for v in values] for name, values in found.items()}
    best = {f"best_{name}": _best(found[name]) for name in ("accuracy", "f1")}
    return {"threshold": STEPS.tolist(), **lists, **best}


def _best(values: _Floats) -> dict[str, float] | None:
    if np.isnan(values).all():
        return None
    order = np.argsort(np.abs(STEPS - 0.5), kind="stable")
    chosen = order[int(np.nanargmax(values[order]))]
    return {"threshold": float(STEPS[chosen]), "value": float(values[chosen])}


def _mean(values: _Floats) -> _Floats:
    """Mean over the last axis of what is known."""
    return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def plain(figures_by_name: Mapping[str, _Floats]) -> dict[str, float | None]:
    """Single figures as Python numbers, NaN as None: ready for JSON."""
    return {name: None if np.isnan(value) else float(value) for name, value in figures_by_name.items()}


def nested(flat: Mapping[str, object]) -> dict[str, Any]:
    """Dotted names as dicts in dicts."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        place = found
        *path, last = name.split(".")
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return found
