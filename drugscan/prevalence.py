"""How many there really are: the model's counts of all texts, corrected by what people saw in a sample of them.

Prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633; power tuning: 2311.01453) with the weights
of a stratified sample (2508.10149): the total of the predictions plus the weighted total of the errors seen. It is
unbiased whatever the model does. Sampling theory: Cochran 1977; intervals: see `limits`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtri, stdtrit

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
LEVEL: Final = 0.95
_Z: Final = float(ndtri((1 + LEVEL) / 2))
_UNSEEN: Final = 0.5
"""Errors added on either side before the limits are drawn; half a one, as in Jeffreys' interval for a rate."""
_FREEDOM: Final = 20.0
"""Fewest degrees of freedom that count: fewer come from rare errors, whose skewness is reckoned with already."""
_STRAIGHT: Final = 1e-3
"""A skewness below this is none."""


@dataclass(frozen=True)
class Sample:
    """What people and the model say of the labelled texts, for K figures at once (a figure = a total to estimate).

    Amounts are messages or texts: 0 where the text does not count for the figure.
    """

    stratum: Integers
    """Of each labelled text, shape [n]."""
    weight: Floats
    """How many texts of the frame each stands for: one over its probability, shape [n]."""
    sizes: Floats
    """Texts of the frame in each stratum, shape [H]."""
    truth: Floats
    """Amount by the people, shape [n, K]."""
    predicted: Floats
    """Amount by the model, shape [n, K]."""
    totals: Floats
    """Amount by the model over all texts of the frame, shape [K]."""
    amount: Floats
    """What each text would amount to if it counted (its copies, or 1), shape [n, K]."""
    kin: Integers
    """Figure whose errors tell how heavy an unseen error may be, shape [K]: a part looks to its whole."""


class Estimates(NamedTuple):
    """Totals with their 95 % limits, variances and weights of the predictions (lambda); each of shape [K]."""

    estimate: Floats
    lower: Floats
    upper: Floats
    variance: Floats
    power: Floats


class Moments(NamedTuple):
    """Variance and third central moment of estimated totals, and degrees of freedom of the former; shape [K]."""

    variance: Floats
    third: Floats
    freedom: Floats


def corrected(sample: Sample, power: float | None = None) -> Estimates:
    """The corrected totals; `power` 1 = plain prediction-powered, 0 = the labels alone, null = tuned per figure."""
    drawn = np.bincount(sample.stratum, minlength=len(sample.sizes)).astype(np.float64)
    tuned = _power(sample, drawn) if power is None else np.full(sample.truth.shape[1], power)
    left = sample.truth - tuned * sample.predicted
    estimate = tuned * sample.totals + sample.weight @ left
    moments = _moments(left, sample, drawn)
    lower, upper = limits(estimate, moments, unseen_weights(sample, drawn, tuned))
    return Estimates(estimate, lower, upper, moments.variance, tuned)


def _sums(values: Floats, sample: Sample) -> Floats:
    """Sums over each stratum, shape [H, K]."""
    found = np.zeros((len(sample.sizes), values.shape[1]))
    np.add.at(found, sample.stratum, values)
    return found


def _centred(values: Floats, sample: Sample, drawn: Floats) -> Floats:
    """Weighted values less their mean in the stratum."""
    weighted = values * sample.weight[:, None]
    means = _sums(weighted, sample) / np.maximum(drawn, 1)[:, None]
    return weighted - means[sample.stratum]


def _unseen_share(sample: Sample, drawn: Floats) -> Floats:
    """Of each stratum, shape [H, 1]."""
    share: Floats = 1 - drawn / np.maximum(sample.sizes, 1)
    return share[:, None]


def _factor(sample: Sample, drawn: Floats) -> Floats:
    """What turns a stratum's sum of squares of weighted values into the variance of its estimated total, [H, 1]."""
    return _unseen_share(sample, drawn) * (drawn / np.maximum(drawn - 1, 1))[:, None]


def _power(sample: Sample, drawn: Floats) -> Floats:
    """The lambda of each figure that makes its variance smallest, within 0 and 1; 1 where nothing tells."""
    truth, predicted = (_centred(each, sample, drawn) for each in (sample.truth, sample.predicted))
    factor = _factor(sample, drawn)
    both = (factor * _sums(truth * predicted, sample)).sum(axis=0)
    own = (factor * _sums(predicted**2, sample)).sum(axis=0)
    tuned: Floats = np.clip(np.divide(both, own, out=np.ones_like(both), where=own > 0), 0.0, 1.0)
    return tuned


def _moments(left: Floats, sample: Sample, drawn: Floats) -> Moments:
    """Of the weighted total of what is left after the predictions: stratified, with finite populations."""
    centred = _centred(left, sample, drawn)
    parts = _factor(sample, drawn) * _sums(centred**2, sample)
    variance = parts.sum(axis=0)
    freedom = _ratio(variance**2, (parts**2 / np.maximum(drawn - 1, 1)[:, None]).sum(axis=0))
    cubes = _unseen_share(sample, drawn) ** 2 * (drawn / np.maximum(drawn - 2, 1))[:, None]
    return Moments(variance, (cubes * _sums(centred**3, sample)).sum(axis=0), freedom)


def unseen_weights(sample: Sample, drawn: Floats, power: Floats) -> tuple[Floats, Floats]:
    """How far one more text of the kind that was hardly seen would move each total: down, and up.

    Down moves a false alarm; up a miss, or, as far as the predictions do not count (power below 1), a right alarm.
    """
    said, true = sample.predicted > 0, sample.truth > 0
    down = _typical(sample, drawn, said, said & ~true)
    up = np.maximum(
        _typical(sample, drawn, ~said, ~said & true), (1 - power) * _typical(sample, drawn, said, said & true)
    )
    return down[sample.kin], up[sample.kin]


def _typical(sample: Sample, drawn: Floats, possible: npt.NDArray[np.bool_], seen: npt.NDArray[np.bool_]) -> Floats:
    """What a text of a kind is worth in the total: the mean of those seen and one more of those where it is possible.

    Each is weighed by itself: it is likelier where more is at stake. A stratum that was looked at whole hides none.
    """
    whole = drawn >= sample.sizes
    worth = np.where(whole[sample.stratum], 0.0, sample.weight)[:, None] * sample.amount
    usual = _ratio((worth * possible).sum(axis=0), ((worth > 0) & possible).sum(axis=0).astype(np.float64))
    return _ratio((worth**2 * seen).sum(axis=0) + usual**2, (worth * seen).sum(axis=0) + usual)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def limits(estimate: Floats, moments: Moments, unseen: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """95 % limits that also hold when few errors were seen, or none.

    The weighted total of rare errors is skewed and its variance is estimated from the same few errors, so normal
    limits miss too often. As in the gamma interval for weighted Poisson counts (Fay & Feuer 1997; half an error more
    as in Fay & Kim 2017) half a text that nobody saw is added to either side (see `unseen_weights`), and the limit is
    a quantile of the Pearson III distribution with the three moments that result. What is left counts twice in the
    third moment, as it does for a gamma distribution against a Poisson count of the same variance.
    Satterthwaite's degrees of freedom (1946) widen the limits as they would normal ones.
    """
    wider = stdtrit(np.maximum(moments.freedom, _FREEDOM), (1 + LEVEL) / 2) / _Z
    sides = []
    for sign, weight, share in ((-1, unseen[0], (1 - LEVEL) / 2), (1, unseen[1], (1 + LEVEL) / 2)):
        middle = estimate + sign * _UNSEEN * weight
        variance = moments.variance + _UNSEEN * weight**2
        third = 2 * moments.third + sign * 2 * _UNSEEN * weight**3
        skewness = _ratio(third, variance**1.5)
        limit = middle + np.sqrt(variance) * pearson(share, skewness)
        sides.append(estimate + wider * (limit - estimate))
    return np.minimum(sides[0], estimate), np.maximum(sides[1], estimate)


def pearson(share: float, skewness: Floats) -> Floats:
    """Quantile of the Pearson III distribution of mean 0, variance 1 and these skewnesses (cut at 4 and -4)."""
    bent = np.clip(skewness, -4.0, 4.0)
    size = np.maximum(np.abs(bent), _STRAIGHT)
    shape = 4 / size**2
    low, high = ((gammaincinv(shape, q) - shape) / np.sqrt(shape) for q in (share, 1 - share))
    found = np.where(bent > 0, low, -high)
    straight: Floats = np.where(np.abs(bent) < _STRAIGHT, float(ndtri(share)), found)
    return straight


def ratio_limits(over: Estimates, under: Estimates) -> tuple[Floats, Floats]:
    """95 % limits of over / under for two independent totals, from their own (MOVER-R: Donner & Zou 2012)."""
    a, b = over.estimate, under.estimate

    def side(l_or_u: Floats, other: Floats, sign: int) -> Floats:
        top, bottom = l_or_u * (2 * a - l_or_u), other * (2 * b - other)
        root = np.sqrt(np.maximum((a * b) ** 2 - top * bottom, 0))
        limit: Floats = np.divide(a * b + sign * root, bottom, out=np.full_like(a, np.nan), where=bottom > 0)
        return limit

    lower, upper = side(over.lower, under.upper, -1), side(over.upper, under.lower, 1)
    return np.maximum(np.where(np.isnan(lower), 0.0, lower), 0.0), np.where(np.isnan(upper), np.inf, upper)


class Judged(NamedTuple):
    """What the classical correction needs: shares, and how many labelled texts they are worth."""

    apparent: float
    """Share that the model calls ads, over everything (known, not estimated)."""
    sensitivity: float
    specificity: float
    ads: float
    others: float
    """Effective numbers of labelled ads and of others: (sum of weights)² / sum of squares (Kish 1965)."""


def rogan_gladen(judged: Judged) -> tuple[float, float, float] | None:
    """Prevalence by Rogan & Gladen (1978) with the limits of Lang & Reiczigel (2014); null for a useless model."""
    if judged.sensitivity + judged.specificity <= 1:
        return None
    point = _untangled(judged.apparent, judged.sensitivity, judged.specificity)
    sensitivity = (judged.ads * judged.sensitivity + 1) / (judged.ads + 2)
    specificity = (judged.others * judged.specificity + 1) / (judged.others + 2)
    if sensitivity + specificity <= 1:
        return point, 0.0, 1.0
    middle = _untangled(judged.apparent, sensitivity, specificity)
    of_ads = sensitivity * (1 - sensitivity) / (judged.ads + 2)
    of_others = specificity * (1 - specificity) / (judged.others + 2)
    error = np.sqrt(middle**2 * of_ads + (1 - middle) ** 2 * of_others) / (sensitivity + specificity - 1)
    shift = 2 * _Z**2 * (middle * of_ads - (1 - middle) * of_others)
    low, high = (float(np.clip(middle + shift + sign * _Z * error, 0, 1)) for sign in (-1, 1))
    return point, min(low, point), max(high, point)


def _untangled(apparent: float, sensitivity: float, specificity: float) -> float:
    return float(np.clip((apparent + specificity - 1) / (sensitivity + specificity - 1), 0, 1))
