"""What ads ask for a drug: the tables `prices`, `prices_by_region` and `prices_by_month`, from one partial frame.

A price per unit is that of a text's smallest amount, if that is a retail amount (`RETAIL`): a menu counts with what
one buyer pays, a wholesale list does not count. Of several prices for that amount (strains on a menu) the text gives
their median. Cleaned twice: what cannot be meant was left out by
`prices.PLAUSIBLE`, and what is more than `OUTLIER` times dearer or cheaper than the median of all texts for the same
drug and unit is left out here. Every distinct ad text counts once, however often it was posted. Medians are exact:
partial frames hold values with their counts. The price asked is not the price paid.
"""

from typing import Final

import polars as pl

from drugscan.listings import Bucket

RETAIL: Final = {"gram": 10.0, "piece": 30.0, "ml": 100.0}
"""Largest amount by unit that still counts as what one buyer takes."""
OUTLIER: Final = 5.0
LEAST_TEXTS: Final = 5
"""Distinct ad texts from which a province or month is shown."""

_DRUG: Final = ("drug", "unit")
_CELL: Final = ("scope", "cell", *_DRUG)


def partial(bucket: Bucket) -> pl.LazyFrame:
    """Rows of three kinds (`price`, `ladder`, `count`) by scope (all|province|month), cell, drug and unit.

    `value` is euro per unit or a ratio, `number` how often; rows of kind `count` have texts and sellers (a list).
    """
    cells = _cells(bucket)
    whole = ("text_id", *_DRUG)
    smallest = bucket.offers.filter(
        (pl.col("amount") == pl.col("amount").min().over(whole))
        & (pl.col("amount") <= pl.col("unit").replace_strict(RETAIL, return_dtype=pl.Float64))
    )
    retail = smallest.group_by(whole).agg(value=pl.col("per_unit").median().round(4))
    prices = retail.join(cells, on="text_id").group_by(*_CELL, "value").agg(number=pl.len().cast(pl.Int64))
    every = bucket.offers.select(whole).join(cells.filter(pl.col("scope") == "all"), on="text_id")
    local = retail.select(whole).join(cells.filter(pl.col("scope") != "all"), on="text_id")
    counted = pl.concat([every, local]).group_by(_CELL)
    counts = counted.agg(
        pl.len().cast(pl.Int64).alias("number"),
        pl.col("text_id").n_unique().cast(pl.Int64).alias("texts"),
        pl.col("sellers").explode(empty_as_null=False).drop_nulls().unique(),
    )
    kinds = {"price": prices, "ladder": _ladders(bucket.offers), "count": counts}
    return pl.concat([rows.with_columns(kind=pl.lit(kind)) for kind, rows in kinds.items()], how="diagonal")


def _cells(bucket: Bucket) -> pl.LazyFrame:
    """Where and when each text was posted: text_id, scope, cell (province, or first day of the month), sellers."""
    seller = pl.col("seller").drop_nulls().unique().alias("sellers")
    posted = bucket.listings.group_by("text_id").agg(seller)
    regions = bucket.texts.select("text_id", cell="provinces").explode("cell", empty_as_null=False).drop_nulls("cell")
    month = pl.col("local_time").dt.date().dt.truncate("1mo").cast(pl.String).alias("cell")
    frames = {
        "all": posted.with_columns(cell=pl.lit("")),
        "province": posted.join(regions, on="text_id"),
        "month": bucket.listings.group_by("text_id", month).agg(seller),
    }
    columns = ("text_id", "cell", "sellers")
    return pl.concat([rows.select(*columns, scope=pl.lit(scope)) for scope, rows in frames.items()])


def _ladders(offers: pl.LazyFrame) -> pl.LazyFrame:
    """Per text that asks for one and for ten or more: the lowest price per unit of the latter against the former."""
    lowest = pl.col("per_unit")
    by_text = offers.group_by("text_id", *_DRUG).agg(
        one=lowest.filter(pl.col("amount") == 1).min(), many=lowest.filter(pl.col("amount") >= 10).min()
    )
    ratio = (pl.col("many") / pl.col("one")).round(4).alias("value")
    rows = by_text.drop_nulls(["one", "many"]).group_by(*_DRUG, ratio).agg(number=pl.len().cast(pl.Int64))
    return rows.with_columns(scope=pl.lit("all"), cell=pl.lit(""))


def merge_prices(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table `prices`: see docs/tables.md; the drugs with most texts first."""
    counts = _counts(parts, "all").drop("scope", "cell").rename({"number": "offers"})
    priced = _quantiles(_clean(parts).filter(pl.col("scope") == "all")).drop("scope", "cell")
    ladders = _values(parts, "ladder").group_by(_DRUG, maintain_order=True).agg(
        _quantile(0.5).alias("ladder_ratio"), pl.col("number").sum().alias("ladder_texts")
    )  # fmt: skip
    return (
        counts.join(priced, on=_DRUG, how="left")
        .join(ladders, on=_DRUG, how="left")
        .with_columns(pl.col("retail_offers", "ladder_texts").fill_null(0))
        .select(
            *_DRUG,
            "offers",
            "texts",
            "sellers",
            "retail_offers",
            "lower_quartile",
            "median",
            "upper_quartile",
            "ladder_texts",
            "ladder_ratio",
        )
        .sort("texts", *_DRUG, descending=[True, False, False])
    )


def merge_by_region(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table `prices_by_region`: a row per drug, unit and province with enough texts."""
    return _by_cell(parts, "province").rename({"cell": "province"})


def merge_by_month(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The table `prices_by_month`: a row per drug, unit and month with enough texts."""
    return _by_cell(parts, "month").with_columns(pl.col("cell").str.to_date()).rename({"cell": "month"})


def _by_cell(parts: pl.LazyFrame, scope: str) -> pl.LazyFrame:
    counts = _counts(parts, scope).filter(pl.col("texts") >= LEAST_TEXTS).drop("number")
    priced = _quantiles(_clean(parts))
    columns = (*_DRUG, "cell", "texts", "sellers", "retail_offers", "lower_quartile", "median", "upper_quartile")
    return counts.join(priced, on=_CELL).select(columns).sort(*_DRUG, "cell")


def _counts(parts: pl.LazyFrame, scope: str) -> pl.LazyFrame:
    rows = parts.filter((pl.col("kind") == "count") & (pl.col("scope") == scope))
    sellers = pl.col("sellers").explode(empty_as_null=False).drop_nulls().n_unique().cast(pl.Int64)
    return rows.group_by(_CELL).agg(pl.col("number", "texts").sum(), sellers)


def _values(parts: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    """The values of one kind with their counts over all buckets, sorted."""
    keys = (*_CELL, "value")
    rows = parts.filter(pl.col("kind") == kind)
    return rows.group_by(keys).agg(pl.col("number").sum()).sort(keys)


def _clean(parts: pl.LazyFrame) -> pl.LazyFrame:
    """The prices without outliers, in every scope measured against the median of all texts."""
    values = _values(parts, "price")
    middle = values.filter(pl.col("scope") == "all").group_by(_DRUG, maintain_order=True).agg(middle=_quantile(0.5))
    inside = pl.col("value").is_between(pl.col("middle") / OUTLIER, pl.col("middle") * OUTLIER)
    return values.join(middle, on=_DRUG).filter(inside).drop("middle").sort(*_CELL, "value")


def _quantiles(values: pl.LazyFrame) -> pl.LazyFrame:
    return values.group_by(_CELL, maintain_order=True).agg(
        pl.col("number").sum().alias("retail_offers"),
        _quantile(0.25).alias("lower_quartile"),
        _quantile(0.5).alias("median"),
        _quantile(0.75).alias("upper_quartile"),
    )


def _quantile(share: float) -> pl.Expr:
    """Exact quantile of `value` with counts `number`, in groups sorted by value; between two values their mean."""
    reached, wanted = pl.col("number").cum_sum(), pl.col("number").sum() * share
    low, high = pl.col("value").filter(reached >= wanted).min(), pl.col("value").filter(reached > wanted).min()
    return (low + high) / 2
