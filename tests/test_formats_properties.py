"""Readers never raise, whatever stands in a file, and cutting a file changes nothing."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drugscan import formats
from drugscan.schema import Item, Message, Reject, Service
from drugscan.settings import Settings
from tests.test_formats import GOLDEN

FILES = sorted(path.name for path in GOLDEN.iterdir() if ".expected" not in path.name)
SPLITTABLE = ["desktop-single.json", "desktop-full.json", "telethon-lines.jsonl", "fourcat.ndjson", "pushshift.ndjson"]
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    *("id", "type", "date", "date_unixtime", "edited", "from", "from_id", "text", "forwarded_from", "poll", "message"),
    *(
        "peer_id",
        "to_id",
        "fwd_from",
        "entities",
        "media",
        "reply_markup",
        "views",
        "raw",
        "inline_bot_buttons",
        "_chat",
    ),
)
OBJECT = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=10) | JSON
MARKED = {
    "desktop": ({}, lambda found: {"name": "C", "type": "public_supergroup", "id": 1, "messages": found}),
    "telethon": ({"_": "Message"}, lambda found: found),
    "tdl": ({"type": "message", "date": 1_600_000_000}, lambda found: {"id": 5, "messages": found}),
    "tgdataset": ({}, lambda found: {"77": {"title": "T", "text_messages": {str(i): x for i, x in enumerate(found)}}}),
    "fourcat": ({"_type": "Message"}, lambda found: found),
}


def _read(path: Path, **chosen: int) -> list[Item]:
    try:
        ranges = list(formats.plan(str(path), Settings(**chosen)))  # type: ignore[arg-type]
    except (formats.UnknownFormat, OSError, ValueError):
        return []
    items = []
    for range_ in ranges:
        here = list(formats.read(range_))
        offsets = [item.offset for item in here]
        assert offsets == sorted(offsets)
        assert all(range_.start <= offset < (range_.end or 2**62) for offset in offsets if here[0])
        items += here
    return items


@QUICK
@given(name=st.sampled_from(sorted(MARKED)), objects=st.lists(OBJECT, max_size=5), indent=st.sampled_from([None, 1, 2]))
def test_no_json_makes_a_reader_raise(
    name: str, objects: list[object], indent: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    marks, wrap = MARKED[name]
    found = [{**value, **marks} if isinstance(value, dict) else value for value in objects]
    path = tmp_path_factory.mktemp("json") / "x"
    path.write_text(json.dumps(wrap([{**marks, "id": 1}, *found]), indent=indent), encoding="utf-8")
    items = _read(path)
    assert all(isinstance(item, Message | Reject | Service) for item in items)
    assert len(items) == len(objects) + 1


@QUICK
@given(name=st.sampled_from(FILES), place=st.floats(0, 1), change=st.binary(max_size=6), cut=st.booleans())
def test_no_damage_makes_a_reader_raise(
    name: str, place: float, change: bytes, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = (GOLDEN / name).read_bytes()
    at = int(place * len(raw))
    path = tmp_path_factory.mktemp("bytes") / "x"
    path.write_bytes(raw[:at] + change + (b"" if cut else raw[at + len(change) :]))
    for item in _read(path):
        assert isinstance(item, Message | Reject | Service)


@QUICK
@given(name=st.sampled_from(SPLITTABLE), range_bytes=st.integers(20, 5000))
def test_cutting_changes_no_item(name: str, range_bytes: int) -> None:
    whole = _read(GOLDEN / name)
    assert _read(GOLDEN / name, range_bytes=range_bytes) == whole
    assert whole


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".csv")])
def test_offsets_point_at_messages(name: str) -> None:
    raw = (GOLDEN / name).read_bytes()
    for item in _read(GOLDEN / name):
        if isinstance(item, Message):
            assert raw[item.offset : item.offset + 1] == b"{"
