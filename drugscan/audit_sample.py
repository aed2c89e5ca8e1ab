"""Which texts people should look at: a stratified probability sample of the distinct texts of a corpus.

A few texts carry most messages, and the model errs where its score is unsure. So a text is drawn with a probability
that grows with its copies and with the doubt about it, and that is known: what is seen can be weighted back.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEAST_DRAWN: Final = 3
"""Texts per stratum at least (all, where it has no more): two give a variance, the third a safer one."""
_DOUBT: Final = 0.03
_DOUBT_OF_ADS: Final = 0.1
"""Scores nearer to 0 or 1 than this count as this: a model that is sure can be wrong, too, and an ad has labels."""
_DESIGNS: Final = (
    # (inner limits of the score bands beside the threshold, factor from one band of copies to the next)
    ((0.01, 0.1, 0.9, 0.99), 4),
    ((0.1, 0.9), 4),
    ((), 8),
    ((), 1 << 40),
)
_STRATA_WORTH: Final = 6
"""Texts per stratum from which a design is fine enough; with fewer the next coarser one is taken."""


@dataclass(frozen=True)
class Frame:
    """What is known of every distinct text before anybody looks at it; arrays of one length."""

    score: Floats
    """Probability of an ad by the model."""
    copies: Integers
    """Messages that have the text."""
    is_ad: npt.NDArray[np.bool_]
    threshold: float


@dataclass(frozen=True)
class Drawing:
    """The sample: rows of the frame, and the stratum of every row of the frame."""

    rows: Integers
    stratum: Integers
    """Of every text of the frame; 0 holds the texts that are taken for certain."""


def draw(frame: Frame, wanted: int, random: np.random.Generator) -> Drawing:
    """Draw `wanted` texts (all, if there are no more), in the order of the frame."""
    pulls = pull(frame)
    certain = _certain(pulls, wanted)
    stratum = np.zeros(len(frame.score), np.int64)
    stratum[~certain] = 1 + _strata(frame, ~certain, wanted - int(certain.sum()))
    sizes = np.bincount(stratum)
    sizes[0] = 0
    together = np.bincount(stratum, weights=pulls).astype(np.float64)
    numbers = allocated(sizes, together, min(wanted, len(stratum)) - int(certain.sum()))
    numbers[0] = certain.sum()
    return Drawing(_drawn(stratum, numbers, random), stratum)


def pull(frame: Frame) -> Floats:
    """What the probability of each text is proportional to.

    It makes the relative variances of the number of ad messages and of ad texts, added up, smallest: the root of
    p (1 - p) (c²/M² + 1/T²) for a text of probability p and c copies where M messages of T texts are counted as ads
    (Neyman's allocation for two totals; Cochran 1977, sections 5.5 and 5A.2).
    """
    doubt = np.clip(frame.score, _DOUBT, 1 - np.where(frame.is_ad, _DOUBT_OF_ADS, _DOUBT))
    messages = max(1, int(frame.copies[frame.is_ad].sum()))
    texts = max(1, int(frame.is_ad.sum()))
    return np.sqrt(doubt * (1 - doubt) * ((frame.copies / messages) ** 2 + 1 / texts**2))


def _certain(pulls: Floats, wanted: int) -> npt.NDArray[np.bool_]:
    """Texts whose share of the pull is worth a whole draw: they are taken, the others share what is left."""
    certain = np.full(len(pulls), wanted >= len(pulls))
    while not certain.all():
        left = wanted - int(certain.sum())
        more = ~certain & (pulls * left >= pulls[~certain].sum())
        if not more.any():
            break
        certain |= more
    return certain


def _strata(frame: Frame, chosen: npt.NDArray[np.bool_], wanted: int) -> Integers:
    """Stratum (from 0, without gaps) of each chosen text: its band of score with its band of copies."""
    numbers = np.zeros(int(chosen.sum()), np.int64)
    for inner, factor in _DESIGNS:
        limits = sorted({*inner, frame.threshold})
        band = np.searchsorted(limits, frame.score[chosen], side="right")
        heap = (np.log(frame.copies[chosen]) / np.log(factor) + 1e-9).astype(np.int64)
        numbers = _gapless(band * 64 + heap)
        if (numbers.max(initial=0) + 1) * _STRATA_WORTH <= wanted:
            break
    return numbers


def _gapless(numbers: Integers) -> Integers:
    """The same order in the fewest numbers, from 0."""
    return (np.cumsum(np.bincount(numbers) > 0) - 1).astype(np.int64)[numbers]


def allocated(sizes: Integers, pulls: Floats, wanted: int) -> Integers:
    """How many texts to draw of strata of these sizes: `wanted` in all, by pull, with the least number in each."""
    floor = np.minimum(sizes, LEAST_DRAWN)
    numbers = floor.astype(np.float64)
    open_ = sizes > floor
    for _ in range(len(sizes)):
        left = wanted - numbers[~open_].sum()
        if not open_.any() or left <= 0:
            break
        numbers[open_] = left * pulls[open_] / pulls[open_].sum()
        settled = open_ & ((numbers <= floor) | (numbers >= sizes))
        if not settled.any():
            break
        numbers[settled] = np.clip(numbers[settled], floor[settled], sizes[settled])
        open_ &= ~settled
    return _rounded(numbers, sizes, wanted)


def _rounded(numbers: Floats, sizes: Integers, wanted: int) -> Integers:
    """Whole numbers with the sum that is wanted, as far as there are texts: the largest remainders go up."""
    whole = np.floor(numbers + 1e-9).astype(np.int64)
    missing = wanted - int(whole.sum())
    room = np.flatnonzero(whole < sizes)
    order = room[np.argsort(-(numbers - whole)[room], kind="stable")]
    whole[order[: max(0, missing)]] += 1
    return whole


def _drawn(stratum: Integers, numbers: Integers, random: np.random.Generator) -> Integers:
    """Rows of a simple random sample of each stratum, sorted."""
    order = np.argsort(stratum.astype(np.int16), kind="stable")  # of small numbers a sort by digits, ten times as fast
    ends = np.cumsum(np.bincount(stratum, minlength=len(numbers)))
    starts = np.concatenate([[0], ends[:-1]])
    parts = [
        order[start:end] if number == end - start else random.choice(order[start:end], number, replace=False)
        for start, end, number in zip(starts, ends, numbers, strict=True)
        if number
    ]
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
