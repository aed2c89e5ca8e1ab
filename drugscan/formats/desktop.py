"""Telegram Desktop's file as Telegram writes it: indented by one blank per level, so it can be cut anywhere.

A raw newline never stands inside a JSON string, so a newline, the right number of blanks and a brace begin a message.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from drugscan import storage
from drugscan.formats.desktop_message import FIELDS, Fields, Peer, convert, message, peer
from drugscan.formats.fields import BadTime, BadValue, as_dict, as_list, small_number
from drugscan.formats.framing import MAX_OBJECT_BYTES, Framed, decoded
from drugscan.formats.look import Head
from drugscan.formats.reading import DETAIL_LENGTH, Format, Source, item, read_json, stream
from drugscan.schema import Item, Range, Reject
from drugscan.settings import Settings

_SCAN_BYTES: Final = 16 * 1024 * 1024
_NOBODY: Final = Peer("other", "", None, False)


def _indent(head: Head) -> int:
    """Blanks before the brace of a message in a file as Telegram writes it; 0 for any other layout."""
    if not head.raw.startswith(b'{\n "'):
        return 0
    if head.path == ("messages", "[]") and b'\n "messages": [\n  {\n' in head.raw:
        return 2
    return 5 if ("chats",) in head.keys or ("left_chats",) in head.keys else 0


def _plan(source: Source, settings: Settings) -> Iterator[Range]:
    indent = 0 if source.packed else _indent(source.head)
    if not indent:
        yield stream(source, "desktop")
        return
    size = storage.size(source.url)
    segments = list(_segments(source.url, indent))
    for start in range(0, size, settings.range_bytes):
        end = min(start + settings.range_bytes, size)
        inside = [segment for segment in segments if segment["start"] < end and segment["end"] > start]  # type: ignore[operator]
        whole = stream(source, "desktop", indent=indent, segments=inside)
        yield msgspec.structs.replace(whole, start=start, end=end)


def _segments(url: str, indent: int) -> Iterator[dict[str, object]]:
    """Where each chat's messages begin and end, with the chat's keys; one scan over the file."""
    opener = b"\n" + b" " * (indent - 1) + b'"messages": [\n'
    closer = b"\n" + b" " * (indent - 1) + b"]"
    before = b"\n" + b" " * (indent - 2) + b"{\n" if indent > 2 else b"{\n"
    chat: dict[str, object] | None = None
    begin = place = 0
    with storage.open_binary(url) as file:
        tail = b""
        while chunk := file.read(_SCAN_BYTES):
            buffer, at = tail + chunk, 0
            while (found := buffer.find(opener if chat is None else closer, at)) >= 0:
                if chat is None:
                    chat = _header(buffer[max(0, buffer.rfind(before, 0, found)) : found])
                    at = found + len(opener) - 1  # the newline, which may be that before the closing bracket
                    begin = place + at
                else:
                    yield {"start": begin, "end": place + found + 1, "chat": chat}
                    chat, at = None, found + 1
            kept = min(len(buffer) - at, 64 * 1024)  # a chat's keys may stand in the chunk before its messages
            tail = buffer[len(buffer) - kept :]
            place += len(buffer) - kept
    if chat is not None:
        yield {"start": begin, "end": place + len(tail), "chat": chat}


def _header(raw: bytes) -> dict[str, object]:
    """Name, type and id of a chat from the lines before its messages."""
    try:
        value = decoded(raw[raw.index(b"{") :].rstrip().rstrip(b",") + b"}")
    except ValueError:
        return {}
    return {key: as_dict(value).get(key) for key in ("name", "type", "id")}


def _read(range_: Range) -> Iterator[Item]:
    if "indent" not in range_.context:
        yield from _read_stream(range_)
        return
    for segment in as_list(range_.context["segments"]):
        yield from _read_segment(range_, as_dict(segment))


_read_stream: Final = read_json(convert)


def _read_segment(range_: Range, segment: Mapping[str, object]) -> Iterator[Item]:
    """The messages of one chat that begin in the range."""
    mark = b"\n" + b" " * (small_number(range_.context["indent"]) or 2)
    start = max(range_.start, small_number(segment["start"]) or 0)
    limit = small_number(segment["end"]) or 0
    end = min(range_.end or limit, limit)
    skipped = max(0, start - len(mark))  # the newline before a brace may stand in the range before
    try:
        chat, unknown = peer(as_dict(segment["chat"])), ""
    except BadValue as error:
        chat, unknown = _NOBODY, str(error)
    data = _whole_messages(str(range_.context["url"]), (skipped, end, limit), mark + b"}")
    for place, raw, reason in _elements(data, mark):
        offset = skipped + place
        if start <= offset < end and unknown:
            yield Reject(offset, "missing_field", unknown)
        elif start <= offset < end:
            yield Reject(offset, reason) if reason == "not_an_object" else _read_one(raw, offset, chat, reason)


def _elements(data: bytes, mark: bytes) -> Iterator[tuple[int, bytes, str]]:
    """Every element of the array that begins in `data`: place, bytes, and what is wrong if it cannot be read.

    `mark` is the newline and blanks before an element. Telegram writes objects only; anything else between them is
    `not_an_object`.
    """
    opener, closer = mark + b"{", mark + b"}"
    other = re.compile(re.escape(mark) + rb"(?=[^ {}\]\n])")
    begin = data.find(opener)
    yield from _others(data, 0, begin if begin >= 0 else len(data), other)
    while begin >= 0:
        following = data.find(opener, begin + 1)
        stop = data.find(closer, begin, following if following >= 0 else len(data))
        if data.startswith(b"{}", begin + len(mark)):  # an empty object stands on one line
            stop = begin + len(b"{}") - len(b"}")
        reason = "truncated" if stop < 0 and following < 0 else "broken_json"
        last = stop + len(closer) if stop >= 0 else following if following >= 0 else len(data)
        yield begin + len(mark), data[begin + len(mark) : last], reason
        if data[last:following] != b",":
            yield from _others(data, last, following if following >= 0 else len(data), other)
        begin = following


def _others(data: bytes, begin: int, end: int, other: re.Pattern[bytes]) -> Iterator[tuple[int, bytes, str]]:
    for found in other.finditer(data, begin, end):
        yield found.end(), b"", "not_an_object"


def _whole_messages(url: str, stretch: tuple[int, int, int], closer: bytes) -> bytes:
    """Bytes from `start` to `end`, and on to the end of the last message, at most to `limit`."""
    start, end, limit = stretch
    data = storage.read_bytes(url, start, end)
    begin = max(0, len(data) - MAX_OBJECT_BYTES)
    last = data.rfind(closer[:-1] + b"{", begin)
    position = end
    while position < limit and data.find(closer, max(last, 0)) < 0 and position - end < MAX_OBJECT_BYTES:
        more = storage.read_bytes(url, position, min(position + 65_536, limit))
        data, position = data + more, position + len(more)
        last = max(last, data.rfind(closer[:-1] + b"{", len(data) - len(more) - len(closer), end - start))
    return data


def _read_one(raw: bytes, offset: int, chat: Peer, reason: str) -> Item:
    if len(raw) > MAX_OBJECT_BYTES:
        return Reject(offset, "too_large")
    try:
        fields = FIELDS.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = item(
            Framed(offset, raw, ("messages", "[]")), {}, lambda value, again, _: _again(value, again.offset, chat)
        )
        return (
            Reject(offset, reason, found.detail)
            if isinstance(found, Reject) and found.reason == "broken_json"
            else found
        )
    try:
        return message(fields, offset, chat)
    except BadTime as error:
        return Reject(offset, "bad_time", str(error)[:DETAIL_LENGTH])
    except BadValue as error:
        return Reject(offset, "bad_value", str(error)[:DETAIL_LENGTH])


def _again(value: Mapping[str, object], offset: int, chat: Peer) -> Item:
    return message(msgspec.convert(value, Fields), offset, chat)


def _sniff(head: Head) -> bool:
    if head.layout != "json":
        return False
    if ("chats", "list") in head.keys or ("left_chats", "list") in head.keys:
        return True
    return ("messages",) in head.keys and ("type",) in head.keys


FORMAT: Final = Format(
    name="desktop",
    rank=3,
    expected="Telegram Desktop's result.json (one chat, or a whole account)",
    sniff=_sniff,
    plan=_plan,
    read=_read,
)
