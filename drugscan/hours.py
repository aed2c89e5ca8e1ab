"""When in the week ads are posted, on the clock of the corpus: the table `hours`."""

from typing import Final

import polars as pl

from drugscan.listings import Bucket

_HOUR: Final = ("weekday", "hour")


def partial(bucket: Bucket) -> pl.LazyFrame:
    """A row per hour of the week with ads; sellers as a list."""
    moment = pl.col("local_time").dt
    hours = bucket.listings.group_by(weekday=moment.weekday().cast(pl.Int64), hour=moment.hour().cast(pl.Int64))
    return hours.agg(
        messages=pl.len().cast(pl.Int64),
        texts=pl.col("text_id").n_unique().cast(pl.Int64),
        sellers=pl.col("seller").drop_nulls().unique(),
    )


def merge(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table: weekday (1 = Monday), hour (0 to 23), messages, texts, sellers; all 168 hours."""
    week = pl.DataFrame({"weekday": range(1, 8)}).join(pl.DataFrame({"hour": range(24)}), how="cross").lazy()
    counted = parts.group_by(_HOUR).agg(
        pl.col("messages", "texts").sum(),
        pl.col("sellers").explode(empty_as_null=False).drop_nulls().n_unique().cast(pl.Int64),
    )
    return week.join(counted, on=_HOUR, how="left").with_columns(pl.exclude(_HOUR).fill_null(0)).sort(_HOUR)
