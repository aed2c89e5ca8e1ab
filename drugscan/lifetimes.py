"""How long linked sellers are seen: Kaplan-Meier with right censoring and, where an entry is known, left truncation.

"Active" is the observed span, from the first ad to the last: what happens between and beyond is not seen.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from drugscan import sellers

STILL_ACTIVE_DAYS: Final = 60
"""A seller seen in so many last days of his chats' data may go on (censored); in so many first, may be older."""
_Z: Final = 1.959963984540054
_ROUNDING: Final = 1e-12
_YEAR_DAYS: Final = 365.25
_YEARS: Final = (1, 2, 3)
Floats = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """A survival curve: one value per time at which somebody stops, after a first row at 0."""

    days: Floats
    at_risk: Floats
    events: Floats
    survival: Floats
    lower: Floats
    upper: Floats
    """Pointwise 95 % limits; NaN where the curve has come down to 0."""


def kaplan_meier(durations: Floats, is_event: npt.NDArray[np.bool_], entries: Floats) -> Curve:
    """Product-limit estimate (Kaplan & Meier 1958) of those under observation from `entries` to `durations`.

    A case is at risk at time t when entry < t <= duration (left truncation: Tsai, Jewell & Wang 1987). Limits by
    Greenwood's variance on the log-log scale (Kalbfleisch & Prentice 1980), which keeps them within 0 and 1.
    """
    days = np.unique(durations[is_event])
    ends, begins = np.sort(durations), np.sort(entries)
    at_risk = np.searchsorted(begins, days, "left") - np.searchsorted(ends, days, "left")
    stops = np.sort(durations[is_event])
    events = np.searchsorted(stops, days, "right") - np.searchsorted(stops, days, "left")
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(events / (at_risk * (at_risk - events)))
        spread = _Z * np.sqrt(variance) / np.log(survival)
        lower, upper = survival ** np.exp(-spread), survival ** np.exp(spread)
    whole = survival > 0
    start = float(np.sum(entries <= 0))
    return Curve(
        np.concatenate([[0.0], days]),
        np.concatenate([[start], at_risk]),
        np.concatenate([[0.0], events]),
        np.concatenate([[1.0], survival]),
        np.concatenate([[1.0], np.where(whole, lower, np.nan)]),
        np.concatenate([[1.0], np.where(whole, upper, np.nan)]),
    )


def spans(linked: pl.DataFrame, active_days: int = STILL_ACTIVE_DAYS) -> pl.DataFrame:
    """From table `linked_sellers`: days (observed span, both ends counted), is_event, begins_before.

    `is_event` = last seen more than `active_days` before the end of what his chats hold; `begins_before` = first
    seen within `active_days` of its begin, so that his true first day, and with it his age, is not known.
    """
    first, last = pl.col("first_seen").dt.date(), pl.col("last_seen").dt.date()
    begin, end = pl.col("watched_from").dt.date(), pl.col("watched_until").dt.date()
    return linked.select(
        days=(last - first).dt.total_days() + 1,
        is_event=(end - last).dt.total_days() > active_days,
        begins_before=(first - begin).dt.total_days() < active_days,
    )


def _curve(cases: pl.DataFrame) -> Curve:
    """All begin at their own day 0, so the entries are 0."""
    durations = cases["days"].to_numpy().astype(np.float64)
    return kaplan_meier(durations, cases["is_event"].to_numpy(), np.zeros(len(durations)))


def merge_lifetimes(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `lifetimes`: the curve of the sellers whose first day is known."""
    return curve_table(sellers.merge_linked_sellers(parts).collect()).lazy()


def merge_summary(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `lifetime_summary`: figures with their limits, for those whose first day is known and for all."""
    return summary_table(sellers.merge_linked_sellers(parts).collect()).lazy()


def curve_table(linked: pl.DataFrame) -> pl.DataFrame:
    """As `merge_lifetimes`, from table `linked_sellers`."""
    curve = _curve(spans(linked).filter(~pl.col("begins_before")))
    frame = pl.DataFrame(dict(zip(Curve._fields, curve, strict=True)), nan_to_null=True)
    return frame.with_columns(pl.col("days", "at_risk", "events").cast(pl.Int64))


def summary_table(linked: pl.DataFrame) -> pl.DataFrame:
    """As `merge_summary`, from table `linked_sellers`: cohort, figure, value, lower, upper."""
    cases = spans(linked)
    rows: list[tuple[str | float | None, ...]] = []
    for cohort, chosen in (("first_day_known", cases.filter(~pl.col("begins_before"))), ("all", cases)):
        curve = _curve(chosen)
        rows += [(cohort, "sellers", float(chosen.height), None, None)]
        rows += [(cohort, "still_active", float((~chosen["is_event"]).sum()), None, None)]
        rows += [(cohort, "median_days", *_median(curve))]
        rows += [(cohort, f"active_{years}_years", *_at(curve, years * _YEAR_DAYS, chosen)) for years in _YEARS]
    schema = {"cohort": pl.String, "figure": pl.String} | dict.fromkeys(("value", "lower", "upper"), pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _median(curve: Curve) -> tuple[float | None, float | None, float | None]:
    """First day on which half or less go on; limits where those of the curve cross a half (Brookmeyer & Crowley)."""
    return _first_below(curve, curve.survival), _first_below(curve, curve.lower), _first_below(curve, curve.upper)


def _first_below(curve: Curve, line: Floats) -> float | None:
    below = np.flatnonzero((line <= 0.5 + _ROUNDING) | np.isnan(line))
    return float(curve.days[below[0]]) if len(below) else None


def _at(curve: Curve, days: float, cases: pl.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The share still active after so many days; null when nobody was watched for so long."""
    longest = cases["days"].max()
    row = int(np.searchsorted(curve.days, days, "right")) - 1
    if not isinstance(longest, int) or longest < days and curve.survival[-1] > 0:
        return None, None, None
    value, lower, upper = (float(line[row]) for line in (curve.survival, curve.lower, curve.upper))
    return value, None if np.isnan(lower) else lower, None if np.isnan(upper) else upper
