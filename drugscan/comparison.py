"""Two models on the same labelled texts: how their figures differ, and which texts only one of them gets right.

The difference is paired: both models are measured on the same draws of groups of near-copies, so what is hard for
both cancels out (paired bootstrap: Koehn, Statistical Significance Tests for Machine Translation Evaluation, 2004).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drugscan import measures, resampling
from drugscan.evaluation import Judged, tallies
from drugscan.measures import OUTPUTS
from drugscan.schema import LABELS

SHOWN: Final = 50
"""Texts that are listed of each side, the most clear-cut first."""


def compare(one: Judged, other: Judged, seed: int = 0) -> dict[str, Any]:
    """Figures of `one` minus those of `other`, with intervals; both must judge the same sample.

    `difference` and `intervals` hold the figures of `measures.figures` for the outputs that both models give
    (`outputs`); `figures` those of each model for these alone. `only_one` and `only_other` count and list what just
    one of them gets right, of the detector and of the labels.
    """
    if one.sample is not other.sample:
        raise ValueError("the two models judged different samples; judge one sample with both")
    outputs = [output for output in OUTPUTS if output in one.given and output in other.given]
    pair = [tallies(judged, outputs) for judged in (one, other)]
    here, there = (measures.summed(tally.sum(axis=0)) for tally in pair)
    return {
        "model_id": one.model_id,
        "other_model_id": other.model_id,
        "outputs": outputs,
        "figures": measures.nested(measures.plain(here)),
        "other_figures": measures.nested(measures.plain(there)),
        "difference": measures.nested(measures.plain({name: here[name] - there[name] for name in here})),
        "intervals": measures.nested(_intervals(pair, one, seed)),
        "only_one": _only(one, other, outputs),
        "only_other": _only(other, one, outputs),
    }


def _intervals(pair: list[npt.NDArray[np.float64]], judged: Judged, seed: int) -> dict[str, resampling.Interval]:
    drawn = resampling.drawn_sums(np.stack(pair, axis=1), judged.sample.groups, seed)
    here, there = (measures.summed(drawn[:, side]) for side in range(2))
    return resampling.intervals({name: here[name] - there[name] for name in here})


def _only(one: Judged, other: Judged, outputs: Sequence[str]) -> dict[str, Any]:
    """What `one` gets right and `other` does not: `detector` (n, texts) and `labels` (n, texts)."""
    right = one.sample.right
    wanted = measures.asked(right) & np.array([output in outputs for output in OUTPUTS])
    only = wanted & (one.said == right) & (other.said != right)
    detector = np.arange(len(OUTPUTS)) == 0
    return {name: _listed(one, other, only & mask) for name, mask in (("detector", detector), ("labels", ~detector))}


def _listed(one: Judged, other: Judged, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The texts under a mask, those first whose scores are farthest apart (what was not scored counts as 0)."""
    rows, columns = np.nonzero(mask)
    scores, others = (np.nan_to_num(judged.scores)[rows, columns] for judged in (one, other))
    order = np.argsort(-np.abs(scores - others), kind="stable")[:SHOWN]
    right, labelled = one.sample.right, one.sample.labelled
    texts = [
        {
            "text": labelled[rows[at]].text,
            "output": OUTPUTS[columns[at]],
            "truth": bool(right[rows[at], columns[at]]),
            "labels": [label for label in LABELS if label in labelled[rows[at]].labels],
            "score": round(float(scores[at]), 4),
            "other_score": round(float(others[at]), 4),
        }
        for at in order
    ]
    return {"n": len(rows), "texts": texts}
