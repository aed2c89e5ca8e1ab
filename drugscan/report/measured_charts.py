"""Pictures of an evaluation as static SVG: intervals, reliability, thresholds. No text of any message is in them."""

from collections.abc import Mapping
from typing import Any, Final

import altair as alt

from drugscan.measures import OUTPUTS, RATES
from drugscan.report.charts import INK, data, drawn

_BLUE: Final = "#4a6f8f"
_RED: Final = "#a63d40"
_NAMES: Final = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
_COLOURS: Final = dict(zip(_NAMES.values(), (INK, "#5b6c9d", "#c08a2d", _RED), strict=True))
_COLUMNS: Final = 3


def label_intervals(result: Mapping[str, Any]) -> str:
    """F1 of every output with its 95 % interval; an SVG."""
    rows = []
    for output in OUTPUTS:
        figures, intervals = of_output(result, output)
        if figures["f1"] is not None:
            low, high = intervals.get("f1", (figures["f1"], figures["f1"]))
            rows.append({"output": output, "f1": figures["f1"], "low": low, "high": high})
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("output:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    )
    least = min([row["low"] for row in rows], default=0.0)
    scale = alt.Scale(domain=[max(0.0, least - 0.02), 1.0], nice=False)
    bars = base.mark_rule(color=_BLUE, strokeWidth=3, opacity=0.55).encode(
        x=alt.X("low:Q", scale=scale, title="F1", axis=_axis(format=".0%", tickCount=6)), x2="high:Q"
    )
    dots = base.mark_circle(color=_BLUE, size=70, opacity=1).encode(x=alt.X("f1:Q", scale=scale))
    figures_text = base.mark_text(align="left", dx=8, dy=-8, color=INK, fontSize=10).encode(
        x=alt.X("f1:Q", scale=scale), text=alt.Text("f1:Q", format=".1%")
    )
    return drawn(alt.layer(bars, dots, figures_text).properties(width=620, height=max(1, len(rows)) * 30))


def reliability(result: Mapping[str, Any]) -> str:
    """Share that holds against mean score, a panel per output, with the interval of each bin; an SVG."""
    panels = []
    for output in OUTPUTS:
        calibrated = result["calibration"][output]
        if calibrated["n"]:
            panels.append(_panel(output, calibrated))
    return drawn(alt.concat(*panels, columns=_COLUMNS, spacing=22))


def _panel(output: str, calibrated: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Altair's charts have no common type
    rows = []
    for each in calibrated["bins"]:
        low, high = each["interval"] or (each["rate"], each["rate"])
        rows.append({"score": each["score"], "rate": each["rate"], "low": low, "high": high})
    unit = alt.Scale(domain=[0, 1], nice=False)
    axis = _axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], labelOverlap=False)
    perfect = (
        alt.Chart(data([{"at": 0}, {"at": 1}]))
        .mark_line(color="#9aa7b2", strokeDash=[4, 3], strokeWidth=1)
        .encode(x=alt.X("at:Q", scale=unit, axis=axis, title="score"), y=alt.Y("at:Q", scale=unit, axis=axis))
    )
    base = alt.Chart(data(rows)).encode(x=alt.X("score:Q", scale=unit))
    bars = base.mark_rule(color=_BLUE, strokeWidth=2, opacity=0.5).encode(
        y=alt.Y("low:Q", scale=unit, title="share that holds"), y2="high:Q"
    )
    dots = base.mark_circle(color=_BLUE, size=36, opacity=0.95).encode(y=alt.Y("rate:Q", scale=unit))
    title = alt.Title(output, color=INK, fontSize=12, anchor="start")
    return alt.layer(perfect, bars, dots).properties(width=228, height=228, title=title)


def threshold_curve(result: Mapping[str, Any], output: str) -> str:
    """Accuracy, precision, recall and F1 of an output at every threshold; a line at the one in use. An SVG."""
    found = result["curves"][output]
    rows = [
        {"threshold": step, "figure": _NAMES[name], "value": value}
        for name in RATES
        for step, value in zip(found["threshold"], found[name], strict=True)
        if value is not None
    ]
    least = min(row["value"] for row in rows)
    lines = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X(
                "threshold:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=_axis(format=".1f", grid=False, values=[n / 10 for n in range(11)]),
            ),
            y=alt.Y(
                "value:Q",
                title=None,
                scale=alt.Scale(domain=[max(0.0, least - 0.02), 1.0]),
                axis=alt.Axis(format=".0%"),
            ),
            color=alt.Color(
                "figure:N",
                scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())),
                legend=alt.Legend(title=None, orient="top"),
            ),
            strokeDash=alt.StrokeDash(
                "figure:N",
                scale=alt.Scale(domain=list(_COLOURS), range=[[1, 0], [6, 2], [2, 2], [8, 3, 2, 3]]),
                legend=None,
            ),
        )
    )
    used = (
        alt.Chart(data([{"threshold": result["thresholds"][output]}]))
        .mark_rule(color=INK, strokeDash=[3, 3], strokeWidth=1)
        .encode(x="threshold:Q")
    )
    return drawn(alt.layer(lines, used).properties(width=720, height=260))


def _axis(**options: Any) -> alt.Axis:  # noqa: ANN401 - Altair's own options
    return alt.Axis(titleFontWeight="normal", **options)


def of_output(result: Mapping[str, Any], output: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of an output and their intervals, wherever they stand in the result."""
    intervals = result["intervals"]
    if output == OUTPUTS[0]:
        return result["detector"], intervals.get("detector", {})
    per_label = intervals.get("categoriser", {}).get("per_label", {})
    return result["categoriser"]["per_label"][output], per_label.get(output, {})
