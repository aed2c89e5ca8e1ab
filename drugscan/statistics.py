"""The tables: each a pair of `partial` (one bucket -> frame) and `merge` (all partial frames -> table).

A text lies in one bucket, so distinct texts add up over buckets; sellers and chats do not, and travel as lists of
distinct ids. The same pairs run in one process or as tasks on a cluster.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import polars as pl

from drugscan import (
    completeness,
    families,
    gazetteer,
    hours,
    lifetimes,
    price_statistics,
    sellers,
    substances,
    timeline,
    totals,
)
from drugscan.contacts import cover
from drugscan.listings import Bucket
from drugscan.schema import LABELS


class Statistic(NamedTuple):
    """A named table: how one bucket contributes, and how contributions become the table."""

    partial: Callable[[Bucket], pl.LazyFrame]
    merge: Callable[[pl.LazyFrame], pl.LazyFrame]


_CHAT: Final = pl.concat_str("peer_kind", "chat_id", separator=":")
_COUNTS: Final = (
    pl.len().cast(pl.Int64).alias("messages"),
    pl.col("text_id").n_unique().cast(pl.Int64).alias("texts"),
)
_SELLERS: Final = pl.col("seller").drop_nulls().unique().alias("sellers")
_SPAN: Final = (pl.col("local_time").min().alias("first_seen"), pl.col("local_time").max().alias("last_seen"))


def _sum(*names: str) -> list[pl.Expr]:
    return [pl.col(name).sum() for name in names]


def _distinct(*names: str) -> list[pl.Expr]:
    """How many different values the lists of all buckets hold together."""
    return [pl.col(name).explode(empty_as_null=False).drop_nulls().n_unique().cast(pl.Int64) for name in names]


_MERGED_SPAN: Final = (pl.col("first_seen").min(), pl.col("last_seen").max())


def _totals(bucket: Bucket) -> pl.LazyFrame:
    scanned = bucket.messages.select(
        messages_scanned=pl.len().cast(pl.Int64),
        texts_scanned=pl.col("text_id").drop_nulls().n_unique().cast(pl.Int64),
    )
    ads = bucket.listings.select(*_COUNTS, _SELLERS.implode(), _CHAT.unique().implode().alias("chats"), *_SPAN)
    regions = bucket.listings.join(bucket.texts, on="text_id").select(
        national_messages=pl.col("national").sum().cast(pl.Int64),
        placed_messages=(pl.col("provinces").list.len() > 0).sum().cast(pl.Int64),
    )
    return pl.concat([scanned, ads, regions], how="horizontal")


def _merge_totals(parts: pl.LazyFrame) -> pl.LazyFrame:
    counts = _sum("messages_scanned", "texts_scanned", "messages", "texts", "national_messages", "placed_messages")
    return (
        parts.select(*counts, *_distinct("sellers", "chats"), *_MERGED_SPAN)
        .with_columns(*totals.ratios())
        .select(
            "messages_scanned",
            "texts_scanned",
            "messages",
            "texts",
            "share",
            "sellers",
            "chats",
            "first_seen",
            "last_seen",
            "copies_per_text",
            "national_messages",
            "placed_messages",
        )
    )


_CHAT_ID: Final = ("peer_kind", "chat_id")


def _chats(bucket: Bucket) -> pl.LazyFrame:
    scanned = bucket.messages.group_by(pl.col("peer_kind").cast(pl.String), "chat_id").agg(
        pl.col("chat_title").cast(pl.String).drop_nulls().sort().last(),
        messages_scanned=pl.len().cast(pl.Int64),
        texts_scanned=pl.col("text_id").drop_nulls().n_unique().cast(pl.Int64),
    )
    ads = bucket.listings.group_by(_CHAT_ID).agg(*_COUNTS, _SELLERS, *_SPAN)
    return scanned.join(ads, on=_CHAT_ID, how="left")


def _merge_chats(parts: pl.LazyFrame) -> pl.LazyFrame:
    return (
        parts.group_by(_CHAT_ID)
        .agg(
            pl.col("chat_title").drop_nulls().sort().last(),
            *_sum("messages_scanned", "texts_scanned", "messages", "texts"),
            *_distinct("sellers"),
            *_MERGED_SPAN,
        )
        .with_columns(*totals.ratios())
        .sort("messages", *_CHAT_ID, descending=[True, False, False])
    )


_UNITS: Final = 27_720
"""An ad is split over up to twelve provinces in whole units (lcm of 1 to 12), so that sums do not depend on order."""


def _provinces(bucket: Bucket) -> pl.LazyFrame:
    share = _UNITS // pl.col("provinces").list.len().cast(pl.Int64)
    claims = bucket.texts.select("text_id", units=share, province="provinces")
    claims = claims.explode("province", empty_as_null=False)
    return (
        bucket.listings.join(claims, on="text_id").group_by("province").agg(*_COUNTS, _SELLERS, pl.col("units").sum())
    )


def _merge_provinces(parts: pl.LazyFrame) -> pl.LazyFrame:
    counted = parts.group_by("province").agg(*_sum("messages", "texts", "units"), *_distinct("sellers"))
    people = gazetteer.provinces().lazy().select("province", "population")
    return (
        people.join(counted, on="province", how="left")
        .with_columns(pl.col("messages", "texts", "sellers", "units").fill_null(0))
        .with_columns(
            messages_weighted=pl.col("units") / _UNITS, per_100k=pl.col("messages") / pl.col("population") * 100_000
        )
        .select("province", "population", "messages", "texts", "sellers", "messages_weighted", "per_100k")
        .sort("messages", "province", descending=[True, False])
    )


_PLACE: Final = ("place", "province", "latitude", "longitude")


def _places(bucket: Bucket) -> pl.LazyFrame:
    claims = bucket.places.select("text_id", *_PLACE).unique(["text_id", "place", "province"])
    return bucket.listings.join(claims, on="text_id").group_by(_PLACE).agg(*_COUNTS, _SELLERS)


def _merge_places(parts: pl.LazyFrame) -> pl.LazyFrame:
    counted = parts.group_by(_PLACE).agg(*_sum("messages", "texts"), *_distinct("sellers"))
    return counted.sort("messages", "place", "province", descending=[True, False, False])


def _labels(bucket: Bucket) -> pl.LazyFrame:
    each = [
        bucket.listings.filter(pl.col(label)).select(*_COUNTS, _SELLERS.implode()).with_columns(label=pl.lit(label))
        for label in LABELS
    ]
    return pl.concat(each).with_columns(all_messages=bucket.listings.select(pl.len()).collect().item())


def _merge_labels(parts: pl.LazyFrame) -> pl.LazyFrame:
    counted = parts.group_by("label", maintain_order=True).agg(
        *_sum("messages", "texts", "all_messages"), *_distinct("sellers")
    )
    share = (pl.col("messages") / pl.col("all_messages")).fill_nan(0.0)
    return counted.with_columns(share=share).select("label", "messages", "texts", "sellers", "share")


def _combinations(bucket: Bucket) -> pl.LazyFrame:
    names = [pl.when(pl.col(label)).then(pl.lit(label)) for label in LABELS]
    labels = pl.concat_str(names, separator=" + ", ignore_nulls=True)
    return bucket.listings.group_by(labels=labels).agg(*_COUNTS)


def _merge_combinations(parts: pl.LazyFrame) -> pl.LazyFrame:
    return parts.group_by("labels").agg(_sum("messages", "texts")).sort("messages", "labels", descending=[True, False])


STATISTICS: Final = {
    "totals": Statistic(_totals, _merge_totals),
    "totals_by": Statistic(totals.partial, totals.merge),
    "chats": Statistic(_chats, _merge_chats),
    "completeness": Statistic(completeness.partial, completeness.merge),
    "sellers": Statistic(sellers.partial, sellers.merge_sellers),
    "linked_sellers": Statistic(sellers.partial, sellers.merge_linked_sellers),
    "seller_links": Statistic(sellers.partial, sellers.merge_links),
    "seller_counts": Statistic(sellers.partial, sellers.merge_counts),
    "lifetimes": Statistic(sellers.partial, lifetimes.merge_lifetimes),
    "lifetime_summary": Statistic(sellers.partial, lifetimes.merge_summary),
    "provinces": Statistic(_provinces, _merge_provinces),
    "places": Statistic(_places, _merge_places),
    "labels": Statistic(_labels, _merge_labels),
    "combinations": Statistic(_combinations, _merge_combinations),
    "timeline": Statistic(timeline.partial, timeline.merge),
    "hours": Statistic(hours.partial, hours.merge),
    "drugs": Statistic(substances.partial, substances.merge),
    "prices": Statistic(price_statistics.partial, price_statistics.merge_prices),
    "prices_by_region": Statistic(price_statistics.partial, price_statistics.merge_by_region),
    "prices_by_month": Statistic(price_statistics.partial, price_statistics.merge_by_month),
    "texts": Statistic(families.partial, families.merge_texts),
    "families": Statistic(families.partial, families.merge_families),
}
"""Every table, in the order of the report; documented in docs/tables.md."""


def _sharing() -> dict[Callable[[Bucket], pl.LazyFrame], list[str]]:
    """Which tables are made from the frame of each `partial`; the first of them gives the frame its name."""
    names: dict[Callable[[Bucket], pl.LazyFrame], list[str]] = {}
    for name, statistic in STATISTICS.items():
        names.setdefault(statistic.partial, []).append(name)
    return names


def partials(bucket: Bucket) -> dict[str, pl.DataFrame]:
    """What one bucket contributes: a frame for the tables that share one, by the name of the first of them."""
    each = _sharing()
    frames = pl.collect_all([partial(bucket) for partial in each])
    return {names[0]: frame for names, frame in zip(each.values(), frames, strict=True)}


def merged(read: Callable[[str], pl.LazyFrame]) -> dict[str, pl.DataFrame]:
    """The tables; `read` gives what all buckets contributed under a name of `partials`, one after the other."""
    tables: dict[str, pl.DataFrame] = {}
    for names in _sharing().values():
        parts = read(names[0])
        tables |= zip(names, pl.collect_all([STATISTICS[name].merge(parts) for name in names]), strict=True)
    return {name: tables[name] for name in STATISTICS}


def masked(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables with handles and phone numbers in texts and chat titles covered."""
    covered = dict(tables)
    for name in ("texts", "families"):
        covered[name] = tables[name].with_columns(cover(tables[name]["text"]))
    covered["chats"] = tables["chats"].with_columns(cover(tables["chats"]["chat_title"]))
    covered["seller_links"] = sellers.without_handles(tables["seller_links"])
    return covered
