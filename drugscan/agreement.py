"""Whether people agree about a text, and what counts where they do not."""

from collections.abc import Mapping, Sequence
from typing import Final

import krippendorff
import numpy as np
import numpy.typing as npt

from drugscan import resampling
from drugscan.audit import Agreement
from drugscan.audit_labels import Said
from drugscan.schema import DETECTOR_LABEL, LABELS

Floats = npt.NDArray[np.float64]
OUTPUTS: Final = (DETECTOR_LABEL, *LABELS)


def verdict(said: Sequence[Said]) -> Floats:
    """What counts for a text, per output: 1 or 0 by majority of those who labelled it, 0.5 when they are even.

    Half and half is kept as that: to leave such texts out, or to call them ads, would move every figure to one side.
    """
    shares = np.array([sum(output in each.outputs for each in said) / len(said) for output in OUTPUTS])
    return np.where(shares == 0.5, 0.5, np.round(shares))


def disputed(said: Sequence[Said]) -> bool:
    """Whether people differ in anything about the text."""
    return len({each.outputs for each in said}) > 1


def agreements(texts: Mapping[bytes, Sequence[Said]], seed: int = 0) -> dict[str, Agreement]:
    """Krippendorff's alpha of each output, over the texts that two or more labelled; a label: of what all call an ad.

    95 % interval by bootstrap over texts. An output on which nobody ever differed in kind has none.
    """
    several = [said for said in texts.values() if len(said) > 1]
    found = {}
    for output in OUTPUTS:
        judged = [
            said for said in several if output == DETECTOR_LABEL or all(DETECTOR_LABEL in s.outputs for s in said)
        ]
        counts = np.array([[sum(output in each.outputs for each in said), len(said)] for said in judged], np.float64)
        if len(counts) and 0 < counts[:, 0].sum() < counts[:, 1].sum():
            found[output] = _agreement(counts, seed)
    return found


def _agreement(counts: Floats, seed: int) -> Agreement:
    """Alpha from (people who say yes, people) of each text."""
    yes, people = counts.T
    values = np.column_stack([people - yes, yes]).astype(np.int64)
    alpha = float(krippendorff.alpha(value_counts=values, level_of_measurement="nominal"))
    sums = np.column_stack([yes, people, yes * (people - yes) / (people - 1)])
    drawn = resampling.drawn_sums(sums, np.arange(len(sums), dtype=np.int64), seed)
    low, high = resampling.intervals({"alpha": alphas(drawn)}).get("alpha", (-1.0, 1.0))
    return Agreement(alpha, min(low, alpha), max(high, alpha), len(counts))


def alphas(sums: Floats) -> Floats:
    """Nominal alpha of two values, from sums over texts: people who say yes, people, and their disagreement.

    The disagreement of a text with k of m saying yes is k (m - k) / (m - 1); see Krippendorff 2011.
    """
    yes, people, differ = sums.T
    chance = yes * (people - yes)
    unlike = np.divide((people - 1) * differ, chance, out=np.full_like(differ, np.nan), where=chance > 0)
    return np.asarray(1 - unlike)
