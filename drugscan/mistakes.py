"""Where a model is wrong: by kind of message, by file, and the errors it was surest of."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drugscan.measures import OUTPUTS, RATES, asked, plain, summed, tallies
from drugscan.schema import LABELS

WORST: Final = 20
"""Errors that are listed of each sort."""
_Matrix = npt.NDArray[np.bool_]
_Scores = npt.NDArray[np.float32]


def by_name(names: Sequence[str], right: _Matrix, said: _Matrix, given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Per name (of a kind or a file) how the detector and the labels do on its texts, most texts first.

    n, ads, accuracy, precision, recall, f1, false_alarms, misses, label_accuracy; null where it cannot be given.
    """
    column = np.array(names, object)
    found = {}
    for name in sorted(set(names), key=lambda each: (-int((column == each).sum()), each)):
        rows = column == name
        true, spoken = right[rows, 0], said[rows, 0]
        result = plain(summed(tallies(right[rows], said[rows], given).sum(axis=0)))
        known = OUTPUTS[0] in given
        found[name] = {
            "n": int(rows.sum()),
            "ads": int(true.sum()),
            **{rate: result[f"detector.{rate}"] for rate in RATES},
            "false_alarms": int((spoken & ~true).sum()) if known else None,
            "misses": int((true & ~spoken).sum()) if known else None,
            "label_accuracy": result["categoriser.label_accuracy"],
        }
    return found


def worst(
    texts: Sequence[str], right: _Matrix, said: _Matrix, scores: _Scores, given: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The errors that the model was surest of: `false_alarms` and `misses` of the detector, and those of `labels`.

    Each with text, output, score (0 to 1) and truth, surest first, `WORST` at most. Labels that were not scored (below
    the gate) are no errors of the categoriser and not among them.
    """
    wrong = (right != said) & asked(right) & ~np.isnan(scores) & np.array([output in given for output in OUTPUTS])
    sure = np.where(said, scores, 1 - scores)

    def listed(mask: _Matrix) -> list[dict[str, Any]]:
        rows, columns = np.nonzero(mask)
        order = np.argsort(-sure[rows, columns], kind="stable")[:WORST]
        return [_error(texts, right, scores, (rows[at], columns[at])) for at in order]

    detector = np.arange(len(OUTPUTS)) == 0
    return {
        "false_alarms": listed(wrong & said & detector),
        "misses": listed(wrong & right & detector),
        "labels": listed(wrong & ~detector),
    }


def _error(texts: Sequence[str], right: _Matrix, scores: _Scores, at: tuple[int, int]) -> dict[str, Any]:
    row, column = at
    return {
        "text": texts[row],
        "output": OUTPUTS[column],
        "score": round(float(scores[at]), 4),
        "truth": bool(right[at]),
        "labels": [label for label, holds in zip(LABELS, right[row, 1:], strict=True) if holds],
    }
