"""What may be missing from a chat: gaps in its message ids and days of silence; the table `completeness`.

In a channel or supergroup the id rises by one with every message, also with service messages and with those deleted
since, which are not here: a gap may be missing data and need not be. Merging holds 12 bytes per message (70 MB for
5.6 million): beyond some 10^9 messages the ids would have to be merged by chat.
"""

from typing import Final

import polars as pl

from drugscan.listings import Bucket

_CHAT: Final = ("peer_kind", "chat_id")
_PER_ACCOUNT: Final = ("group", "user")
"""Kinds of chats that share one sequence of ids with all others of an account: their gaps say nothing."""
_WHOLE: Final = (pl.lit("all").alias("peer_kind"), pl.lit(0, pl.Int64).alias("chat_id"))
"""The chat that stands for the corpus; its id is null in the table."""


def partial(bucket: Bucket) -> pl.LazyFrame:
    """A row per chat: counts, first and last time, and of each message its id and day (two lists)."""
    return bucket.messages.group_by(pl.col("peer_kind").cast(pl.String), "chat_id").agg(
        pl.len().cast(pl.Int64).alias("messages_scanned"),
        pl.col("message_id").null_count().cast(pl.Int64).alias("without_id"),
        pl.col("edited_at").count().cast(pl.Int64).alias("edited"),
        pl.col("local_time").min().alias("watched_from"),
        pl.col("local_time").max().alias("watched_until"),
        pl.col("message_id").alias("id"),
        pl.col("local_time").dt.date().alias("day"),
    )


def merge(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table, see docs/tables.md: the corpus first (`peer_kind` all), then the chats with most messages."""
    messages = parts.select(*_CHAT, "id", "day").explode("id", "day", empty_as_null=False)
    return (
        _counts(parts)
        .join(_silences(messages), on=_CHAT, how="left")
        .join(_ids(messages), on=_CHAT, how="left")
        .sort(pl.col("peer_kind") != "all", -pl.col("messages_scanned"), *_CHAT)
        .with_columns(pl.when(pl.col("peer_kind") != "all").then("chat_id").alias("chat_id"))
    )


def _with_whole(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of the chats, and again as rows of the corpus."""
    return pl.concat([rows, rows.with_columns(_WHOLE)])


def _counts(parts: pl.LazyFrame) -> pl.LazyFrame:
    counts = _with_whole(parts.drop("id", "day")).group_by(_CHAT)
    return counts.agg(
        pl.col("messages_scanned").sum(),
        pl.col("watched_from").min(),
        pl.col("watched_until").max(),
        (pl.col("without_id").sum() / pl.col("messages_scanned").sum()).alias("without_id_share"),
        (pl.col("edited").sum() / pl.col("messages_scanned").sum()).alias("edited_share"),
    )


def _widest(column: str) -> list[pl.Expr]:
    """Of a chat's rows in the order of this column: its steps over 1, what the longest leaves out, and its days."""
    step = pl.col(column).cast(pl.Int64).diff()
    return [
        (step > 1).sum().cast(pl.Int64).alias("gaps"),
        (step.max() - 1).fill_null(0).alias("widest"),
        pl.col("day").get(step.arg_max() - 1).alias("before"),
        pl.col("day").get(step.arg_max()).alias("after"),
    ]


def _silences(messages: pl.LazyFrame) -> pl.LazyFrame:
    """Days without a message, between the first and the last."""
    days = _with_whole(messages.select(*_CHAT, "day").unique()).unique().sort("day").group_by(_CHAT)
    found = days.agg(
        *_widest("day"),
        days=(pl.col("day").last() - pl.col("day").first()).dt.total_days() + 1,
        days_seen=pl.len().cast(pl.Int64),
    )
    is_silent = pl.col("widest") > 0
    return found.select(
        *_CHAT,
        "days",
        (pl.col("days") - pl.col("days_seen")).alias("silent_days"),
        pl.col("widest").alias("longest_silence_days"),
        pl.when(is_silent).then(pl.col("before").dt.offset_by("1d")).alias("silent_from"),
        pl.when(is_silent).then(pl.col("after").dt.offset_by("-1d")).alias("silent_until"),
    )


def _ids(messages: pl.LazyFrame) -> pl.LazyFrame:
    """Gaps between the ids of each chat; the corpus has their sums, and the biggest of all."""
    counted = ~pl.col("peer_kind").is_in(_PER_ACCOUNT) & (pl.col("id") > 0)
    chats = messages.filter(counted).sort("id").group_by(_CHAT).agg(
        *_widest("id"),
        first_id=pl.col("id").first(),
        last_id=pl.col("id").last(),
        ids_seen=pl.len().cast(pl.Int64),
        ids_spanned=pl.col("id").last() - pl.col("id").first() + 1,
    )  # fmt: skip
    whole = chats.sort(_CHAT).select(
        *_WHOLE,
        *(pl.col(name).sum() for name in ("ids_seen", "ids_spanned", "gaps")),
        pl.col("widest").max(),
        *(pl.col(name).get(pl.col("widest").arg_max(), null_on_oob=True) for name in ("before", "after")),
    )
    has_gap = pl.col("widest") > 0
    return pl.concat([chats, whole], how="diagonal").select(
        *_CHAT,
        "first_id",
        "last_id",
        "ids_seen",
        (pl.col("ids_spanned") - pl.col("ids_seen")).alias("ids_missing"),
        (pl.col("ids_seen") / pl.col("ids_spanned")).fill_nan(None).alias("ids_share"),
        "gaps",
        pl.col("widest").alias("biggest_gap"),
        pl.when(has_gap).then("before").alias("gap_from"),
        pl.when(has_gap).then("after").alias("gap_until"),
    )
