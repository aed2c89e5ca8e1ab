"""The months of the timeline and its series, from table `timeline`, or `months` of results of an earlier version."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

import polars as pl

from drugscan.report.drawings import Series
from drugscan.report.language import Language
from drugscan.schema import LABELS

MONTHS: Final = 240
"""The most recent ones stand in the page; the CSV has all."""
CHATS: Final = 20
DIMENSIONS: Final = ("all", "label", "province", "chat")


class Timeline(NamedTuple):
    """Every month from the first to the last, whether the input covers it, and the series; that of all ads is first."""

    months: list[date]
    complete: list[bool]
    series: list[Series]

    def named(self, dimension: str, name: str) -> Series | None:
        """The series of a label, province or chat; None if there is none."""
        return next((each for each in self.series if (each.dimension, each.name) == (dimension, name)), None)


def timeline_of(tables: Mapping[str, pl.DataFrame]) -> Timeline | None:
    """What the page can show over time; None for a corpus without ads."""
    rows = _rows(tables)
    rows = rows.filter(pl.col("start") > pl.lit(rows["start"].max()).cast(pl.Date).dt.offset_by(f"-{MONTHS}mo"))
    whole = {row["start"]: row["complete"] for row in rows.filter(dimension="all").to_dicts()}
    if not whole:
        return None
    months = pl.date_range(min(whole), max(whole), "1mo", eager=True).to_list()
    series = [_series(key, some, months) for key, some in _chosen(rows).items()]
    # a month between two others that has no ads has no row either; the input covers it
    return Timeline(months, [whole.get(month, True) for month in months], series)


def _rows(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """start, dimension, value, messages, texts, sellers, complete: of months only."""
    if "timeline" in tables:
        return tables["timeline"].filter(period="month").filter(pl.col("dimension").is_in(DIMENSIONS))
    months = tables["months"].rename({"month": "start"})
    common = ("start", "messages", "texts", "sellers", "complete")
    whole = months.select(*common, dimension=pl.lit("all"), value=pl.lit(""))
    none = pl.lit(None, pl.Int64)
    labels = [
        months.select("start", "complete", messages=label, texts=none, sellers=none)
        .with_columns(dimension=pl.lit("label"), value=pl.lit(label))
        .filter(pl.col("messages") > 0)
        for label in LABELS
    ]
    return pl.concat([whole, *labels], how="diagonal")


def _chosen(rows: pl.DataFrame) -> dict[tuple[str, str], pl.DataFrame]:
    """The rows of each series, in the order of the menu: all, labels, provinces, the chats with most ads."""
    order = {("label", label): number for number, label in enumerate(LABELS)}
    sizes = rows.group_by("dimension", "value").agg(pl.col("messages").sum()).rows()
    by_size = sorted(sizes, key=lambda size: (DIMENSIONS.index(size[0]), order.get(size[:2], 0), -size[2], size[1]))
    chats = [(dimension, value) for dimension, value, _ in by_size if dimension == "chat"]
    keys = [(dimension, value) for dimension, value, _ in by_size if dimension != "chat"] + chats[:CHATS]
    return {key: rows.filter(dimension=key[0], value=key[1]) for key in keys}


def _series(key: tuple[str, str], rows: pl.DataFrame, months: list[date]) -> Series:
    by_month: dict[date, dict[str, Any]] = {row["start"]: row for row in rows.to_dicts()}
    missing = {"messages": 0, "texts": 0, "sellers": 0}
    if rows["texts"].null_count() == rows.height:
        missing |= {"texts": None, "sellers": None}  # type: ignore[dict-item]
    values = [by_month.get(month, missing) for month in months]
    return Series(*key, *([each[name] for each in values] for name in ("messages", "texts", "sellers")))


def menu(timeline: Timeline, chats: pl.DataFrame, language: Language) -> list[tuple[str, list[tuple[int, str]]]]:
    """Dimension -> number and name of each of its series, as a reader chooses them."""
    rows = chats.select("peer_kind", "chat_id", "chat_title").rows()
    titles = {f"{kind}:{number}": title for kind, number, title in rows}
    groups: dict[str, list[tuple[int, str]]] = {}
    for number, series in enumerate(timeline.series):
        name = titles.get(series.name) or series.name or language("all_ads")
        groups.setdefault(series.dimension, []).append((number, name))
    return list(groups.items())


def facts_of(timeline: Timeline | None) -> dict[str, Any] | None:
    """What the script needs to draw another series. Names are not in it: those of chats are others' words."""
    if timeline is None:
        return None
    series = [
        {"top": each.top, "messages": each.messages, "texts": each.texts, "sellers": each.sellers}
        for each in timeline.series
    ]
    months = [month.isoformat() for month in timeline.months]
    return {"months": months, "complete": timeline.complete, "series": series}
