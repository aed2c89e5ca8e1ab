"""Geometry of the map and the timeline that stand in the page as SVG: numbers only, the template draws them.

They take their colours from the style of the page, so they are right on light, dark and paper, and the script can
change them. No text of any message is in them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

import polars as pl

from drugscan.report.language import Language

SHADES: Final = 5
PLACES: Final = 60
"""Dots on the map: the places that most ads name."""
MEASURES: Final = {"per_100k": "per_100k", "messages": "ads", "messages_weighted": "ads_weighted"}
"""Column of `provinces` that the map can show -> key of its name."""
MAP_SIZE: Final = (430, 500)
_MAP_EDGE: Final = 6
_NICE: Final = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0)
"""Tops of axes whose quarters and fifths are round, times a power of ten."""


def nice_top(greatest: float) -> float:
    """The least round number that is not below the greatest value; 1 for nothing."""
    if greatest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(greatest))
    return next((step * power for step in _NICE if step * power >= greatest), 10.0 * power)


class Area(NamedTuple):
    """A province on the map: its outline, what there is to say of it, and how dark it is."""

    province: str
    outline: str
    shade: int
    row: Mapping[str, Any]


class Dot(NamedTuple):
    """A place on the map; x, y and radius in the units of `MAP_SIZE`."""

    place: str
    messages: int
    x: float
    y: float
    radius: float


def areas(provinces: pl.DataFrame) -> list[Area]:
    """The provinces by ads per 100,000 inhabitants; one that the table lacks has no ads."""
    rows = {row["province"]: row for row in provinces.to_dicts()}
    shades = shades_of(provinces, "per_100k")[0]
    return [Area(name, outline, shades.get(name, 0), rows[name]) for name, outline in outlines() if name in rows]


def shades_of(provinces: pl.DataFrame, measure: str) -> tuple[dict[str, int], list[float]]:
    """Province -> shade from 0 to 4 in equal steps, and where each shade begins (and the last ends)."""
    top = nice_top(provinces[measure].max() or 0)  # type: ignore[arg-type]
    shades = {
        name: min(SHADES - 1, int(SHADES * value / top)) for name, value in provinces.select("province", measure).rows()
    }
    return shades, [top * step / SHADES for step in range(SHADES + 1)]


def dots(places: pl.DataFrame) -> list[Dot]:
    """The places that most ads name, as circles whose area is the number of ads."""
    top = places.drop_nulls(["latitude", "longitude"]).sort("messages", descending=True).head(PLACES)
    rows = top.filter(pl.col("province").is_not_null()).to_dicts()
    most = max((row["messages"] for row in rows), default=1)
    found = []
    for row in rows:
        x, y = _projected(row["longitude"], row["latitude"])
        radius = 1.2 + 9 * math.sqrt(row["messages"] / most)
        found.append(Dot(row["place"], row["messages"], round(x, 1), round(y, 1), round(radius, 1)))
    return found


@cache
def outlines() -> list[tuple[str, str]]:
    """Province and its outline as an SVG path, in Mercator's projection."""
    found = []
    for feature in _features():
        polygons = feature["geometry"]["coordinates"]
        rings = [ring for polygon in polygons for ring in polygon]
        found.append((feature["properties"]["province"], "".join(map(_path, rings))))
    return found


def _path(ring: Sequence[Sequence[float]]) -> str:
    points = [_projected(longitude, latitude) for longitude, latitude, *_ in ring]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"


@cache
def _features() -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(
        (resources.files("drugscan") / "data" / "provinces.geojson").read_text(encoding="utf-8")
    )["features"]
    return read


@cache
def _frame() -> tuple[float, float, float]:
    """Left and top edge in the projection, and units of the map per unit of it."""
    rings = [ring for feature in _features() for polygon in feature["geometry"]["coordinates"] for ring in polygon]
    xs = [math.radians(point[0]) for ring in rings for point in ring]
    ys = [_mercator(point[1]) for ring in rings for point in ring]
    width, height = (size - 2 * _MAP_EDGE for size in MAP_SIZE)
    return min(xs), max(ys), min(width / (max(xs) - min(xs)), height / (max(ys) - min(ys)))


def _mercator(latitude: float) -> float:
    return math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))


def _projected(longitude: float, latitude: float) -> tuple[float, float]:
    left, top, scale = _frame()
    return _MAP_EDGE + (math.radians(longitude) - left) * scale, _MAP_EDGE + (top - _mercator(latitude)) * scale


class Series(NamedTuple):
    """A line of the timeline: what it counts, and its values by month (None where the table has none)."""

    dimension: str
    name: str
    messages: list[int]
    texts: list[int | None]
    sellers: list[int | None]

    @property
    def top(self) -> float:
        """Where the axis ends."""
        return max(4.0, nice_top(max(self.messages, default=0)))


class Plot(NamedTuple):
    """The frame of a timeline of one width; all in the units of its SVG."""

    width: int
    height: int
    left: int
    top: int
    bottom: int
    step: float

    def x(self, month: int) -> float:
        """Left edge of a month."""
        return round(self.left + month * self.step, 2)

    def y(self, value: float, top: float) -> float:
        """Height of a value on an axis that ends at `top`."""
        return round(self.bottom - (self.bottom - self.top) * value / top, 1)

    def line(self, series: Series, complete: Sequence[bool], top: float) -> str:
        """The points of a series over the complete months, for a polyline on an axis that ends at `top`."""
        shown = [month for month, whole in enumerate(complete) if whole]
        middles = ((self.x(month) + self.step / 2, self.y(series.messages[month], top)) for month in shown)
        return " ".join(f"{x:.1f},{y}" for x, y in middles)

    def years(self, months: Sequence[date]) -> list[tuple[float, int]]:
        """Where on the axis each year stands; of many on a narrow plot every second, third, ..."""
        begins = [(self.x(at), month.year) for at, month in enumerate(months) if month.month == 1 or at == 0]
        if len(begins) > 1 and begins[1][0] - begins[0][0] < 34:
            begins = begins[1:]
        every = max(1, math.ceil(len(begins) * 34 / self.width))
        return begins[::every]


def plot(months: int, width: int) -> Plot:
    """The frame of a timeline of so many months."""
    left = 46
    return Plot(width, 270, left, 12, 240, (width - left - 4) / max(1, months))


def facts_of_map(provinces: pl.DataFrame, language: Language) -> dict[str, Any]:
    """What the script needs to show another measure: shade by province and the words of the legend."""
    found = {}
    for measure in MEASURES:
        shades, edges = shades_of(provinces, measure)
        found[measure] = {"shades": shades, "legend": legend(edges, language)}
    return found


def legend(edges: Sequence[float], language: Language) -> list[str]:
    """What each shade stands for."""
    return [f"{language.rate(low)}–{language.rate(high)}" for low, high in zip(edges, edges[1:], strict=False)]
