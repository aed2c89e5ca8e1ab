"""Corrected totals: against ppi-python, hand-computed cases, and what must hold when nothing wrong was seen."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from drugscan import prevalence

REFERENCE = Path(__file__).parent / "labelled" / "ppi_python.json"
"""Written with ppi-python 0.2.3 in an environment of its own (it is no dependency), for each case by

    r = np.random.default_rng(seed)
    y = (r.random(texts) < rate).astype(float)
    f = np.where(r.random(texts) < right, y, 1 - y)
    rows = np.sort(r.choice(texts, n, replace=False))
    ppi_mean_pointestimate(y[rows], f[rows], f, lam=lam), ppi_mean_ci(y[rows], f[rows], f, alpha=0.05, lam=lam)

with lam 1.0, 0.7, 0.0 and None (tuned).
"""


def sample(
    truth: list[float], predicted: list[float], stratum: list[int], sizes: list[float], totals: list[float]
) -> prevalence.Sample:
    """One figure, in texts."""
    right, said = (np.array(each, np.float64)[:, None] for each in (truth, predicted))
    known, strata = np.array([sum(totals)], np.float64), np.array(stratum)
    weight = (np.array(sizes) / np.bincount(strata, minlength=len(sizes)))[strata]
    kin = np.zeros(1, np.int64)
    return prevalence.Sample(strata, weight, np.array(sizes, np.float64), right, said, known, np.ones_like(right), kin)


def drawn_like(case: dict[str, float]) -> tuple[prevalence.Sample, np.ndarray]:
    random, texts = np.random.default_rng(int(case["seed"])), int(case["texts"])
    truth = (random.random(texts) < case["rate"]).astype(float)
    said = np.where(random.random(texts) < case["right"], truth, 1 - truth)
    rows = np.sort(random.choice(texts, int(case["n"]), replace=False))
    zeros = [0] * len(rows)
    return sample(truth[rows].tolist(), said[rows].tolist(), zeros, [texts], [said.sum()]), said


@pytest.mark.parametrize("case", json.loads(REFERENCE.read_text()), ids=lambda case: f"rate-{case['rate']}")
@pytest.mark.parametrize("power", ["1.0", "0.7", "0.0"])
def test_point_and_variance_are_those_of_ppi_python(case: dict[str, dict[str, float]], power: str) -> None:
    """ppi-python takes all texts for a sample of still more; we take them for all there are. Else it is the same."""
    drawn, said = drawn_like(case)  # type: ignore[arg-type]
    found, texts, n = prevalence.corrected(drawn, float(power)), case["texts"], case["n"]
    assert found.estimate[0] / texts == pytest.approx(case[power]["point"], rel=1e-12)
    theirs = ((case[power]["upper"] - case[power]["lower"]) / 2 / stats.norm.ppf(0.975)) ** 2
    of_errors = theirs - float(power) ** 2 * said.var() / texts
    ours = found.variance[0] / texts**2 / (1 - n / texts) * (n - 1) / n
    assert ours == pytest.approx(of_errors, rel=1e-9)


@pytest.mark.parametrize("case", json.loads(REFERENCE.read_text()), ids=lambda case: f"rate-{case['rate']}")
def test_the_tuned_estimate_is_near_theirs(case: dict[str, dict[str, float]]) -> None:
    """They take the variance of the predictions over all texts, we that in the sample: another lambda, a little."""
    found = prevalence.corrected(drawn_like(case)[0])  # type: ignore[arg-type]
    width = (case["tuned"]["upper"] - case["tuned"]["lower"]) * case["texts"]  # type: ignore[operator]
    assert 0 < found.power[0] < 1
    assert found.estimate[0] == pytest.approx(case["tuned"]["point"] * case["texts"], abs=0.03 * width)  # type: ignore[operator]
    assert found.upper[0] - found.lower[0] == pytest.approx(width, rel=0.1)


def test_a_stratified_case_by_hand() -> None:
    """Stratum A: 10 texts, 4 drawn, all called ads, one is none. B: 100 texts, 5 drawn, none called, one is one.

    Counted 10; A: 10 - 10/4 x 1 = 7.5; B: 0 + 100/5 x 1 = 20. Variance A: 10² (1 - 0.4) / 4 x 0.25 = 3.75,
    B: 100² (1 - 0.05) / 5 x 0.2 = 380.
    """
    given = sample([1, 1, 1, 0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0, 0], [0] * 4 + [1] * 5, [10, 100], [10, 0])
    found = prevalence.corrected(given, power=1.0)
    assert found.estimate[0] == pytest.approx(27.5)
    assert found.variance[0] == pytest.approx(3.75 + 380)
    assert found.lower[0] < 27.5 < found.upper[0]


def test_the_limits_are_not_shut_when_no_error_was_seen() -> None:
    """With 0 misses among n texts of very many they are near Jeffreys' limit for a rate, and the lower is the count."""
    n, texts = 200, 1_000_000
    found = prevalence.corrected(sample([0] * n, [0] * n, [0] * n, [texts], [0]))
    jeffreys = stats.beta.ppf(0.975, 0.5, n + 0.5) * texts
    assert found.estimate[0] == found.lower[0] == 0
    assert jeffreys < found.upper[0] < 1.15 * jeffreys


def test_what_was_looked_at_whole_has_no_interval() -> None:
    found = prevalence.corrected(sample([1, 0, 1], [1, 1, 0], [0, 0, 0], [3], [2]))
    assert (found.estimate[0], found.lower[0], found.upper[0]) == (2, 2, 2)


def test_a_rare_and_heavy_error_opens_the_limit_above() -> None:
    """One miss with a weight of 5,000 messages: the upper limit is further away than the lower."""
    truth = [5000.0] + [0.0] * 199
    found = prevalence.corrected(sample(truth, [0] * 200, [0] * 200, [1000], [0]))
    assert found.upper[0] - found.estimate[0] > 2 * (found.estimate[0] - found.lower[0])


def test_tuning_never_has_more_variance_than_either_extreme() -> None:
    random = np.random.default_rng(5)
    for right in (0.55, 0.75, 0.95):
        truth = (random.random(600) < 0.4).astype(float)
        said = np.where(random.random(600) < right, truth, 1 - truth)
        given = sample(truth.tolist(), said.tolist(), [0] * 300 + [1] * 300, [5000, 90_000], [2000, 40_000])
        tuned, plain, alone = (prevalence.corrected(given, power).variance[0] for power in (None, 1.0, 0.0))
        assert tuned <= min(plain, alone) * (1 + 1e-9)


@pytest.mark.parametrize("skewness", [-4.0, -1.3, -0.01, 0.0, 0.2, 2.0, 4.0])
@pytest.mark.parametrize("share", [0.025, 0.975])
def test_pearson_quantiles(skewness: float, share: float) -> None:
    assert prevalence.pearson(share, np.array([skewness]))[0] == pytest.approx(
        stats.pearson3.ppf(share, skewness), abs=2e-4
    )


def _totals(estimate: float, lower: float, upper: float) -> prevalence.Estimates:
    return prevalence.Estimates(*(np.array([float(each)]) for each in (estimate, lower, upper, 0.0, 1.0)))


def test_limits_of_a_ratio() -> None:
    """With a denominator that is known the limits are those of the numerator, divided; with none missed: from 0 on."""
    low, high = prevalence.ratio_limits(_totals(20, 12, 34), _totals(100, 100, 100))
    assert (low[0], high[0]) == (pytest.approx(0.12), pytest.approx(0.34))
    low, high = prevalence.ratio_limits(_totals(0, 0, 5), _totals(100, 90, 110))
    assert low[0] == 0
    assert 0.05 < high[0] < 0.052
    wider = prevalence.ratio_limits(_totals(20, 12, 34), _totals(100, 80, 125))
    assert wider[0][0] < 0.12
    assert wider[1][0] > 0.34


def test_rogan_gladen_by_hand() -> None:
    """0.2 apparent, Se 0.8, Sp 0.9: (0.2 + 0.9 - 1) / 0.7 = 1/7.

    Lang and Reiczigel with 98 ads and 198 others: Se' = 79.4/100, Sp' = 179.2/200 = 0.896,
    middle 0.096/0.69 = 0.139130; variances 0.794 x 0.206/100 = 0.00163564 and 0.896 x 0.104/200 = 0.00046592;
    error = sqrt(0.0193573 x 0.00163564 + 0.7410964 x 0.00046592)/0.69 = 0.0281330;
    shift = 2 x 3.841459 (0.139130 x 0.00163564 - 0.860870 x 0.00046592) = -0.0013332.
    """
    point, low, high = prevalence.rogan_gladen(prevalence.Judged(0.2, 0.8, 0.9, 98, 198)) or (0.0, 0.0, 0.0)
    assert point == pytest.approx(1 / 7)
    assert low == pytest.approx(0.139130 - 0.0013332 - 1.959964 * 0.0281330, abs=2e-5)
    assert high == pytest.approx(0.139130 - 0.0013332 + 1.959964 * 0.0281330, abs=2e-5)


def test_rogan_gladen_knows_its_limits() -> None:
    assert prevalence.rogan_gladen(prevalence.Judged(0.2, 0.4, 0.6, 100, 100)) is None
    below = prevalence.rogan_gladen(prevalence.Judged(0.05, 0.9, 0.9, 100, 100))
    assert below is not None
    assert below[0] == below[1] == 0 < below[2]
