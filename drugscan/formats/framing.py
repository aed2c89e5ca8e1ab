r"""Finding messages in JSON without parsing it whole: streaming, with offsets, and past what is broken.

Two ways. Indented files as Telegram writes them are cut at `newline + indent + {`: a raw newline never stands
inside a JSON string, so the cut is safe at any place of the file, and fast. Every other JSON goes through `walk`,
which tracks strings and depth only; that is slower, but survives escapes (`\x1f`) at which real parsers stop for
good, and knows at which byte each message begins (ijson does neither).
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import msgspec

MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""A message or line over this is a reject: Telegram's own limit is 4,096 characters."""
CHUNK_BYTES: Final = 1024 * 1024
_STRING_REST: Final = re.compile(rb'(?:[^"\\]++|\\.)*+("|\\?\Z)', re.DOTALL)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+("|\\?\Z)|[{}\[\]]', re.DOTALL)
_SCALAR: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^\s"{}\[\],:]+|[^"]', re.DOTALL)
_BLANK: Final = re.compile(rb"[\s,:\xef\xbb\xbf]*")
_BAD_ESCAPE: Final = re.compile(rb"(\\\\)|\\x([0-9A-Fa-f]{2})")
_BAD_DOCUMENT: Final = re.compile(rb'("document_id":\s*)(?!["\d{\[ntf-])([^\n,}]*)')
_LONE_ESCAPE: Final = re.compile(rb'(\\\\)|\\(?!["\\/bfnrtu])')


class Framed(NamedTuple):
    """The bytes of one JSON object, or why there is none (`raw` is empty then)."""

    offset: int
    raw: bytes
    path: tuple[str, ...] = ()
    reason: str = ""


def repaired(raw: bytes) -> bytes:
    r"""JSON without the faults that real programs write: `\xNN` escapes, unquoted custom-emoji ids, bad UTF-8."""
    raw = _BAD_ESCAPE.sub(lambda m: m[0] if m[1] else b"\\u00" + m[2], raw)
    raw = _BAD_DOCUMENT.sub(lambda m: m[1] + msgspec.json.encode(m[2].strip().decode(errors="replace")), raw)
    raw = _LONE_ESCAPE.sub(lambda m: m[0] if m[1] else b"", raw)
    raw = re.sub(rb"[\x00-\x1f]", b" ", raw)  # between values a blank does as well
    return raw.decode(errors="replace").encode()


def decoded(raw: bytes) -> object:
    """The JSON value of `raw`, repaired if need be; raises `ValueError` when nothing helps."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        return msgspec.json.decode(repaired(raw))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_lines(file: BinaryIO, start: int, end: int | None) -> Iterator[Framed]:
    """The lines that begin in [start, end); `file` is seekable when start is not 0."""
    offset = start
    if start:
        file.seek(start - 1)
        offset = start - 1 + len(_line(file)[0])  # the line that began before belongs to the range before
    while end is None or offset < end:
        line, length, whole = _bounded_line(file)
        if not length:
            return
        if not offset:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not whole:
            yield Framed(offset, b"", (), "too_large")
        elif line.strip():
            yield Framed(offset, line)
        offset += length


def _line(file: BinaryIO) -> tuple[bytes, bool]:
    line = file.readline(MAX_OBJECT_BYTES)
    return line, line.endswith(b"\n")


def _bounded_line(file: BinaryIO) -> tuple[bytes, int, bool]:
    """One line, its length, and whether it was within the limit (if not, it was passed over)."""
    line, ended = _line(file)
    length = len(line)
    if ended or length < MAX_OBJECT_BYTES:
        return line, length, True
    while not ended:
        more, ended = _line(file)
        length += len(more)
        if len(more) < MAX_OBJECT_BYTES:
            break
    return b"", length, False


class Key(NamedTuple):
    """A key of an object on the way to the messages, with its value if that is no container (else null)."""

    path: tuple[str, ...]
    value: object


Pattern = tuple[str, ...]
"""Where messages are: keys from the root, `[]` for the elements of an array, `*` for any key."""


def walk(file: BinaryIO, patterns: tuple[Pattern, ...]) -> Iterator[Framed | Key]:
    """The messages of a JSON file at these paths, and the keys that stand on the way there; streaming.

    Memory is bounded by `MAX_OBJECT_BYTES`, whatever the file. What is between messages is read leniently
    (commas and colons are blanks). A file that ends too early gives a last `Framed` with reason `truncated`.
    """
    walker = _Walker(file, patterns)
    try:
        yield from walker.value(())
    except _EndOfFile as end:
        yield Framed(end.offset, b"", (), "truncated")


class _EndOfFile(Exception):  # noqa: N818 - no error: where the file ends is for the caller to judge
    def __init__(self, offset: int) -> None:
        self.offset = offset


class _Walker:
    """A window on the file (`buffer`, whose first byte is at `base`) and the place in it (`at`)."""

    def __init__(self, file: BinaryIO, patterns: tuple[Pattern, ...]) -> None:
        self._file = file
        self._patterns = patterns
        self._buffer = b""
        self._base = 0
        self._at = 0

    @property
    def offset(self) -> int:
        """Where the place is in the file."""
        return self._base + self._at

    def value(self, path: Pattern) -> Iterator[Framed | Key]:
        """One value: a message, a container on the way to one, or something to pass over."""
        first = self._peek()
        offset = self.offset
        if any(_fits(pattern, path) for pattern in self._patterns):
            raw = self._container() if first in b"{[" else self._scalar()
            if first != b"{":
                yield Framed(offset, b"", path, "not_an_object")
            else:
                yield Framed(offset, raw or b"", path, "" if raw is not None else "too_large")
        elif first in b"{[":
            yield Key(path, None)
            if any(_fits(pattern[: len(path)], path) for pattern in self._patterns if len(pattern) > len(path)):
                yield from self._inside(path, first)
            else:
                self._container()
        else:
            yield Key(path, _plain(self._scalar()))

    def _inside(self, path: Pattern, opener: bytes) -> Iterator[Framed | Key]:
        """The values of an object or array, each with its path."""
        self._at += 1
        while True:
            first = self._peek()
            if first in b"}]":
                self._at += 1
                return
            if opener == b"[":
                yield from self.value((*path, "[]"))
            else:
                key = _plain(self._scalar())
                if self._peek() not in b"}]":
                    yield from self.value((*path, str(key)))

    def _peek(self) -> bytes:
        """The next byte that is no blank, comma or colon; the place moves to it."""
        while True:
            match = _BLANK.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            self._fill(self.offset)

    def _fill(self, begin: int) -> int:
        """Read on, dropping what lies before the place; how much that was. `_EndOfFile(begin)` at the end."""
        chunk = self._file.read(CHUNK_BYTES)
        if not chunk:
            raise _EndOfFile(begin)
        dropped = self._at
        self._buffer = self._buffer[dropped:] + chunk
        self._base += dropped
        self._at = 0
        return dropped

    def _scalar(self) -> bytes:
        """A string, number or literal (a mere closing bracket is taken as a value, so that reading goes on)."""
        begin = self.offset
        while True:
            match = _SCALAR.match(self._buffer, self._at)
            if match and (match.end() < len(self._buffer) or match[0][-1:] == b'"' and len(match[0]) > 1):
                self._at = match.end()
                return match[0]
            try:
                self._fill(begin)
            except _EndOfFile:
                if match and match[0][:1] != b'"':
                    self._at = match.end()
                    return match[0]
                raise
            if len(self._buffer) - self._at > MAX_OBJECT_BYTES:
                raise _EndOfFile(begin)

    def _container(self) -> bytes | None:
        """The whole object or array at the place; null when it is too large (it is passed over)."""
        begin, depth, scan, large, in_string = self.offset, 0, self._at, False, False
        while True:
            if in_string and (rest := _STRING_REST.match(self._buffer, scan)):
                in_string = rest[1] != b'"'
                scan = rest.start(1) if in_string else rest.end()
            for token in () if in_string else _TOKEN.finditer(self._buffer, scan):
                mark = token[0]
                if token[1] is not None:
                    in_string = token[1] != b'"'
                    scan = token.start(1) if in_string else token.end()
                    continue
                depth += 1 if mark in b"{[" else -1
                scan = token.end()
                if not depth:
                    raw, self._at = self._buffer[self._at : scan], scan
                    return None if large else raw
            large = large or len(self._buffer) - self._at > MAX_OBJECT_BYTES
            if large:
                self._at = scan
            scan -= self._fill(begin)


def _fits(pattern: Pattern, path: Pattern) -> bool:
    return len(pattern) == len(path) and all(want in ("*", have) for want, have in zip(pattern, path, strict=True))


def _plain(raw: bytes) -> object:
    try:
        return decoded(raw)
    except ValueError:
        return raw.decode(errors="replace")
