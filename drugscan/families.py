"""Distinct ad texts, and the families that near-copies of them make: one ad, posted with another price or place.

One partial frame serves both tables: a row per text with its signature and the lists of its chats and sellers.
"""

from typing import Final

import polars as pl

from drugscan import near_copies
from drugscan.listings import Bucket
from drugscan.schema import LABELS

_CHAT: Final = pl.concat_str("peer_kind", "chat_id", separator=":")
_SPAN: Final = ("first_seen", "last_seen")
_LABELS: Final = pl.concat_str(
    [pl.when(pl.col(label)).then(pl.lit(label)) for label in LABELS], separator=", ", ignore_nulls=True
).alias("labels")


def partial(bucket: Bucket) -> pl.LazyFrame:
    """The ad texts of one bucket, a row each."""
    found = bucket.places.group_by("text_id").agg(pl.col("place").unique().sort().str.join(", ").alias("places"))
    posted = bucket.listings.group_by("text_id").agg(
        pl.len().cast(pl.Int64).alias("messages"),
        _CHAT.unique().alias("chats"),
        pl.col("seller").drop_nulls().unique().alias("sellers"),
        pl.col("local_time").min().alias("first_seen"),
        pl.col("local_time").max().alias("last_seen"),
    )
    texts = bucket.texts.select("text_id", "text", "score", *LABELS).collect()
    signature = pl.Series("signature", near_copies.signatures(texts["text"]))
    return (
        texts.lazy()
        .with_columns(signature)
        .join(found, on="text_id", how="left")
        .join(posted, on="text_id")
        .with_columns(pl.col("places").fill_null(""), pl.col("text_id").bin.encode("hex"))
    )


def _with_family(parts: pl.LazyFrame) -> pl.DataFrame:
    """All texts, the most posted first, with `family`: the least text_id among near-copies."""
    texts = parts.collect().sort("messages", "text_id", descending=[True, False])
    group = pl.Series("group", near_copies.groups(texts["signature"].to_numpy()))
    return texts.with_columns(group).with_columns(family=pl.col("text_id").min().over("group"))


def merge_texts(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `texts`: a row per distinct ad text."""
    counts = [pl.col(name).list.len().cast(pl.Int64) for name in ("chats", "sellers")]
    texts = _with_family(parts).lazy()
    return texts.select("text_id", "text", "score", _LABELS, "places", "messages", *counts, *_SPAN, "family")


def merge_families(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `families`: a row per family, also of one text."""
    return (
        _with_family(parts)
        .lazy()
        .group_by("family")
        .agg(
            pl.len().cast(pl.Int64).alias("texts"),
            pl.col("messages").sum(),
            *(pl.col(name).explode(empty_as_null=False).n_unique().cast(pl.Int64) for name in ("chats", "sellers")),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
            *(pl.col(label).any() for label in LABELS),
            pl.col("text").first(),
        )
        .select("family", "texts", "messages", "chats", "sellers", *_SPAN, _LABELS, "text")
        .sort("messages", "family", descending=[True, False])
    )
