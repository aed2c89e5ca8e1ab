"""Survival of linked sellers: by hand, at the edges of the data, and against lifelines' figures."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from drugscan import lifetimes

BEGIN = datetime(2020, 1, 1)


def curve(durations: list[float], events: list[int], entries: list[float] | None = None) -> lifetimes.Curve:
    start = np.array(entries if entries is not None else [0.0] * len(durations))
    return lifetimes.kaplan_meier(np.array(durations), np.array(events, bool), start)


def linked(spans: list[tuple[int, int]], days: int = 2000) -> pl.DataFrame:
    """Table `linked_sellers` with sellers seen from one day to another of so many days of data."""
    rows: list[dict[str, Any]] = [
        {
            "first_seen": BEGIN + timedelta(days=first),
            "last_seen": BEGIN + timedelta(days=last, hours=3),
            "watched_from": BEGIN,
            "watched_until": BEGIN + timedelta(days=days),
        }
        for first, last in spans
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.Datetime("us")) if rows else dict.fromkeys(
        ("first_seen", "last_seen", "watched_from", "watched_until"), pl.Datetime("us")
    ))  # fmt: skip


def test_by_hand() -> None:
    """Five cases: end at 1, 3 and 3, watched until 2 and 5. S = 4/5, then 4/5 * 1/3."""
    found = curve([1, 2, 3, 3, 5], [1, 0, 1, 1, 0])
    assert found.days.tolist() == [0, 1, 3]
    assert found.at_risk.tolist() == [5, 5, 3]
    assert found.events.tolist() == [0, 1, 2]
    assert found.survival == pytest.approx([1, 4 / 5, 4 / 15])
    variance = 1 / (5 * 4)  # Greenwood's sum after the first event
    spread = 1.959963984540054 * np.sqrt(variance) / np.log(4 / 5)
    assert found.lower[1] == pytest.approx(0.8 ** np.exp(-spread))
    assert found.upper[1] == pytest.approx(0.8 ** np.exp(spread))
    assert found.lower[1] < 0.8 < found.upper[1]


def test_who_enters_late_is_at_risk_late() -> None:
    """The second case is not watched before day 2, so the first end is among two, the next among two."""
    found = curve([1, 4, 6], [1, 1, 1], [0, 2, 0])
    assert found.at_risk.tolist() == [2, 2, 2, 1]
    assert found.survival.tolist() == [1, 0.5, 0.25, 0]
    assert np.isnan([found.lower[-1], found.upper[-1]]).all()


def test_edges_of_the_data() -> None:
    """Seen in the last 60 days = goes on; first seen in the first 60 days = may be older."""
    found = lifetimes.spans(linked([(100, 400), (100, 1939), (100, 1940), (59, 400), (60, 60)]))
    assert found["days"].to_list() == [301, 1840, 1841, 342, 1]
    assert found["is_event"].to_list() == [True, True, False, True, True]
    assert found["begins_before"].to_list() == [False, False, False, True, False]


def test_tables() -> None:
    spans = [(100, 100 + length) for length in (0, 0, 10, 50, 100, 400, 500, 900, 1200, 1850)] + [(0, 1999)]
    table, summary = lifetimes.curve_table(linked(spans)), lifetimes.summary_table(linked(spans))
    assert table.row(0) == (0, 10, 0, 1.0, 1.0, 1.0)
    assert table["survival"].to_list() == pytest.approx([1, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert (table["lower"] <= table["survival"]).all()
    assert (table["upper"] >= table["survival"]).all()
    known = {row["figure"]: row for row in summary.filter(cohort="first_day_known").to_dicts()}
    assert (known["sellers"]["value"], known["still_active"]["value"], known["median_days"]["value"]) == (10, 1, 101)
    assert [known[f"active_{years}_years"]["value"] for years in (1, 2, 3)] == pytest.approx([0.5, 0.3, 0.2])
    assert known["median_days"]["lower"] < 101 < known["median_days"]["upper"]
    assert summary.filter(cohort="all", figure="sellers")["value"][0] == 11


def test_years_beyond_the_data_are_unknown() -> None:
    summary = lifetimes.summary_table(linked([(100, 480), (100, 490)], days=500))
    values = dict(summary.filter(cohort="first_day_known").select("figure", "value").rows())
    assert values["active_1_years"] == 1
    assert values["active_2_years"] is None
    assert values["median_days"] is None


def test_nobody() -> None:
    assert lifetimes.curve_table(linked([])).rows() == [(0, 0, 0, 1.0, 1.0, 1.0)]
    assert lifetimes.summary_table(linked([]))["value"].drop_nulls().to_list() == [0, 0, 0, 0]
