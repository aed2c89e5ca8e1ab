"""Tables by period: cases counted by hand, and everything that the demo knows to be true."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
import pytest

from drugscan import hours, timeline, totals
from drugscan.listings import Bucket
from drugscan.schema import LABELS
from drugscan.statistics import Statistic
from tests import conftest


class Post(NamedTuple):
    """A message of the cases below; an ad when it has labels."""

    moment: datetime
    text: str = ""
    labels: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    seller: str | None = None
    chat: tuple[str, int] = ("channel", 1)
    id: int | None = None
    edited: bool = False


def bucket(posts: Iterable[Post]) -> Bucket:
    """A bucket as `listings.read_bucket` makes it."""
    rows = [
        {
            "peer_kind": post.chat[0],
            "chat_id": post.chat[1],
            "message_id": post.id,
            "local_time": post.moment,
            "edited_at": post.moment if post.edited else None,
            "text_id": post.text.encode() or None,
            "seller": post.seller,
            "provinces": list(post.provinces),
            **{label: label in post.labels for label in LABELS},
        }
        for post in posts
    ]
    schema: dict[str, Any] = {
        "peer_kind": pl.String,
        "chat_id": pl.Int64,
        "message_id": pl.Int64,
        "local_time": pl.Datetime("us"),
        "edited_at": pl.Datetime("us"),
        "text_id": pl.Binary,
        "seller": pl.String,
        "provinces": pl.List(pl.String),
        **dict.fromkeys(LABELS, pl.Boolean),
    }
    messages = pl.LazyFrame(rows, schema=schema).with_columns(pl.col("peer_kind").cast(pl.Categorical))
    ads = messages.filter(pl.any_horizontal(LABELS)).with_columns(pl.col("peer_kind").cast(pl.String))
    texts = ads.select("text_id", "provinces").unique("text_id")
    empty = pl.LazyFrame()
    return Bucket(messages.drop("seller", "provinces", *LABELS), ads.drop("provinces"), texts, empty, empty)


def table(statistic: Statistic, posts: list[Post], buckets: int = 1) -> pl.DataFrame:
    """The table over so many buckets; a text is in one of them, as in a corpus."""
    parts = [[post for post in posts if sum(post.text.encode()) % buckets == number] for number in range(buckets)]
    return statistic.merge(pl.concat([statistic.partial(bucket(part)).collect() for part in parts]).lazy()).collect()


TIMELINE = Statistic(timeline.partial, timeline.merge)
TOTALS_BY = Statistic(totals.partial, totals.merge)
HOURS = Statistic(hours.partial, hours.merge)
WEED, COKE = ("softdrugs",), ("harddrugs", "pickup")
OTHER = ("group", 7)
POSTS = [
    Post(datetime(2023, 12, 20), "hallo"),
    Post(datetime(2023, 12, 31, 23, 59), "wiet", WEED, ("Utrecht", "Zeeland"), "a"),
    Post(datetime(2024, 1, 1, 0, 0), "wiet", WEED, ("Utrecht", "Zeeland"), "b"),
    Post(datetime(2024, 1, 1, 9), "wiet", WEED, ("Utrecht", "Zeeland"), "b", OTHER),
    Post(datetime(2024, 1, 7, 23), "coke", COKE, ("Utrecht",), "a"),
    Post(datetime(2024, 1, 8), "coke", COKE, ("Utrecht",), None),
    Post(datetime(2024, 1, 8, 1), "", ()),
    Post(datetime(2024, 1, 31), "hallo"),
]
"""1 January 2024 is a Monday: the last of 2023 falls into the week before, the 7th and the 8th into two weeks."""
Counts = tuple[int, int, int]
Rows = dict[date, tuple[*Counts, bool]]


def of(found: pl.DataFrame, period: str, dimension: str, value: str = "") -> Rows:
    """Start -> messages, texts, sellers, complete."""
    rows = found.filter(period=period, dimension=dimension, value=value)
    return {row[0]: row[1:] for row in rows.select("start", "messages", "texts", "sellers", "complete").rows()}


def test_a_timeline_counted_by_hand() -> None:
    found = table(TIMELINE, POSTS)
    assert of(found, "day", "all") == {
        date(2023, 12, 31): (1, 1, 1, True),
        date(2024, 1, 1): (2, 1, 1, True),
        date(2024, 1, 7): (1, 1, 1, True),
        date(2024, 1, 8): (1, 1, 0, True),
    }
    assert of(found, "week", "all") == {
        date(2023, 12, 25): (1, 1, 1, True),
        date(2024, 1, 1): (3, 2, 2, True),
        date(2024, 1, 8): (1, 1, 0, True),
    }
    assert of(found, "month", "all") == {date(2023, 12, 1): (1, 1, 1, False), date(2024, 1, 1): (4, 2, 2, True)}
    assert of(found, "month", "province", "Utrecht") == of(found, "month", "all")
    assert of(found, "month", "province", "Zeeland") == {
        date(2023, 12, 1): (1, 1, 1, False),
        date(2024, 1, 1): (2, 1, 1, True),
    }
    assert of(found, "month", "label", "pickup") == {date(2024, 1, 1): (2, 1, 1, True)}
    assert of(found, "month", "chat kind", "channel")[date(2024, 1, 1)] == (3, 2, 2, True)
    assert of(found, "month", "chat", "channel:1") == of(found, "month", "chat kind", "channel")
    assert of(found, "month", "chat", "group:7") == {date(2024, 1, 1): (1, 1, 1, False)}
    assert of(found, "week", "chat", "group:7") == {date(2024, 1, 1): (1, 1, 1, False)}
    assert found.filter(dimension="label")["value"].unique().sort().to_list() == ["harddrugs", "pickup", "softdrugs"]


@pytest.mark.parametrize(
    ("first", "last", "period", "complete"),
    [
        (date(2024, 1, 1), date(2024, 1, 7), "week", True),
        (date(2024, 1, 2), date(2024, 1, 7), "week", False),
        (date(2024, 1, 1), date(2024, 1, 6), "week", False),
        (date(2024, 1, 1), date(2024, 1, 31), "month", True),
        (date(2024, 1, 2), date(2024, 2, 2), "month", False),
        (date(2024, 1, 1), date(2024, 1, 30), "month", False),
        (date(2024, 1, 2), date(2024, 1, 4), "day", True),
        (date(2024, 1, 3), date(2024, 1, 4), "day", False),
        (date(2024, 1, 2), date(2024, 1, 3), "day", False),
    ],
)
def test_what_the_input_covers(first: date, last: date, period: str, complete: bool) -> None:
    """An ad on 3 January, and other messages from the first to the last day."""
    moments = [datetime(day.year, day.month, day.day, 23, 59) for day in (first, last)]
    posts = [Post(moment) for moment in moments] + [Post(datetime(2024, 1, 3, 12), "wiet", WEED)]
    found = table(TIMELINE, posts)
    for dimension, value in (("all", ""), ("chat", "channel:1"), ("chat kind", "channel"), ("label", "softdrugs")):
        assert [row[3] for row in of(found, period, dimension, value).values()] == [complete]


def test_a_chat_is_judged_by_its_own_span() -> None:
    elsewhere = [Post(datetime(2024, month, 1), chat=("group", 2)) for month in (1, 3)]
    posts = [Post(datetime(2024, 2, 2), "wiet", WEED), Post(datetime(2024, 2, 20)), *elsewhere]
    found = table(TIMELINE, posts)
    assert of(found, "month", "all") == {date(2024, 2, 1): (1, 1, 0, True)}
    assert of(found, "month", "chat", "channel:1") == {date(2024, 2, 1): (1, 1, 0, False)}
    assert of(found, "month", "chat kind", "channel") == {date(2024, 2, 1): (1, 1, 0, False)}


def test_only_the_chats_with_most_ads_have_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "CHATS", 2)
    ads = {1: 1, 2: 3, 3: 2}
    posts = [
        Post(datetime(2024, 1, 1 + day), "wiet", WEED, chat=("channel", chat))
        for chat, days in ads.items()
        for day in range(days)
    ]
    found = table(TIMELINE, posts)
    assert found.filter(dimension="chat")["value"].unique().sort().to_list() == ["channel:2", "channel:3"]
    assert of(found, "month", "all")[date(2024, 1, 1)][0] == 6


def test_totals_by_hand() -> None:
    found = table(TOTALS_BY, POSTS)
    rows = {(row[0], row[1]): row[2:] for row in found.rows()}
    assert found.columns[2:] == [
        "messages_scanned",
        "texts_scanned",
        "messages",
        "texts",
        "sellers",
        "share",
        "copies_per_text",
    ]
    assert rows == {
        ("chat kind", "channel"): (7, 3, 4, 2, 2, 4 / 7, 2.0),
        ("chat kind", "group"): (1, 1, 1, 1, 1, 1.0, 1.0),
        ("month", "2023-12"): (2, 2, 1, 1, 1, 0.5, 1.0),
        ("month", "2024-01"): (6, 3, 4, 2, 2, 4 / 6, 2.0),
        ("year", "2023"): (2, 2, 1, 1, 1, 0.5, 1.0),
        ("year", "2024"): (6, 3, 4, 2, 2, 4 / 6, 2.0),
    }
    without = table(TOTALS_BY, [Post(datetime(2024, 1, 1), "hallo")])
    assert without.drop("by", "value").unique().rows() == [(1, 1, 0, 0, 0, 0.0, 0.0)]


def test_hours_by_hand() -> None:
    """Monday at midnight: the first of January (a text, a seller) and the eighth (another text, of nobody)."""
    found = table(HOURS, POSTS)
    assert found.select("weekday", "hour").rows() == [(day, hour) for day in range(1, 8) for hour in range(24)]
    assert {row[:2]: row[2:] for row in found.rows() if row[2]} == {
        (1, 0): (2, 2, 1),
        (1, 9): (1, 1, 1),
        (7, 23): (2, 2, 1),
    }


@pytest.mark.parametrize("statistic", [TIMELINE, TOTALS_BY, HOURS])
def test_buckets_change_nothing(statistic: Statistic) -> None:
    assert table(statistic, POSTS, 3).equals(table(statistic, POSTS))
    assert table(statistic, []).select("messages").sum().item() == 0


def test_without_messages_there_are_no_periods() -> None:
    assert table(TIMELINE, []).is_empty()
    assert table(TOTALS_BY, []).is_empty()


def test_the_demo_by_period_is_exact(small_demo: conftest.Demo, scanned: str) -> None:
    """Counted again in plain Python from the truth; provinces are read from texts, and left to the cases by hand."""
    found = conftest.tables(scanned, small_demo.oracle()).tables
    expected: dict[tuple[str, date, str, str], tuple[list[int], set[bytes], set[str]]] = {}
    for ad in conftest.own_ads(small_demo).rows(named=True):
        day = ad["local"].date()
        starts = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}
        cells = [("all", ""), ("chat", f"{ad['peer_kind']}:{ad['chat_id']}"), ("chat kind", ad["peer_kind"])]
        cells += [("label", label) for label in ad["labels"]]
        for period, start in starts.items():
            for cell in cells:
                messages, texts, sellers = expected.setdefault((period, start, *cell), ([], set(), set()))
                messages.append(1)
                texts.add(ad["text_id"])
                sellers.update({ad["seller"]} - {None})
    counts = {key: tuple(len(each) for each in values) for key, values in expected.items()}
    rows = found["timeline"].filter(pl.col("dimension") != "province").select(pl.exclude("complete")).rows()
    assert {row[:4]: row[4:] for row in rows} == counts
    by_month = {
        f"{start:%Y-%m}": n for (period, start, cell, _), n in counts.items() if (period, cell) == ("month", "all")
    }
    totals_by = found["totals_by"].filter(pl.col("by") == "month", pl.col("messages") > 0)
    assert {row[0]: row[1:] for row in totals_by.select("value", "messages", "texts", "sellers").rows()} == by_month
    years = found["totals_by"].filter(by="year")
    assert years["messages_scanned"].sum() == small_demo.summary.current
    assert years["messages"].sum() == small_demo.summary.ads
    kinds = found["totals_by"].filter(by="chat kind")
    assert kinds["messages_scanned"].sum() == small_demo.summary.current
