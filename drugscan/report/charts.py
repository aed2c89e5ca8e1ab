"""The report's pictures as static SVG: drawn by Vega without a browser, with no text of any message in them."""

import json
from importlib import resources
from typing import Any, Final

import altair as alt
import polars as pl
import vl_convert

INK: Final = "#33414e"
"""Reads on a light and on a dark page."""
_KINDS: Final = {"softdrugs": "#3f7f5f", "harddrugs": "#a63d40", "designer": "#5b6c9d", "medicijnen": "#c08a2d"}
_FONT: Final = "Georgia, 'Times New Roman', serif"


def province_map(provinces: pl.DataFrame, places: pl.DataFrame) -> str:
    """Ads per 100,000 inhabitants by province, a dot per place by number of ads; an SVG."""
    features = json.loads((resources.files("drugscan") / "data" / "provinces.geojson").read_text())["features"]
    rates = {row["province"]: row for row in provinces.to_dicts()}
    for feature in features:
        row = rates.get(feature["properties"]["province"], {"per_100k": 0.0})
        feature["properties"]["rate"] = row["per_100k"]
    land = (
        alt.Chart(data(features))
        .mark_geoshape(stroke="#ffffff", strokeWidth=0.8)
        .encode(
            alt.Color(
                "properties.rate:Q",
                scale=alt.Scale(scheme="blues", domainMin=0),
                legend=alt.Legend(
                    title="ads per 100,000 inhabitants", orient="bottom", gradientLength=240, format=",.0f"
                ),
            )
        )
    )
    top = places.drop_nulls(["latitude", "longitude"]).sort("messages", descending=True).head(80)
    dots = (
        alt.Chart(data(top.select("latitude", "longitude", "messages").to_dicts()))
        .mark_circle(color="#a63d40", opacity=0.55, stroke="#ffffff", strokeWidth=0.4)
        .encode(
            latitude="latitude:Q",
            longitude="longitude:Q",
            size=alt.Size("messages:Q", scale=alt.Scale(range=[6, 320], domainMin=0), legend=None),
        )
    )
    chart = alt.layer(land, dots) if top.height else land
    return drawn(chart.project("mercator").properties(width=430, height=500))


def timeline(table: pl.DataFrame) -> str:
    """Ads per month, and how many of them name each kind of drug; incomplete months are pale. An SVG."""
    months = table.filter(period="month").with_columns(month=pl.col("start").cast(pl.String))
    every = months.filter(dimension="all").select("month", "messages", "complete")
    total = (
        alt.Chart(data(every.to_dicts()))
        .mark_bar(color="#c9d3dc")
        .encode(
            x=alt.X("month:T", title=None, axis=alt.Axis(format="%Y", tickCount="year", grid=False)),
            y=alt.Y("messages:Q", title="ads per month", axis=alt.Axis(format="~s", tickCount=5)),
            opacity=alt.condition("datum.complete", alt.value(1.0), alt.value(0.4)),
        )
    )
    named = months.filter(dimension="label").select("month", kind="value", ads="messages")
    cells = every.filter("complete").select("month").join(pl.DataFrame({"kind": list(_KINDS)}), how="cross")
    kinds = cells.join(named, on=["month", "kind"], how="left").with_columns(pl.col("ads").fill_null(0))
    lines = (
        alt.Chart(data(kinds.to_dicts()))
        .mark_line(strokeWidth=1.6)
        .encode(
            x="month:T",
            y="ads:Q",
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=list(_KINDS), range=list(_KINDS.values())),
                legend=alt.Legend(title=None, orient="top"),
            ),
        )
    )
    return drawn(alt.layer(total, lines).properties(width=760, height=240))


def label_bars(labels: pl.DataFrame) -> str:
    """Ads per label; an SVG."""
    rows = labels.select("label", "messages", "share").to_dicts()
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=6)),
        x=alt.X("messages:Q", title=None, axis=alt.Axis(format="~s", tickCount=5)),
    )
    bars = base.mark_bar(color="#4a6f8f", height=15)
    shares = base.mark_text(align="left", dx=4, color=INK).encode(text=alt.Text("share:Q", format=".0%"))
    return drawn(alt.layer(bars, shares).properties(width=620, height=210))


def survival(lifetimes: pl.DataFrame) -> str:
    """Share of sellers still active by days since their first ad, with its 95 % limits; an SVG."""
    rows = lifetimes.select("days", "survival", "lower", "upper").to_dicts()
    base = alt.Chart(data(rows)).encode(
        x=alt.X("days:Q", title="days since the first ad seen", axis=alt.Axis(format=",d", tickCount=8, grid=False))
    )
    band = base.mark_area(color="#c9d3dc", opacity=0.6, interpolate="step-after").encode(
        y=alt.Y("lower:Q", title="still active", axis=alt.Axis(format=".0%", tickCount=5)), y2="upper:Q"
    )
    line = base.mark_line(color="#4a6f8f", strokeWidth=1.8, interpolate="step-after").encode(
        y=alt.Y("survival:Q", scale=alt.Scale(domain=[0, 1]))
    )
    return drawn(alt.layer(band, line).properties(width=620, height=220))


def data(rows: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - as below
    """Rows as the data of a chart."""
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def drawn(chart: Any) -> str:  # noqa: ANN401 - Altair's charts have no common type
    """A chart in the report's look, as SVG."""
    styled = (
        chart.configure(background="transparent", font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(labelColor=INK, titleColor=INK, gridColor="#dde3e8", domainColor="#9aa7b2", tickColor="#9aa7b2")
        .configure_legend(labelColor=INK, titleColor=INK, titleFontWeight="normal")
    )
    return str(vl_convert.vegalite_to_svg(styled.to_dict()))
