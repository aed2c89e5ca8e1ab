"""The page of `drugscan evaluate --html`: one file without script that needs nothing but itself.

Texts of messages stand in it escaped, cut, and with handles and phone numbers covered.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import markupsafe

from drugscan.contacts import cover_one
from drugscan.measures import OUTPUTS, RATES
from drugscan.report import allowed, asset, data_url, measured_charts, shown, template_of

KINDS: Final = 40
"""Kinds of message that stand in the page; the JSON has all."""
MAX_CHARACTERS: Final = 4_096
"""The longest message that Telegram allows."""
HEADLINE: Final = (
    ("detector.accuracy", "detector accuracy", "share of all texts that it judges right"),
    ("detector.precision", "detector precision", "share of what it calls an ad that is one"),
    ("detector.recall", "detector recall", "share of the ads that it finds"),
    ("detector.f1", "detector F1", "harmonic mean of precision and recall"),
    ("categoriser.label_accuracy", "label accuracy", "share of labels that are right on an ad, mean of the eight"),
    ("categoriser.hamming_loss", "Hamming loss", "share of labels that are wrong on an ad"),
    ("categoriser.macro_f1", "macro F1", "mean F1 of the labels"),
)


def render(result: Mapping[str, Any]) -> str:
    """The page of a result of `evaluation.measure`; a `comparison` (see there) in it gets a section of its own."""
    style = asset("style.css") + asset("measured.css")
    template = template_of("measured.html", span=span, points=points, step=step, covered=covered)
    return template.render(
        style=markupsafe.Markup(style),
        policy=f"default-src 'none'; img-src data:; style-src {allowed(style)}",
        result=result,
        headline=[
            (title, meaning, _at(result, name), _at(result["intervals"], name)) for name, title, meaning in HEADLINE
        ],
        outputs=[(output, *measured_charts.of_output(result, output)) for output in OUTPUTS],
        rates=RATES,
        pictures=_pictures(result),
        kinds=_most_wrong(result["kinds"])[:KINDS],
        comparison=result.get("comparison"),
        differences=_differences(result.get("comparison")),
    )


def span(interval: Sequence[float] | None) -> str:
    """An interval of shares as percentages."""
    return "–" if interval is None else f"{interval[0]:.1%} – {interval[1]:.1%}"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    if value is None:
        return "–"
    rounded = round(100 * value, 1)
    return f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}") if rounded else "0.0"


def step(value: float | None) -> str:
    """A threshold, a score or an error with digits enough."""
    return "–" if value is None else f"{value:.3f}".removesuffix("0")


def covered(text: str) -> str:
    """A text of a message as people may see it.

    Cut before it is masked too: the patterns of contacts take quadratic time on long hostile texts.
    """
    return shown(cover_one(text[:MAX_CHARACTERS]))


def _at(found: Mapping[str, Any] | None, name: str) -> Any:  # noqa: ANN401 - a figure, an interval, or nothing
    """What stands under a dotted name; None if nothing does."""
    value: Any = found
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _pictures(result: Mapping[str, Any]) -> dict[str, str]:
    drawn = {}
    if any(figures["f1"] is not None for figures in (measured_charts.of_output(result, each)[0] for each in OUTPUTS)):
        drawn["intervals"] = measured_charts.label_intervals(result)
    if any(each["n"] for each in result["calibration"].values()):
        drawn["reliability"] = measured_charts.reliability(result)
    if result["curves"][OUTPUTS[0]]:
        drawn["curve"] = measured_charts.threshold_curve(result, OUTPUTS[0])
    return {name: data_url(svg) for name, svg in drawn.items()}


def _most_wrong(kinds: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Kinds with the most errors of the detector first."""
    return sorted(kinds.items(), key=lambda kind: -(kind[1]["false_alarms"] or 0) - (kind[1]["misses"] or 0))


def _differences(comparison: Mapping[str, Any] | None) -> list[tuple[str, Any, Any, Any, Any]]:
    """Title, figure of one, figure of the other, difference and its interval; the F1 of each label last."""
    if comparison is None:
        return []
    labels = [
        (f"categoriser.per_label.{output}.f1", f"{output} F1", "")
        for output in comparison["outputs"]
        if output != OUTPUTS[0]
    ]
    parts = ("figures", "other_figures", "difference", "intervals")
    return [(title, *(_at(comparison[part], name) for part in parts)) for name, title, _ in (*HEADLINE, *labels)]
