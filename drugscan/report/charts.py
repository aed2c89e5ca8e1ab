"""Charts that Vega draws as static SVG without a browser, with no text of any message in them."""

from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import polars as pl
import vl_convert

from drugscan.report.language import ENGLISH, Language

INK: Final = "#33414e"
POINTS: Final = 400
"""Most points of a curve; between them it is drawn straight."""
_FONT: Final = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Look:
    """The colours of a chart on one kind of page."""

    ink: str = INK
    grid: str = "#dde3e8"
    axis: str = "#9aa7b2"
    line: str = "#274f78"
    band: str = "#c6d7e5"


LIGHT: Final = Look()
DARK: Final = Look(ink="#c4ccd3", grid="#2c363f", axis="#5b6772", line="#a9cdec", band="#2f4860")


def survival(lifetimes: pl.DataFrame, language: Language, look: Look) -> str:
    """Share of sellers still active by days since their first ad, with its 95 % limits; an SVG."""
    every = max(1, -(-lifetimes.height // POINTS))
    rows = lifetimes.select("days", "survival", "lower", "upper").gather_every(every).to_dicts()
    days = alt.Axis(format=",d", tickCount=8, grid=False)
    base = alt.Chart(data(rows)).encode(x=alt.X("days:Q", title=language("days_axis"), axis=days))
    shares = alt.Axis(format=".0%", tickCount=5)
    band = base.mark_area(color=look.band, opacity=0.8, interpolate="step-after").encode(
        y=alt.Y("lower:Q", title=language("active_axis"), axis=shares), y2="upper:Q"
    )
    line = base.mark_line(color=look.line, strokeWidth=2, interpolate="step-after").encode(
        y=alt.Y("survival:Q", scale=alt.Scale(domain=[0, 1]))
    )
    return drawn(alt.layer(band, line).properties(width=620, height=220), language, look)


def data(rows: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - as below
    """Rows as the data of a chart."""
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def drawn(chart: Any, language: Language = ENGLISH, look: Look = LIGHT) -> str:  # noqa: ANN401 - no common type
    """A chart in the report's look, as SVG."""
    styled = (
        chart.configure(background="transparent", font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=look.ink,
            titleColor=look.ink,
            titleFontWeight="normal",
            gridColor=look.grid,
            domainColor=look.axis,
            tickColor=look.axis,
        )
        .configure_legend(labelColor=look.ink, titleColor=look.ink, titleFontWeight="normal")
    )
    return str(vl_convert.vegalite_to_svg(styled.to_dict(), format_locale=language.marks))
