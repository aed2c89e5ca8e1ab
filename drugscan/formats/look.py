"""A first look at a file: what kind of container of messages it is, decided by its content alone."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from drugscan.formats.framing import Framed, Key, Pattern, decoded, walk

HEAD_BYTES: Final = 1024 * 1024
MESSAGE_PATHS: Final[tuple[Pattern, ...]] = (
    ("messages", "[]"),
    ("chats", "list", "[]", "messages", "[]"),
    ("left_chats", "list", "[]", "messages", "[]"),
    ("[]",),
    ("*", "text_messages", "*"),
    ("*", "generic_media", "*"),
)
"""Where any known format keeps its messages."""

Layout = Literal["json", "lines", "csv", "parquet", "other"]


@dataclass(frozen=True)
class Head:
    """The beginning of a file, understood as far as needed to tell whose it is."""

    layout: Layout
    raw: bytes = b""
    keys: frozenset[tuple[str, ...]] = frozenset()
    """Paths of keys seen before the first message (JSON)."""
    first: dict[str, object] = field(default_factory=dict)
    """The first message or line (JSON)."""
    path: tuple[str, ...] = ()
    """Where the first message stands (JSON)."""
    columns: tuple[str, ...] = ()
    """Names in the first row (CSV) or schema (Parquet)."""


def look(raw: bytes) -> Head:
    """What the first bytes (up to `HEAD_BYTES`) of an unpacked file say."""
    if raw.startswith(b"PAR1"):
        return Head("parquet")
    body = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    if body[:1] in (b"{", b"["):
        return _look_at_json(raw, body)
    line = body.split(b"\n", 1)[0].decode(errors="replace")
    columns = header(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter(line)))
    return Head("csv", raw, columns=columns) if len(columns) > 1 else Head("other")


def header(rows: Iterator[list[str]]) -> tuple[str, ...]:
    """The names of the columns in a CSV's first row; none when there is no row or it is not CSV."""
    try:
        return tuple(name.strip().removeprefix("\ufeff") for name in next(rows, []))
    except csv.Error:
        return ()


def delimiter(line: str) -> str:
    """What separates the columns of a header row: tab, semicolon or comma, whichever occurs most."""
    return max(",;\t", key=line.count)


def _look_at_json(raw: bytes, body: bytes) -> Head:
    keys: set[tuple[str, ...]] = set()
    for found in walk(io.BytesIO(raw), MESSAGE_PATHS):
        if isinstance(found, Key):
            keys.add(found.path)
        elif isinstance(found, Framed) and found.raw:
            first = _object(found.raw)
            if first:
                return Head("json", raw, frozenset(keys), first, found.path)
    first = _object(body.split(b"\n", 1)[0])
    if first and body[:1] == b"{" and not _known_root(keys):
        return Head("lines", raw, first=first)
    return Head("json", raw, frozenset(keys))


def _known_root(keys: set[tuple[str, ...]]) -> bool:
    return ("messages",) in keys or ("chats", "list") in keys or ("left_chats", "list") in keys


def _object(raw: bytes) -> dict[str, object]:
    try:
        value = decoded(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
