"""Ranges to message files: the contracts, the keys, and that cutting changes nothing."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from drugscan import corpus, formats, stages
from drugscan.settings import Settings
from tests import conftest


def desktop(path: Path, messages: list[Any], **chat: object) -> str:
    """A single-chat export as Telegram Desktop writes it."""
    head = {"name": "Chat", "type": "public_supergroup", "id": 123456} | chat
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head, "messages": messages}, ensure_ascii=False, indent=1), encoding="utf-8")
    return str(path)


def message(number: int, text: str, sent: int = 1_700_000_000, **more: object) -> dict[str, Any]:
    sender = {"from": "Jan", "from_id": "user7"}
    return {"id": number, "type": "message", "date_unixtime": str(sent), **sender, "text": text} | more


def test_a_message_becomes_a_row(tmp_path: Path) -> None:
    path = desktop(tmp_path / "result.json", [message(5, "hallo  ", edited_unixtime="1700000100"), message(6, "")])
    outcome = conftest.ingest([path], str(tmp_path / "c"))
    assert (outcome.messages, outcome.done, outcome.failures) == (2, 1, [])
    rows = conftest.messages(str(tmp_path / "c")).sort("message_id").to_dicts()
    assert rows[0]["text"] == "hallo"
    assert (rows[0]["peer_kind"], rows[0]["chat_id"], rows[0]["message_id"]) == ("channel", 123456, 5)
    assert str(rows[0]["sent_at"]) == "2023-11-14 22:13:20+00:00"
    assert str(rows[0]["edited_at"]) == "2023-11-14 22:15:00+00:00"
    assert rows[0]["sender_id"] is not None
    assert rows[0]["sender_id"] != "7"
    assert len(rows[0]["sender_id"]) == 16
    assert (rows[1]["text"], rows[1]["text_id"]) == (None, None)


def test_pseudonyms_depend_on_the_key_and_on_nothing_else(tmp_path: Path) -> None:
    from drugscan.columns import pseudonym

    assert pseudonym("user:7", b"a" * 32) == pseudonym("user:7", b"a" * 32)
    assert pseudonym("user:7", b"a" * 32) != pseudonym("user:7", b"b" * 32)
    assert pseudonym("user:7", b"a" * 32) != pseudonym("channel:7", b"a" * 32)


def test_bare_times_are_read_on_the_clock_of_the_corpus(tmp_path: Path) -> None:
    times = {1: "2021-07-01T12:00:00", 2: "2021-01-01T12:00:00", 3: "2021-03-28T02:30:00", 4: "2021-10-31T02:30:00"}
    old = [
        {"id": n, "type": "message", "date": date, "from": "J", "from_id": 7, "text": "x"} for n, date in times.items()
    ]
    conftest.ingest([desktop(tmp_path / "r.json", old)], str(tmp_path / "c"))
    rows = conftest.messages(str(tmp_path / "c")).sort("message_id")
    assert rows["time_quality"].unique().to_list() == ["assumed"]
    assert [str(moment)[:16] for moment in rows["sent_at"]] == [
        "2021-07-01 10:00",
        "2021-01-01 11:00",
        "2021-03-28 01:30",  # a time that the clock skipped: an hour later
        "2021-10-31 00:30",  # a time that came twice: the first
    ]


def test_private_chats_are_skipped_and_counted(tmp_path: Path) -> None:
    path = desktop(tmp_path / "r.json", [message(1, "a"), message(2, "b")], type="personal_chat")
    conftest.ingest([path], str(tmp_path / "c"))
    assert dict(corpus.snapshot(str(tmp_path / "c")).ledger()) == {
        "read": 2, "kept": 0, "service": 0, "private": 2, "rejects": 0,
    }  # fmt: skip
    conftest.ingest([path], str(tmp_path / "all"), settings=Settings(include_private=True))
    assert conftest.messages(str(tmp_path / "all")).height == 2


def test_rejects_are_kept_with_source_offset_and_reason(tmp_path: Path) -> None:
    path = desktop(tmp_path / "r.json", [message(1, "a"), message(2, "b", 5), "text", message(3, "c")])
    conftest.ingest([path], str(tmp_path / "c"))
    found = corpus.snapshot(str(tmp_path / "c"))
    rejects = pl.concat([pl.DataFrame(corpus.read_table(file)) for file in found.rejects])
    assert rejects["reason"].to_list() == ["bad_time", "not_an_object"]
    assert rejects["source"].unique().to_list() == [path]
    assert Path(path).read_bytes()[rejects["source_offset"][0] :].startswith(b'{\n   "id": 2')
    assert found.ledger()["kept"] == 2


def test_reading_again_does_nothing_and_more_input_only_what_is_new(tmp_path: Path) -> None:
    one = desktop(tmp_path / "1" / "r.json", [message(1, "a")])
    url = str(tmp_path / "c")
    assert conftest.ingest([one], url).done == 1
    again = conftest.ingest([one], url)
    assert (again.done, again.skipped) == (0, 1)
    desktop(tmp_path / "2" / "r.json", [message(2, "b")])
    more = conftest.ingest([str(tmp_path / "1"), str(tmp_path / "2")], url)
    assert (more.done, more.skipped) == (1, 1)
    desktop(tmp_path / "1" / "r.json", [message(1, "a"), message(3, "c")])
    changed = conftest.ingest([one], url)
    assert (changed.done, changed.messages) == (1, 2)


def test_what_cannot_be_read_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    good = desktop(tmp_path / "in" / "r.json", [message(1, "a")])
    bad = tmp_path / "in" / "bad.json"
    bad.write_text('{"what": "ever"}')
    outcome = conftest.ingest([str(tmp_path / "in"), str(tmp_path / "none.json")], str(tmp_path / "c"))
    assert outcome.done == 1
    assert len(outcome.failures) == 2
    assert f"{tmp_path}/none.json: no such file" in outcome.failures
    assert any("bad.json is of no known format. Expected: Telegram Desktop" in failure for failure in outcome.failures)
    assert Path(good).exists()


def test_a_corpus_keeps_its_settings_and_its_key(tmp_path: Path) -> None:
    path = desktop(tmp_path / "r.json", [message(1, "a")])
    url = str(tmp_path / "c")
    conftest.ingest([path], url)
    with pytest.raises(corpus.CorpusError, match="timezone = Europe/Amsterdam"):
        conftest.ingest([path], url, settings=Settings(timezone="UTC"))
    with pytest.raises(corpus.CorpusError, match="another pseudonym key"):
        stages.open_or_make(url, Settings(), "other", [])


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(max_size=40), min_size=1, max_size=30),
    range_bytes=st.integers(50, 3000),
)
def test_parts_are_the_whole_whatever_the_cut(
    texts: list[str], range_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = desktop(folder / "r.json", [message(n, text) for n, text in enumerate(texts, 1)])
    seen = []
    for name, size in (("whole", 1 << 26), ("parts", range_bytes)):
        conftest.ingest([path], str(folder / name), settings=Settings(range_bytes=size))
        seen.append(conftest.messages(str(folder / name)).drop("range_id").sort("source_offset"))
    assert seen[0].equals(seen[1])
    assert seen[0].height == len(texts)


def test_a_file_with_other_buckets_is_read_the_same(tmp_path: Path, small_demo: conftest.Demo) -> None:
    """A corpus that has grown reads its older files by filtering."""
    import msgspec

    url = str(tmp_path / "c")
    conftest.ingest([small_demo.exports], url)
    found = corpus.snapshot(url)
    whole = sorted(pl.DataFrame(corpus.read_bucket(found, 3, ["source_offset", "text"])).rows(), key=str)
    halves = []
    for half in (6, 7):
        finer = msgspec.structs.replace(found, buckets=32)
        halves += pl.DataFrame(corpus.read_bucket(finer, half, ["source_offset", "text"])).rows()
    assert whole == sorted(halves, key=str)
    assert whole


def test_ranges_of_a_file_are_cut_at_fixed_offsets(small_demo: conftest.Demo) -> None:
    path = f"{small_demo.exports}/account/result.json"
    ranges = list(formats.plan(path, Settings(range_bytes=100_000)))
    assert [range_.start for range_ in ranges] == [100_000 * i for i in range(len(ranges))]
    assert ranges[-1].end == Path(path).stat().st_size
