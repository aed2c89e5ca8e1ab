"""Every input format by golden files, made by hand after the documentation of the programs that write them."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from drugscan import formats, storage
from drugscan.schema import Item, Message, Reject, Service
from drugscan.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Message)}


def read(path: Path | str, **settings: Any) -> list[Item]:  # noqa: ANN401
    return [item for range_ in formats.plan(str(path), Settings(**settings)) for item in formats.read(range_)]


def messages(path: Path | str, **settings: Any) -> list[Message]:  # noqa: ANN401
    return [item for item in read(path, **settings) if isinstance(item, Message)]


def as_golden(items: list[Item]) -> list[dict[str, Any]]:
    """Items as JSON, without offsets and without what has its default."""
    rows = []
    for item in items:
        row = msgspec.to_builtins(item)
        row.pop("offset")
        rows.append(
            {"is": type(item).__name__} | {k: v for k, v in row.items() if v not in (DEFAULTS.get(k), None, [])}
        )
    return rows


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir() if ".expected" not in path.name))
def test_golden(name: str) -> None:
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())
    assert as_golden(read(GOLDEN / name)) == expected


SAME = {
    "desktop-single.json": 101,
    "telethon-array.json": 101,
    "telethon-lines.jsonl": 101,
    "tdl-raw.json": 101,
    "fourcat.ndjson": 101,
    "fourcat.csv": 101,
}


def test_one_message_is_the_same_in_every_format() -> None:
    seen = {}
    for name, number in SAME.items():
        found = next(message for message in messages(GOLDEN / name) if message.message_id == number)
        fields = ("peer_kind", "chat_id", "message_id", "sender", "sender_kind", "sent_at", "text")
        seen[name] = tuple(getattr(found, field) for field in fields)
    assert set(seen.values()) == {
        ("channel", 1234567890, 101, "user:77", "user", 1_700_000_000_000_000, "Iemand een fiets over?")
    }


# --- packed ---------------------------------------------------------------------------------------------------


def _packed(tmp_path: Path) -> dict[str, Path]:
    raw = (GOLDEN / "desktop-single.json").read_bytes()
    paths = {kind: tmp_path / f"x.{kind}" for kind in ("gz", "zst", "zip")}
    paths["gz"].write_bytes(gzip.compress(raw))
    paths["zst"].write_bytes(zstandard.ZstdCompressor().compress(raw))
    with zipfile.ZipFile(paths["zip"], "w") as archive:
        archive.writestr("photos/1.jpg", b"\xff\xd8\xff")
        archive.writestr("a/result.json", raw)
        archive.writestr("css/style.css", "body { color: red }")
    return paths


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_packed_files_are_read_the_same_whatever_their_name(kind: str, tmp_path: Path) -> None:
    path = _packed(tmp_path)[kind].rename(tmp_path / "no-ending")
    assert as_golden(read(path)) == as_golden(read(GOLDEN / "desktop-single.json"))


def test_pushshift_window(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    sink = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(sink, closefd=False) as writer:
        writer.write((GOLDEN / "pushshift.ndjson").read_bytes())
    (tmp_path / "m.zst").write_bytes(sink.getvalue())
    assert as_golden(read(tmp_path / "m.zst")) == as_golden(read(GOLDEN / "pushshift.ndjson"))


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_an_archive_that_breaks_off_keeps_what_came_before(kind: str, tmp_path: Path) -> None:
    peer = {"_": "PeerChannel", "channel_id": 5}
    texts = [f"tekst {n} {n * 7919 % 10_007} {n * 104_729 % 1_000_003}" for n in range(60_000)]
    lines = [
        {"_": "Message", "id": n, "peer_id": peer, "date": 1_600_000_000 + n, "message": text}
        for n, text in enumerate(texts)
    ]
    raw = "\n".join(json.dumps(line) for line in lines).encode()
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("m.jsonl", raw)
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)  # the directory at the end stays whole
    else:
        packed = gzip.compress(raw) if kind == "gz" else zstandard.ZstdCompressor().compress(raw)
        data = bytearray(packed[: len(packed) * 2 // 3])
    path.write_bytes(data)
    items = read(path)
    assert isinstance(items[-1], Reject)
    assert items[-1].reason in ("read_failed", "truncated", "broken_json")
    # zstandard ends a stream that breaks off without a word: then the last line is what tells
    damage = "truncated" if kind == "zst" else "read_failed"
    assert any(isinstance(item, Reject) and item.reason == damage for item in items)
    assert 1_000 < sum(isinstance(item, Message) for item in items) < 60_000


# --- broken input that real programs write ------------------------------------------------------------------


def _desktop(tmp_path: Path, inside: str, **layout: Any) -> Path:  # noqa: ANN401
    path = tmp_path / "result.json"
    head = '{\n "name": "C",\n "type": "public_supergroup",\n "id": 9,\n "messages": [\n'
    path.write_bytes((head + inside + "\n ]\n}").encode("utf-8", "surrogatepass"))
    del layout
    return path


def _one(text: str, number: int = 1) -> str:
    return (
        f'  {{\n   "id": {number},\n   "type": "message",\n   "date_unixtime": "1600000000",\n   "text": {text}\n  }}'
    )


BROKEN = {
    r'"a\x1fb"': "a\x1fb",
    r'"a\\x1fb"': r"a\x1fb",
    r'"a\qb"': "aqb",
    '"a\tb"': "a b",
    '["x", {"type": "custom_emoji", "text": "🔥", "document_id": (File not included)}]': "x🔥",
    '[{"type": "text_link", "text": 5, "href": "https://t.me/x"}, null, 7]': "5",
    "null": "",
    "12": "12",
}


@pytest.mark.parametrize("text", BROKEN)
def test_faults_of_programs_lose_no_message(text: str, tmp_path: Path) -> None:
    path = _desktop(tmp_path, ",\n".join([_one(text), _one('"heel"', 2)]))
    found = messages(path)
    assert [message.message_id for message in found] == [1, 2]
    assert found[0].text.replace("7", "") == BROKEN[text].replace("7", "")
    minified = tmp_path / "min.json"
    minified.write_bytes(b" ".join(path.read_bytes().split(b"\n")))
    assert [(m.message_id, m.text) for m in messages(minified)] == [(m.message_id, m.text) for m in found]


def test_a_file_cut_off_keeps_its_whole_messages(tmp_path: Path) -> None:
    whole = _desktop(tmp_path, ",\n".join(_one(f'"tekst {n}"', n) for n in range(1, 40))).read_bytes()
    for name, raw in (("indented", whole), ("minified", b"".join(line.strip() for line in whole.split(b"\n")))):
        path = tmp_path / f"{name}.json"
        path.write_bytes(raw[: len(raw) // 2])
        items = read(path)
        rejects = [item for item in items if isinstance(item, Reject)]
        assert [item.reason for item in rejects] == ["truncated"], name
        assert len(items) > 15
        assert [m.message_id for m in items if isinstance(m, Message)] == list(range(1, len(items)))


def test_bytes_that_are_no_text_are_replaced_not_lost(tmp_path: Path) -> None:
    path = _desktop(tmp_path, _one('"caf?"'))
    path.write_bytes(path.read_bytes().replace(b"caf?", b"caf\xe9"))
    assert messages(path)[0].text == "caf\ufffd"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(encoding: str, tmp_path: Path) -> None:
    text = (GOLDEN / "desktop-single.json").read_text(encoding="utf-8")
    path = tmp_path / "bom.json"
    path.write_text(text, encoding=encoding)
    assert as_golden(read(path)) == as_golden(read(GOLDEN / "desktop-single.json"))


def test_a_huge_message_is_passed_over(tmp_path: Path) -> None:
    huge = json.dumps("x" * (17 * 1024 * 1024))
    for name, inside in (("indented", [_one(huge), _one('"klein"', 2)]), ("lines", [])):
        if inside:
            items = read(_desktop(tmp_path, ",\n".join(inside)))
        else:
            path = tmp_path / "m.jsonl"
            small = '{"_": "Message", "id": 2, "peer_id": {"channel_id": 5}, "date": 1600000000, "message": "klein"}'
            path.write_text(f'{small}\n{{"_": "Message", "message": {huge}}}\n{small}\n')
            items = read(path)[1:]
        assert [item.reason for item in items if isinstance(item, Reject)] == ["too_large"], name
        assert [item.text for item in items if isinstance(item, Message)] == ["klein"]
    minified = tmp_path / "one-line.json"
    minified.write_bytes(b"".join((tmp_path / "result.json").read_bytes().split(b"\n")))
    assert [type(item).__name__ for item in read(minified)] == ["Reject", "Message"]


WRONG = {
    "bad_time": {"date_unixtime": "5", "date": None},
    "bad_value": {"id": 2**70},
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_cannot_be_meant_is_a_reject_with_its_reason(reason: str, tmp_path: Path) -> None:
    wrong = {"id": 1, "type": "message", "date_unixtime": "1600000000", "text": "x"} | WRONG[reason]
    path = _desktop(tmp_path, json.dumps(wrong))
    items = read(path)
    assert [item.reason for item in items if isinstance(item, Reject)] == [reason]


def test_depth_is_no_danger(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    items = read(_desktop(tmp_path, ",\n".join([_one(deep), _one('"x"', 2)])))
    assert [type(item).__name__ for item in items] == ["Reject", "Message"]


@pytest.mark.parametrize(
    "content", [b"", b"<html><body>hi</body></html>", b"\x89PNG\r\n\x1a\n", b'{"a": 1}', b"[1, 2]"]
)
def test_what_is_no_format_is_named_with_what_was_expected(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "thing").write_bytes(content)
    with pytest.raises(formats.UnknownFormat, match=r"thing is of no known format\. Expected: Telegram.*--columns"):
        read(tmp_path / "thing")


# --- rows of other programs ---------------------------------------------------------------------------------

GROUP = -1_001_234_567_890
COLUMNS = {"text": "body", "chat_id": "group", "message_id": "nr", "sent_at": "when", "sender_id": "who"}
ROWS = [
    {"body": "eerste, \"met\"\nregel", "group": GROUP, "nr": 7, "when": "2023-05-01T10:00:00+00:00", "who": "55"},
    {"body": "tweede", "group": GROUP, "nr": 8, "when": "2023-05-01 10:00:01", "who": "Piet"},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "cp1252.csv"])
def test_rows_of_any_program_by_columns(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind.endswith("csv"):
        import csv

        with path.open("w", newline="", encoding="utf-8" if kind == "csv" else "cp1252") as file:
            writer = csv.DictWriter(file, list(ROWS[0]))
            writer.writeheader()
            writer.writerows(ROWS if kind == "csv" else [row | {"body": "café"} for row in ROWS])
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS))
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=1)
    found = messages(path, columns=COLUMNS)
    assert [(m.peer_kind, m.chat_id, m.message_id) for m in found] == [
        ("channel", 1234567890, 7),
        ("channel", 1234567890, 8),
    ]
    assert [m.sender for m in found] == ["user:55", "name:Piet"]
    assert [m.time_quality for m in found] == ["zoned", "assumed"]
    assert found[0].sent_at == 1_682_935_200_000_000
    assert [m.text for m in found] == (["café"] * 2 if "cp1252" in kind else [row["body"] for row in ROWS])


def test_a_wrong_mapping_names_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no column z; it has: a, b"):
        read(tmp_path / "x.csv", columns={"chat_id": "a", "sent_at": "z"})
    with pytest.raises(ValueError, match="tekst is no column of ours; they are: text"):
        read(tmp_path / "x.csv", columns={"tekst": "a"})
    with pytest.raises(ValueError, match="must name chat_id and sent_at"):
        read(tmp_path / "x.csv", columns={"text": "a"})


def test_notices_and_unsupported_messages_are_counted() -> None:
    assert sum(isinstance(item, Service) for item in read(GOLDEN / "desktop-single.json")) == 2


# --- files that somebody has worked on ----------------------------------------------------------------------

ACCOUNT = {
    "about": "x",
    "chats": {
        "list": [
            {"name": "Markt", "type": "public_channel", "id": 5, "messages": []},
            {
                "name": "Mama",
                "type": "personal_chat",
                "id": 6,
                "messages": [{"id": 1, "type": "message", "date_unixtime": "1600000000", "text": "geheim"}],
            },
            {
                "name": "Groep",
                "type": "private_supergroup",
                "id": 7,
                "messages": [{"id": n, "type": "message", "date_unixtime": "1600000000", "text": "x"} for n in (1, 2)],
            },
        ]
    },
}


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_a_whole_account_is_the_same_in_any_layout(indent: int | None, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(ACCOUNT, indent=indent))
    found = [(m.peer_kind, m.chat_title, m.message_id) for m in messages(tmp_path / "result.json")]
    assert found == [("user", "Mama", 1), ("channel", "Groep", 1), ("channel", "Groep", 2)]


@pytest.mark.parametrize("indent", [None, 1, 2])
def test_a_chat_whose_type_comes_too_late_may_be_private(indent: int | None, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(ACCOUNT, indent=indent, sort_keys=True))
    found = read(tmp_path / "result.json")
    assert len(found) == 3
    assert all(isinstance(item, Reject) and "type" in item.detail for item in found)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_utf_16_of_any_letters_and_length(kind: str, tmp_path: Path) -> None:
    rows = [row | {"body": f"coke café € {n} كوك 🔥"} for n in range(3000) for row in ROWS[:1]]
    head = "body,group,nr,when,who\n" if kind == "csv" else ""
    lines = [",".join(map(str, row.values())) if kind == "csv" else json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "x").write_text(head + "\n".join(lines), encoding="utf-16")
    assert [m.text for m in messages(tmp_path / "x", columns=COLUMNS)] == [row["body"] for row in rows]


def test_lines_behind_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8-sig")
    assert len(messages(tmp_path / "x.jsonl", columns=COLUMNS)) == 2


def test_bytes_that_are_no_utf_8_may_stand_far_behind_the_beginning(tmp_path: Path) -> None:
    lines = (
        ["body,group,nr,when"] + [f"x,5,{n},1600000000" for n in range(5000)] + ["caf\u00e9 \u20ac50,5,9,1600000000"]
    )
    (tmp_path / "x.csv").write_bytes("\n".join(lines).encode("cp1252"))
    columns = {name: column for name, column in COLUMNS.items() if name != "sender_id"}
    assert messages(tmp_path / "x.csv", columns=columns)[-1].text == "caf\u00e9 \u20ac50"


def test_a_storage_that_fails_below_an_archive_is_no_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress("\n".join(json.dumps(row) for row in ROWS).encode()))
    ranges = list(formats.plan(str(tmp_path / "x.jsonl.gz"), Settings(columns=COLUMNS)))

    def lost(*_: object) -> bytes:
        raise storage.StorageError("lost")

    monkeypatch.setattr(gzip.GzipFile, "read", lost)
    with pytest.raises(storage.StorageError, match="lost"):
        list(formats.read(ranges[0]))


def test_what_4cats_rows_say_of_forwards_and_of_the_chat_itself(tmp_path: Path) -> None:
    """Who hides his account forwards without an id; `thread_id` is the name of a chat that has one."""
    (tmp_path / "x.csv").write_text(
        "id,thread_id,chat,author,author_username,body,unix_timestamp,author_forwarded_from_name,"
        "author_forwarded_from_id,unix_timestamp_forwarded_from\n"
        "1,drugsmarkt,drugsmarkt,4242,drugsmarkt,post,1700000000,,,\n"
        "2,drugsmarkt,drugsmarkt,77,piet,door,1700000000,Jan,,1600000000\n"
        "3,drugsmarkt,drugsmarkt,77,piet,door,1700000000,,,1600000000\n"
    )
    found = [(m.sender, m.sender_kind, m.is_forward, m.forwarded_from) for m in messages(tmp_path / "x.csv")]
    assert found == [
        ("channel:4242", "channel", False, None),
        ("user:77", "user", True, "name:Jan"),
        ("user:77", "user", True, None),
    ]
