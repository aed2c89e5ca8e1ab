"""What may be missing from chats: cases counted by hand, and the ids of the demo."""

from datetime import date, datetime

import polars as pl

from drugscan import completeness
from drugscan.statistics import Statistic
from tests import conftest
from tests.test_timeline import Post, table

COMPLETENESS = Statistic(completeness.partial, completeness.merge)
GROUP, OTHER = ("group", 1), ("other", 9)
POSTS = [
    Post(datetime(2024, 1, 1, 8), "a", id=10),
    Post(datetime(2024, 1, 1, 9), "b", id=11, edited=True),
    Post(datetime(2024, 1, 2, 9), "c", id=14),  # two ids are missing
    Post(datetime(2024, 1, 6, 9), "d", id=20),  # five ids and three days
    Post(datetime(2024, 1, 7, 9), "e", id=-999_999_990),
    Post(datetime(2024, 1, 3, 9), "f", chat=GROUP, id=100),
    Post(datetime(2024, 1, 4, 9), "g", chat=GROUP, id=900, edited=True),
    Post(datetime(2024, 1, 4, 9), "h", chat=OTHER),
]
GAPS = ["first_id", "last_id", "ids_seen", "ids_missing", "ids_share", "gaps", "biggest_gap", "gap_from", "gap_until"]
SILENCES = ["days", "silent_days", "longest_silence_days", "silent_from", "silent_until"]


def chats(found: pl.DataFrame, columns: list[str]) -> dict[tuple[str, int | None], tuple[object, ...]]:
    return {(row[0], row[1]): row[2:] for row in found.select("peer_kind", "chat_id", *columns).rows()}


def test_gaps_by_hand() -> None:
    """The one with a negative id stood in the group before it became this supergroup; basic groups have no gaps."""
    found = chats(table(COMPLETENESS, POSTS), GAPS)
    assert found == {
        ("all", None): (None, None, 4, 7, 4 / 11, 2, 5, date(2024, 1, 2), date(2024, 1, 6)),
        ("channel", 1): (10, 20, 4, 7, 4 / 11, 2, 5, date(2024, 1, 2), date(2024, 1, 6)),
        ("group", 1): (None,) * 9,
        ("other", 9): (None,) * 9,
    }


def test_silences_by_hand() -> None:
    assert chats(table(COMPLETENESS, POSTS), SILENCES) == {
        ("all", None): (7, 1, 1, date(2024, 1, 5), date(2024, 1, 5)),
        ("channel", 1): (7, 3, 3, date(2024, 1, 3), date(2024, 1, 5)),
        ("group", 1): (2, 0, 0, None, None),
        ("other", 9): (1, 0, 0, None, None),
    }


def test_shares_by_hand() -> None:
    found = table(COMPLETENESS, POSTS)
    columns = ["messages_scanned", "watched_from", "watched_until", "without_id_share", "edited_share"]
    assert chats(found, columns) == {
        ("all", None): (8, datetime(2024, 1, 1, 8), datetime(2024, 1, 7, 9), 1 / 8, 2 / 8),
        ("channel", 1): (5, datetime(2024, 1, 1, 8), datetime(2024, 1, 7, 9), 0.0, 1 / 5),
        ("group", 1): (2, datetime(2024, 1, 3, 9), datetime(2024, 1, 4, 9), 0.0, 1 / 2),
        ("other", 9): (1, datetime(2024, 1, 4, 9), datetime(2024, 1, 4, 9), 1.0, 0.0),
    }
    assert found["peer_kind"].to_list() == ["all", "channel", "group", "other"]


def test_a_chat_without_gaps_and_one_of_a_single_message() -> None:
    posts = [Post(datetime(2024, 1, day), id=day) for day in (1, 2, 3)]
    posts += [Post(datetime(2024, 1, 2), chat=("channel", 2), id=50)]
    found = chats(table(COMPLETENESS, posts), GAPS)
    assert found["channel", 1] == (1, 3, 3, 0, 1.0, 0, 0, None, None)
    assert found["channel", 2] == (50, 50, 1, 0, 1.0, 0, 0, None, None)
    assert found["all", None] == (None, None, 4, 0, 1.0, 0, 0, None, None)


def test_buckets_change_nothing() -> None:
    assert table(COMPLETENESS, POSTS, 3).equals(table(COMPLETENESS, POSTS))


def test_no_messages_no_chats() -> None:
    assert table(COMPLETENESS, []).is_empty()


def test_the_ids_of_the_demo(small_demo: conftest.Demo, scanned: str) -> None:
    """Counted again in plain Python, id by id."""
    found = chats(conftest.tables(scanned, small_demo.oracle()).tables["completeness"], ["messages_scanned", *GAPS[:7]])
    ids: dict[tuple[str, int], list[int]] = {}
    for kind, chat, number in small_demo.messages.select("peer_kind", "chat_id", "message_id").rows():
        ids.setdefault((kind, chat), []).append(number)
    assert found.keys() == {("all", None), *ids}
    for chat, numbers in ids.items():
        if chat[0] == "group":
            assert found[chat] == (len(numbers), *[None] * 7)
            continue
        first, last, seen = min(numbers), max(numbers), set(numbers)
        missing = [number for number in range(first, last + 1) if number not in seen]
        lengths: list[int] = []
        for number in missing:
            if number - 1 in seen:
                lengths.append(0)
            lengths[-1] += 1
        share = len(numbers) / (len(numbers) + len(missing))
        shown = (len(numbers), first, last, len(numbers), len(missing), share, len(lengths), max(lengths, default=0))
        assert found[chat] == shown
    assert found["all", None][0] == small_demo.summary.current
