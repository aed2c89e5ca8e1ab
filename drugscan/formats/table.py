"""Messages in rows: any CSV, JSONL or Parquet with `--columns ours=theirs,...`; 4CAT's and telegram-tracker's CSV.

A row's offset is its number from 0 (CSV, Parquet) or its byte (JSONL).
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import pyarrow.parquet as pq

from drugscan import storage
from drugscan.formats import containers
from drugscan.formats.fields import (
    BadTime,
    BadValue,
    account,
    any_time,
    as_list,
    chat_id,
    flat_text,
    maybe_time,
    named,
    small_number,
)
from drugscan.formats.framing import MAX_OBJECT_BYTES, Framed
from drugscan.formats.look import Head, delimiter, header
from drugscan.formats.reading import DETAIL_LENGTH, Chat, Format, Source, cut, read_json, stream
from drugscan.schema import Item, Message, Range, Reject, SenderKind
from drugscan.settings import Settings

COLUMNS: Final = (
    "text",
    "chat_id",
    "message_id",
    "sent_at",
    "sent_at_utc",
    "sender_id",
    "sender_type",
    "sender_name",
    "chat_title",
    "edited_at",
    "views",
    "is_forward",
    "forwarded_from",
    "forwarded_from_type",
    "forwarded_from_name",
    "forwarded_at",
    "links",
)
"""What `--columns` can name; `chat_id` and `sent_at` must be among them, or `sent_at_utc` for bare times that are UTC.

A type is `user`, `channel` or `chat`, or Telegram's `PeerUser` and so on; without one, a number is a user.
"""
PRESETS: Final[dict[str, dict[str, str]]] = {
    "fourcat": {
        "text": "body",
        "chat_id": "thread_id",
        "message_id": "id",
        "chat_title": "chat",
        "sender_id": "author",
        "sender_name": "author_username",
        "sent_at": "unix_timestamp",
        "edited_at": "unix_timestamp_edited",
        "views": "views",
        "forwarded_from": "author_forwarded_from_id",
        "forwarded_from_name": "author_forwarded_from_name",
        "forwarded_at": "unix_timestamp_forwarded_from",
    },
    "telegram-tracker": {
        "text": "message",
        "chat_id": "channel_id",
        "message_id": "msg_id",
        "chat_title": "channel_name",
        "sender_id": "msg_from_id",
        "sender_type": "msg_from_peer",
        "sent_at_utc": "date",
        "views": "views",
        "is_forward": "is_forward",
        "forwarded_from": "forward_msg_from_peer_id",
        "forwarded_from_type": "forward_msg_from_peer_type",
    },
}
"""CSV files that are known by their header: our column -> theirs. A column may be missing in older files."""
_SIGNATURES: Final = {
    "fourcat": {"thread_id", "body", "unix_timestamp"},
    "telegram-tracker": {"channel_id", "msg_id", "message", "date"},
}
_TRUE: Final = {"true", "yes", "1", "1.0", "ja"}
csv.field_size_limit(MAX_OBJECT_BYTES)
_AS_CP1252: Final = "drugscan-as-cp1252"
"""Bytes that are no UTF-8 are Windows' Western European; the first of them may stand far behind the beginning."""


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_AS_CP1252, _as_cp1252)


def preset(columns: Iterable[str]) -> dict[str, str]:
    """The mapping of a known program's CSV, by its header; empty for any other."""
    have = set(columns)
    for name, needed in _SIGNATURES.items():
        if needed <= have:
            return {ours: theirs for ours, theirs in PRESETS[name].items() if theirs in have}
    return {}


def check_mapping(mapping: Mapping[str, str], have: Iterable[str], source: str) -> None:
    """Raises `ValueError` when a mapping names what there is not, on our side or in the file."""
    unknown = sorted(set(mapping) - set(COLUMNS))
    if unknown:
        raise ValueError(f"--columns: {', '.join(unknown)} is no column of ours; they are: {', '.join(COLUMNS)}")
    timed = mapping if "sent_at_utc" not in mapping else {*mapping, "sent_at"}
    absent = sorted({"chat_id", "sent_at"} - set(timed))
    if absent:
        raise ValueError(f"--columns must name {' and '.join(absent)}")
    have = list(have)
    missing = sorted(set(mapping.values()) - set(have))
    if missing:
        raise ValueError(f"{source} has no column {', '.join(missing)}; it has: {', '.join(have)}")


def _convert(value: Mapping[str, object], offset: int, mapping: Mapping[str, str]) -> Message:
    """One row as message; raises `BadTime` or `BadValue`."""
    row = {ours: value.get(theirs) for ours, theirs in mapping.items()}
    sent_at, quality = any_time(row.get("sent_at_utc", row.get("sent_at")))
    if "sent_at_utc" in row and quality == "assumed":
        quality = "zoned"
    chat, title = chat_id(row.get("chat_id")), row.get("chat_title")
    sender = _typed(account(row.get("sender_id")), row.get("sender_type"))
    if sender == f"user:{chat}" or (sender and row.get("sender_name") == chat):  # who has its id or name is the chat
        sender = _typed(sender, "channel")
    origin = _typed(account(row.get("forwarded_from")), row.get("forwarded_from_type"))
    origin = origin or named(row.get("forwarded_from_name"))
    forward = row.get("is_forward")
    if forward is None:
        forward = bool(origin or row.get("forwarded_at"))
    links = row.get("links")
    return Message(
        offset=offset,
        peer_kind="other" if isinstance(chat, str) else "channel",
        chat_id=chat,
        message_id=_message_id(row.get("message_id")),
        chat_title=title.strip() or None if isinstance(title, str) else None,
        sender=sender,
        sender_kind=_sender_kind(sender, chat),
        sent_at=sent_at,
        time_quality=quality,
        edited_at=maybe_time(row.get("edited_at")),
        is_forward=str(forward).strip().lower() in _TRUE,
        forwarded_from=origin,
        views=small_number(row.get("views")),
        text=flat_text(row.get("text")),
        links=links.split() if isinstance(links, str) else [str(each) for each in as_list(links)],
    )


def _typed(found: str | None, kind: object) -> str | None:
    """An account that was taken for a user by its number, as what its type says it is."""
    kind = kind.strip().lower().removeprefix("peer") if isinstance(kind, str) else ""
    if found and found.startswith("user:") and kind in ("channel", "chat"):
        return f"{kind}:{found.removeprefix('user:')}"
    return found


def _sender_kind(sender: str | None, chat: int | str) -> SenderKind:
    if sender is None:
        return "unknown"
    return "channel" if sender.startswith("channel:") else "user"


def _message_id(value: object) -> int | None:
    """The number of a message, also from ids such as `chat-123`."""
    number = small_number(value)
    return small_number(value.rsplit("-", 1)[-1]) if number is None and isinstance(value, str) else number


def _guarded(rows: Iterable[tuple[int, Mapping[str, object]]], mapping: Mapping[str, str]) -> Iterator[Item]:
    for number, row in rows:
        try:
            yield _convert(row, number, mapping)
        except BadTime as error:
            yield Reject(number, "bad_time", str(error)[:DETAIL_LENGTH])
        except BadValue as error:
            yield Reject(number, "bad_value", str(error)[:DETAIL_LENGTH])


def _plan(source: Source, settings: Settings) -> Iterator[Range]:
    head = source.head
    if head.layout == "parquet":
        yield from _plan_parquet(source, settings)
        return
    have = head.columns if head.layout == "csv" else tuple(head.first)
    mapping = dict(settings.columns) or preset(have)
    check_mapping(mapping, have, source.name)
    if head.layout == "csv":
        yield stream(source, "table", columns=mapping, unit="row")
    elif head.layout == "lines" and not source.packed:
        yield from cut(source, "table", settings.range_bytes, columns=mapping)
    else:
        yield stream(source, "table", columns=mapping)


def _plan_parquet(source: Source, settings: Settings) -> Iterator[Range]:
    """Ranges of whole row groups, as many as make about `range_bytes`."""
    if source.packed:
        raise ValueError(f"{source.name}: Parquet inside an archive is not read; unpack it first")
    with storage.open_binary(source.url) as file:
        metadata = pq.read_metadata(file)
    mapping = dict(settings.columns) or preset(metadata.schema.to_arrow_schema().names)
    check_mapping(mapping, metadata.schema.to_arrow_schema().names, source.name)
    whole = stream(source, "table", columns=mapping, unit="row")
    start = end = size = 0
    for group in range(metadata.num_row_groups):
        end += metadata.row_group(group).num_rows
        size += metadata.row_group(group).total_byte_size
        if size >= settings.range_bytes or group == metadata.num_row_groups - 1:
            fields = {name: getattr(whole, name) for name in ("source", "identity", "format", "context")}
            yield Range(start=start, end=end, **fields)
            start, size = end, 0


def _read(range_: Range) -> Iterator[Item]:
    mapping = {str(ours): str(theirs) for ours, theirs in dict(range_.context["columns"]).items()}  # type: ignore[call-overload]
    layout = str(range_.context["layout"])
    if layout == "parquet":
        yield from _guarded(_parquet_rows(range_, list(mapping.values())), mapping)
    elif layout == "csv":
        yield from _read_csv(range_, mapping)
    else:
        yield from read_json(_from_object(mapping))(range_)


def _from_object(mapping: Mapping[str, str]) -> Callable[[Mapping[str, object], Framed, Chat], Item]:
    return lambda value, found, _: _convert(value, found.offset, mapping)


def _parquet_rows(range_: Range, columns: list[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    with storage.open_binary(str(range_.context["url"])) as opened:
        file = pq.ParquetFile(opened)
        number = 0
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if range_.start <= number < (range_.end or number + 1):
                for batch in file.iter_batches(8192, row_groups=[group], columns=columns):
                    for row in batch.to_pylist():
                        yield number, {key: _as_text(value) for key, value in row.items()}
                        number += 1
            else:
                number += rows


def _as_text(value: object) -> object:
    """Dates of Arrow as ISO text; everything else as it is."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _read_csv(range_: Range, mapping: Mapping[str, str]) -> Iterator[Item]:
    where = range_.context
    with containers.opened(str(where["url"]), str(where["packed"]), str(where["member"])) as file:
        head = file.peek(1 << 16)[: 1 << 16] if isinstance(file, io.BufferedReader) else b""
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors=_AS_CP1252, newline="")
        first = head.split(b"\n", 1)[0].decode(errors="replace")
        reader = csv.reader(lines, delimiter=delimiter(first))
        names = header(reader)
        number = 0
        while True:
            try:
                row = next(reader)
            except StopIteration:
                lines.detach()
                return
            except csv.Error as error:
                reason = "too_large" if "limit" in str(error) else "bad_value"
                yield Reject(number, reason, str(error)[:DETAIL_LENGTH])
            else:
                if row:
                    yield from _guarded([(number, dict(zip(names, row, strict=False)))], mapping)
            number += 1


def _sniff(head: Head) -> bool:
    return head.layout == "csv" and bool(preset(head.columns))


FORMAT: Final = Format(
    name="table",
    rank=0,
    expected="the CSV of 4CAT or telegram-tracker, or any CSV, JSONL or Parquet with --columns",
    sniff=_sniff,
    plan=_plan,
    read=_read,
)
