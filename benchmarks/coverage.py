"""Do the 95 % intervals of an audit hold the truth in 95 of 100 cases, also where the model is bad?

    python benchmarks/coverage.py [--corpora 500] [--texts 1000]

Each scenario makes that many corpora: distinct texts with copies as heavy-tailed as the demo's, the truth, and what a
model of given sensitivity and specificity says (per distinct text). Of each corpus a sample is drawn and labelled
rightly. Told are, per figure: how often the interval holds the truth, its mean width in shares of the truth, the same
for the labels alone (the weighted sample without the model, normal interval), and how far the model's count is off.
A card for people comes first, one JSON object is the last line, and the results are kept in benchmarks/results.
"""

import argparse
import dataclasses
import json
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtri

from drugscan import __version__, audit_sample, prevalence

HERE = Path(__file__).parent
FIGURES: Final = (
    "ads.messages",
    "ads.texts",
    "label.messages",
    "label.texts",
    "province.messages",
    "province.texts",
)
RATES: Final = ("ads.messages.precision", "ads.texts.precision", "ads.messages.recall", "ads.texts.recall")
THRESHOLD: Final = 0.5
HOT_SHARE: Final = 0.05
Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scenario:
    """What the corpora of a scenario have in common."""

    ad_texts: int
    ad_messages: int
    other_texts: int
    sensitivity: float
    specificity: float
    two_scores: bool = False
    """The model gives 0.9 or 0.1 and nothing between: strata of score are of no use."""
    weak_when_copied: float = 0.0
    """How much harder (in standard deviations) ads are to see that have more than 100 copies."""


SCENARIOS: Final = {
    "good model": Scenario(18_000, 830_000, 190_000, 0.97, 0.97),
    "bad model": Scenario(18_000, 830_000, 190_000, 0.70, 0.85),
    "two scores only": Scenario(18_000, 830_000, 190_000, 0.90, 0.95, two_scores=True),
    "worst where copied": Scenario(18_000, 830_000, 190_000, 0.90, 0.95, weak_when_copied=1.0),
    "8 % of messages are ads": Scenario(1_900, 86_000, 600_000, 0.90, 0.97),
    "8 % and a bad model": Scenario(1_900, 86_000, 600_000, 0.70, 0.85),
}
"""The demo's proportions at a third of its size (2.5 million ads of 55,000 texts; 8 % of distinct texts are ads, but
most messages), then ads as rare as in the groups of Blankers et al. 2021: 8 % of messages, and 0.3 % of distinct texts,
since other messages hardly repeat."""


@dataclass(frozen=True)
class Made:
    """A made corpus: what is known of each distinct text, and what is true."""

    frame: audit_sample.Frame
    is_ad: Truths
    has_label: Truths
    said_label: Truths
    in_province: Truths


def make(scenario: Scenario, random: np.random.Generator) -> Made:
    """Copies as in the demo (Pareto 1.1, one text with 5 % of the ads); scores from two normal distributions."""
    weight = random.pareto(1.1, scenario.ad_texts) + 0.05
    weight = np.minimum(weight, weight.sum() * HOT_SHARE / 5)
    weight[0] = weight[1:].sum() * HOT_SHARE / (1 - HOT_SHARE)
    posted = random.multinomial(scenario.ad_messages, weight / weight.sum())
    # of the other texts a share of 1/c has c or more copies squared: half are posted once or twice, a few very often
    others = np.minimum(1 / np.sqrt(1 - random.random(scenario.other_texts)), 5000).astype(np.int64)
    copies = np.concatenate([posted[posted > 0], others])
    is_ad = np.arange(len(copies)) < (posted > 0).sum()
    seen = np.where(is_ad, ndtri(scenario.sensitivity), -ndtri(scenario.specificity))
    seen = seen - scenario.weak_when_copied * (is_ad & (copies > 100))
    evidence = random.standard_normal(len(copies)) + seen
    said = evidence >= 0
    sharpness = ndtri(scenario.sensitivity) + ndtri(scenario.specificity)
    score = np.where(said, 0.9, 0.1) if scenario.two_scores else expit(sharpness * evidence)
    luck = random.random((3, len(copies)))
    has_label = is_ad & (luck[0] < 0.4)
    said_label = said & (luck[1] < np.where(has_label, 0.85, np.where(is_ad, 0.1, 0.4)))
    frame = audit_sample.Frame(score, copies.astype(np.int64), said, THRESHOLD)
    return Made(frame, is_ad, has_label, said_label, luck[2] < np.where(is_ad, 0.15, 0.02))


def one_audit(scenario: Scenario, texts: int, seed: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Per figure truth, counted, estimate, lower, upper, and the last three of the labels alone; and `rates`."""
    random = np.random.default_rng(seed)
    made = make(scenario, random)
    drawn = audit_sample.draw(made.frame, texts, random)
    sample, truth = seen(made, drawn)
    found, alone = prevalence.corrected(sample), prevalence.corrected(sample, power=0.0)
    half = float(ndtri(0.975)) * np.sqrt(alone.variance)
    naive = (alone.estimate, alone.estimate - half, alone.estimate + half)
    figures = np.stack([truth, sample.totals, found.estimate, found.lower, found.upper, *naive])
    return figures, rates(made, sample)


def seen(made: Made, drawn: audit_sample.Drawing) -> tuple[prevalence.Sample, Floats]:
    """What an audit knows of a made corpus, and the true totals; one column per figure."""
    copies, rows, frame = made.frame.copies.astype(np.float64), drawn.rows, made.frame
    strata = int(drawn.stratum.max()) + 1
    sides = (
        (made.is_ad, frame.is_ad),
        (made.has_label, made.said_label),
        (made.is_ad & made.in_province, frame.is_ad & made.in_province),
    )
    columns: dict[str, list[Floats]] = {name: [] for name in ("truth", "said", "amount")}
    totals: dict[str, list[float]] = {"true": [], "said": []}
    for right, model in sides:
        for size in (copies, np.ones(len(copies))):
            columns["truth"].append(right[rows] * size[rows])
            columns["said"].append(model[rows] * size[rows])
            columns["amount"].append(size[rows])
            totals["true"].append(float(size[right].sum()))
            totals["said"].append(float(size[model].sum()))
    truth, said, amount = (np.column_stack(each) for each in columns.values())
    stratum, sizes = drawn.stratum[rows], np.bincount(drawn.stratum, minlength=strata).astype(np.float64)
    weight = (sizes / np.maximum(np.bincount(stratum, minlength=strata), 1))[stratum]
    kin = np.array([0, 1, 2, 3, 0, 1])
    sample = prevalence.Sample(stratum, weight, sizes, truth, said, np.array(totals["said"]), amount, kin)
    return sample, np.array(totals["true"])


def rates(made: Made, sample: prevalence.Sample) -> Floats:
    """Rows truth, lower, upper of precision and recall of the ads, as `audit_figures` reckons them."""
    right, said = made.is_ad & made.frame.is_ad, (sample.predicted > 0).astype(np.float64)
    truth, amount, kin = sample.truth, sample.amount, np.arange(len(FIGURES))
    found = prevalence.corrected(dataclasses.replace(sample, truth=truth * said, amount=amount * said, kin=kin))
    blind = dataclasses.replace(sample, predicted=np.zeros_like(said), totals=np.zeros(len(FIGURES)), kin=kin)
    missed = prevalence.corrected(dataclasses.replace(blind, truth=truth * (1 - said), amount=amount * (1 - said)))
    low, high = prevalence.ratio_limits(missed, found)
    sizes = (made.frame.copies, np.ones(len(right)))
    true = [size[right].sum() / size[whole].sum() for whole in (made.frame.is_ad, made.is_ad) for size in sizes]
    precision = (found.lower / sample.totals, np.minimum(found.upper / sample.totals, 1))
    recall = (1 / (1 + high), 1 / (1 + low))
    limits = (np.concatenate([one[:2], other[:2]]) for one, other in zip(precision, recall, strict=True))
    return np.stack([np.array(true), *limits])


def measure(name: str, corpora: int, texts: int, seed: int = 0) -> dict[str, Any]:
    """Coverage and widths over the corpora of a scenario."""
    started = time.perf_counter()
    number = list(SCENARIOS).index(name)
    audits = [one_audit(SCENARIOS[name], texts, (seed, number, each)) for each in range(corpora)]
    figures, shares = (np.stack(each) for each in zip(*audits, strict=True))
    seconds = round(time.perf_counter() - started, 1)
    return {"scenario": name, "seconds": seconds, "figures": told(figures), "rates": told_rates(shares)}


def told(audits: Floats) -> dict[str, dict[str, float]]:
    """Per figure what the audits say together; widths and errors are shares of the truth."""
    truth, counted, estimate, lower, upper, alone, alone_lower, alone_upper = audits.transpose(1, 0, 2)
    each = {
        "covered": (lower <= truth) & (truth <= upper),
        "below": truth < lower,
        "above": truth > upper,
        "width": (upper - lower) / truth,
        "bias": (estimate - truth) / truth,
        "counted_off_by": (counted - truth) / truth,
        "labels_alone_covered": (alone_lower <= truth) & (truth <= alone_upper),
        "labels_alone_width": (alone_upper - alone_lower) / truth,
    }
    means = {name: values.mean(axis=0) for name, values in each.items()}
    return {
        figure: {name: round(float(values[column]), 4) for name, values in means.items()}
        for column, figure in enumerate(FIGURES)
    }


def told_rates(shares: Floats) -> dict[str, dict[str, float]]:
    """Coverage and mean width (in points of 1) of precision and recall."""
    truth, lower, upper = shares.transpose(1, 0, 2)
    covered, width = ((lower <= truth) & (truth <= upper)).mean(axis=0), (upper - lower).mean(axis=0)
    return {
        rate: {"covered": round(float(covered[column]), 4), "width": round(float(width[column]), 4)}
        for column, rate in enumerate(RATES)
    }


def card(result: dict[str, Any]) -> str:
    """A result for people."""
    head = f"{result['scenario']:<26}{'covered':>9}{'width':>8}{'bias':>9}{'counted':>10}   labels alone"
    lines = [head]
    for figure, row in result["figures"].items():
        alone = f"{row['labels_alone_covered']:.1%} {row['labels_alone_width']:.0%}"
        lines.append(
            f"  {figure:<24}{row['covered']:>9.1%}{row['width']:>8.0%}{row['bias']:>+9.1%}"
            f"{row['counted_off_by']:>+10.0%}   {alone}"
        )
    lines += [f"  {rate:<24}{row['covered']:>9.1%}{row['width']:>8.0%}" for rate, row in result["rates"].items()]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=int, default=500)
    parser.add_argument("--texts", type=int, default=1000)
    arguments = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(measure, SCENARIOS, repeat(arguments.corpora), repeat(arguments.texts)))
    for result in results:
        print(card(result))
    whole = {
        "benchmark": "coverage",
        "date": datetime.now(UTC).date().isoformat(),
        "drugscan": __version__,
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count()},
        "corpora": arguments.corpora,
        "texts": arguments.texts,
        "seconds": round(time.perf_counter() - started, 1),
        "results": results,
    }
    kept = HERE / "results" / f"coverage-{whole['date']}.json"
    kept.write_text(json.dumps(whole, indent=1) + "\n")
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
