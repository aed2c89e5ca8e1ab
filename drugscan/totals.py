"""How many messages, texts and sellers there are by year, by month and by kind of chat: the table `totals_by`."""

from typing import Final

import polars as pl

from drugscan.listings import Bucket

_MONTH: Final = pl.col("local_time").dt.date().dt.truncate("1mo").alias("month")
_GROUPS: Final = {
    "year": pl.col("month").dt.truncate("1y"),
    "month": pl.col("month"),
    "chat kind": pl.col("peer_kind"),
}
_CHARACTERS: Final = {"year": 4, "month": 7}
"""What of a date (2023-01-31) is the name of its period."""


def partial(bucket: Bucket) -> pl.LazyFrame:
    """Two rows per year, month and kind of chat: of all messages, and of the ads (sellers as a list)."""
    # copies in one month are counted first: distinct texts of a few rows are found several times as fast
    posted = bucket.messages.group_by("text_id", "peer_kind", _MONTH).agg(copies=pl.len().cast(pl.Int64))
    posted, ads = posted.collect().lazy(), bucket.listings.with_columns(_MONTH)
    texts = pl.col("text_id").drop_nulls().n_unique().cast(pl.Int64)
    sellers = pl.col("seller").drop_nulls().unique()
    rows: list[pl.LazyFrame] = []
    for by, group in _GROUPS.items():
        value = pl.col("value").cast(pl.String)
        named = value.str.head(_CHARACTERS[by]) if by in _CHARACTERS else value
        scanned = posted.group_by(value=group).agg(messages_scanned=pl.col("copies").sum(), texts_scanned=texts)
        counted = ads.group_by(value=group).agg(messages=pl.len().cast(pl.Int64), texts=texts, sellers=sellers)
        rows += [each.with_columns(named, by=pl.lit(by)) for each in (scanned, counted)]
    return pl.concat(rows, how="diagonal")


def merge(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table: by, value, messages_scanned, texts_scanned, messages, texts, sellers, share, copies_per_text."""
    counted = parts.group_by("by", "value").agg(
        pl.col("messages_scanned", "texts_scanned", "messages", "texts").sum(),
        pl.col("sellers").explode(empty_as_null=False).drop_nulls().n_unique().cast(pl.Int64),
    )
    return counted.with_columns(*ratios()).sort("by", "value")


def ratios() -> tuple[pl.Expr, pl.Expr]:
    """`share` of the messages that are ads, and `copies_per_text`: how often an ad text was posted; 0 without ads."""
    share = (pl.col("messages") / pl.col("messages_scanned")).fill_nan(0.0).alias("share")
    return share, (pl.col("messages") / pl.col("texts")).fill_nan(0.0).alias("copies_per_text")
