"""Which drugs the ads name: the table `drugs`, as a pair of `partial` and `merge` (see `statistics`)."""

import polars as pl

from drugscan.listings import Bucket


def partial(bucket: Bucket) -> pl.LazyFrame:
    """A row per drug of the bucket: messages, texts, its sellers as a list, first_seen, last_seen."""
    return (
        bucket.listings.select("text_id", "seller", "local_time")
        .join(bucket.drugs, on="text_id")
        .group_by("drug", "label")
        .agg(
            pl.len().cast(pl.Int64).alias("messages"),
            pl.col("text_id").n_unique().cast(pl.Int64).alias("texts"),
            pl.col("seller").drop_nulls().unique().alias("sellers"),
            pl.col("local_time").min().alias("first_seen"),
            pl.col("local_time").max().alias("last_seen"),
        )
    )


def merge(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table `drugs`: drug, label, messages, texts, sellers (accounts), first_seen, last_seen; most ads first."""
    return (
        parts.group_by("drug", "label")
        .agg(
            pl.col("messages", "texts").sum(),
            pl.col("sellers").explode(empty_as_null=False).drop_nulls().n_unique().cast(pl.Int64),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
        )
        .sort("messages", "drug", descending=[True, False])
    )
