"""How many messages, texts and sellers there are by year, by month and by kind of chat: the table `totals_by`."""

from typing import Final

import polars as pl

from drugscan.listings import Bucket

_DAY: Final = pl.col("local_time").dt.date()
_GROUPS: Final = {
    "year": _DAY.dt.truncate("1y"),
    "month": _DAY.dt.truncate("1mo"),
    "chat kind": pl.col("peer_kind"),
}
_CHARACTERS: Final = {"year": 4, "month": 7}
"""What of a date (2023-01-31) is the name of its period."""


def partial(bucket: Bucket) -> pl.LazyFrame:
    """Two rows per year, month and kind of chat: of all messages, and of the ads (sellers as a list)."""
    return pl.concat([rows for by in _GROUPS for rows in _counted(bucket, by)], how="diagonal")


def _counted(bucket: Bucket, by: str) -> list[pl.LazyFrame]:
    messages, texts = pl.len().cast(pl.Int64), pl.col("text_id").drop_nulls().n_unique().cast(pl.Int64)
    scanned = bucket.messages.group_by(value=_GROUPS[by]).agg(messages_scanned=messages, texts_scanned=texts)
    ads = bucket.listings.group_by(value=_GROUPS[by]).agg(
        messages=messages, texts=texts, sellers=pl.col("seller").drop_nulls().unique()
    )
    name = pl.col("value").cast(pl.String)
    named = name.str.head(_CHARACTERS[by]) if by in _CHARACTERS else name
    return [rows.with_columns(named, by=pl.lit(by)) for rows in (scanned, ads)]


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
