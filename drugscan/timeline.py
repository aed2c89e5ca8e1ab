"""Ads by day, ISO week and month, of everything and by label, province, chat and kind of chat: the table `timeline`.

A cell is one of these (`label` + `bulk`, `all` + nothing). Distinct texts and sellers of a week are not the sums of
its days, so every period is counted from the ads themselves.
"""

from typing import Final

import polars as pl

from drugscan.listings import Bucket
from drugscan.schema import LABELS

PERIODS: Final = {"day": "1d", "week": "1w", "month": "1mo"}
"""Name of a period -> its length for Polars, whose weeks begin on Monday."""
CHATS: Final = 200
"""Most chats (those with most ads) that have rows of their own."""
_PERIOD: Final = pl.Enum(list(PERIODS))
_CELL: Final = ("dimension", "value")
_SEPARATOR: Final = "\t"
"""Between dimension and value. A cell is one name while it is counted: two keys take half as long again."""


def partial(bucket: Bucket) -> pl.LazyFrame:
    """Rows of two kinds: counts by period, start and cell (sellers as a list), and first and last day by chat.

    The latter have a chat as their cell and no period.
    """
    posts = _posts(bucket).collect().lazy()
    counted = [
        posts.group_by("cell", start=pl.col("day").dt.truncate(length)).agg(
            pl.len().cast(pl.Int64).alias("messages"),
            pl.col("text").n_unique().cast(pl.Int64).alias("texts"),
            pl.col("seller").unique().alias("sellers"),
            pl.lit(period, _PERIOD).alias("period"),
        )
        for period, length in PERIODS.items()
    ]
    day = pl.col("local_time").dt.date()
    spans = bucket.messages.group_by("peer_kind", "chat_id").agg(begin=day.min(), end=day.max())
    edges = spans.select(_cell("chat", _chat()), "begin", "end")
    return pl.concat([*counted, edges], how="diagonal")


def _posts(bucket: Bucket) -> pl.LazyFrame:
    """A row per ad and cell that it belongs to: cell, day, text (its number in the bucket), seller."""
    texts = bucket.texts.select("text_id", "provinces").with_row_index("number")
    ads = bucket.listings.join(texts, on="text_id")
    common = (
        pl.col("local_time").dt.date().alias("day"),
        pl.col("number").alias("text"),
        pl.col("seller").cast(pl.Categorical),
    )
    regional = ads.explode("provinces", empty_as_null=False, keep_nulls=False)
    cells = [
        ads.select(_cell("all", pl.lit("")), *common),
        ads.select(_cell("chat", _chat()), *common),
        ads.select(_cell("chat kind", pl.col("peer_kind")), *common),
        regional.select(_cell("province", pl.col("provinces")), *common),
        *(ads.filter(label).select(_cell("label", pl.lit(label)), *common) for label in LABELS),
    ]
    return pl.concat(cells)


def _chat() -> pl.Expr:
    return pl.concat_str(pl.col("peer_kind").cast(pl.String), "chat_id", separator=":")


def _cell(dimension: str, value: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit(dimension), value, separator=_SEPARATOR).cast(pl.Categorical).alias("cell")


def merge(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table: period, start (its first day), dimension, value, messages, texts, sellers, complete.

    Periods without an ad have no row.
    """
    sellers = pl.col("sellers").explode(empty_as_null=False).drop_nulls().n_unique().cast(pl.Int64)
    counted = _in_words(
        parts.drop_nulls("period").group_by("period", "start", "cell").agg(pl.col("messages", "texts").sum(), sellers)
    )
    months = counted.filter((pl.col("period") == "month") & (pl.col("dimension") == "chat"))
    largest = months.group_by(_CELL).agg(pl.col("messages").sum()).sort("messages", "value", descending=[True, False])
    shown = counted.join(largest.head(CHATS), on=_CELL, how="semi")
    rows = pl.concat([counted.filter(pl.col("dimension") != "chat"), shown])
    columns = ("period", "start", *_CELL, "messages", "texts", "sellers")
    chats = _in_words(parts.filter(pl.col("period").is_null()).select("cell", "begin", "end"))
    return (
        _judged(rows, chats)
        .select(*columns, "complete")
        .sort("period", *_CELL, "start")
        .with_columns(pl.col("period").cast(pl.String))
    )


def _in_words(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The cell as dimension and value."""
    cell = pl.col("cell").cast(pl.String).str.split_exact(_SEPARATOR, 1).struct.rename_fields(list(_CELL))
    return parts.with_columns(cell=cell).unnest("cell")


def _judged(rows: pl.LazyFrame, chats: pl.LazyFrame) -> pl.LazyFrame:
    """Whether the input covers each period, by the first and last message of the chat, kind of chat or corpus.

    A week or month is covered when there are messages on or before its first and on or after its last day; a day
    only when there are some on an earlier and on a later one, since an export may end at any hour.
    """
    kinds = chats.with_columns(pl.lit("chat kind").alias("dimension"), pl.col("value").str.split(":").list.first())
    edges = (pl.col("begin").min(), pl.col("end").max())
    spans = pl.concat([chats, kinds]).group_by(_CELL).agg(edges)
    whole = chats.select(edges).rename({"begin": "first", "end": "last"})
    length = pl.col("period").replace_strict(PERIODS, return_dtype=pl.String)
    within = pl.when(pl.col("period") == "day").then(pl.duration(days=1)).otherwise(pl.duration(days=0))
    begins = pl.coalesce("begin", "first") <= pl.col("start") - within
    ends = pl.coalesce("end", "last") >= pl.col("start").dt.offset_by(length).dt.offset_by("-1d") + within
    return rows.join(spans, on=_CELL, how="left").join(whole, how="cross").with_columns(complete=begins & ends)
