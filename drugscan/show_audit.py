"""An audit as text for a terminal."""

from typing import Final

import polars as pl

from drugscan.audit import Audit, Figure, Rate
from drugscan.audit_labels import Labels
from drugscan.schema import LABELS

_PROBLEMS: Final = 10
_PROVINCES: Final = 5
_ENOUGH: Final = 3


def lines(result: Audit) -> str:
    """Counted, corrected and interval of the figures that people look for; what the model is worth; agreement."""
    people = f"{len(result.labellers)} {'person' if len(result.labellers) == 1 else 'people'}"
    said = [f"audit {result.name}: {result.labelled:,} of {result.drawn:,} drawn texts labelled by {people}", ""]
    head = f"{'':<24}{'counted':>12}{'corrected':>12}   95 % interval"
    for unit in ("messages", "texts"):
        said += [head.replace(" " * len(unit), unit, 1)]
        said += [_figure("drug ads", result.figures[f"ads.{unit}"])]
        said += [_figure(f"  {label}", result.figures[f"label.{label}.{unit}"]) for label in LABELS]
        said += [_figure(f"  {name}", figure) for name, figure in _largest(result, unit)] + [""]
    for key, figure in result.rogan_gladen.items():
        said.append(_figure(f"{key.removeprefix('ads.')}, Rogan-Gladen", figure))
    said += [""] if result.rogan_gladen else []
    for name in ("precision", "recall"):
        rates = ((unit, result.rates.get(f"ads.{unit}.{name}")) for unit in ("messages", "texts"))
        said += [_rate(f"{name}, {unit}", rate) for unit, rate in rates if rate]
    for output, found in result.agreement.items():
        said.append(f"{'alpha ' + output:<24}{found.alpha:>12.2f}   {found.lower:.2f} to {found.upper:.2f}")
    return "\n".join(said)


def _largest(result: Audit, unit: str) -> list[tuple[str, Figure]]:
    """The provinces with most ads by the count."""
    named = [
        (key.removeprefix("province.").removesuffix(f".{unit}"), figure)
        for key, figure in result.figures.items()
        if key.startswith("province.") and key.endswith(f".{unit}") and figure.counted
    ]
    return sorted(named, key=lambda pair: -pair[1].counted)[:_PROVINCES]


def _figure(name: str, figure: Figure) -> str:
    interval = f"{figure.lower:,.0f} to {figure.upper:,.0f}"
    return f"{name:<24}{figure.counted:>12,.0f}{figure.estimate:>12,.0f}   {interval}"


def _rate(name: str, rate: Rate) -> str:
    return f"{name:<24}{rate.estimate:>12.1%}   {rate.lower:.1%} to {rate.upper:.1%}"


def checks(result: Audit, labels: Labels, sample: pl.DataFrame) -> str:
    """What was read and what was left out, for people.

    The first texts of the sheet (stratum 0) are known then, so how much of the others was seen is told apart.
    """
    others = sample.filter(pl.col("stratum") > 0)
    seen = others.filter(pl.col("text_id").is_in(list({text_id for text_id, _ in labels.said}))).height
    said = [f"labels of {', '.join(result.labellers)}: {len(labels.said):,} verdicts on {result.labelled:,} texts"]
    missing = result.drawn - result.labelled
    counts = {"texts nobody labelled": missing, "texts on which people are even": result.disputed, **labels.counts}
    said += [f"  {count:,} {name}" for name, count in counts.items() if count]
    if result.labelled * _ENOUGH < result.drawn or seen * _ENOUGH < others.height:
        part = f" ({seen:,} of {others.height:,} texts behind the heaviest ones)" if others.height else ""
        said.append(f"  less than a third is labelled{part}: the intervals are too narrow then; label more to publish")
    said += [f"  left out: {problem}" for problem in labels.problems[:_PROBLEMS]]
    if len(labels.problems) > _PROBLEMS:
        said.append(f"  ... and {len(labels.problems) - _PROBLEMS} more left out")
    return "\n".join(said)


def short(result: Audit | None) -> str:
    """What stands behind the count of ads in the summary of a scan."""
    if result is None:
        return "not audited"
    ads = result.figures["ads.messages"]
    return f"by audit {ads.estimate:,.0f} ({ads.lower:,.0f} to {ads.upper:,.0f})"
