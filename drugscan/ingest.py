"""From a range of an export to one committed file of messages, with its keys and rejects beside it.

The file is named by what it is computed from, so doing a range twice writes the same file twice and nothing more.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import pyarrow as pa

from drugscan import corpus, formats, storage
from drugscan.columns import tables
from drugscan.schema import REJECTS, Item, Message, Range, Reject
from drugscan.settings import Settings
from drugscan.text import canonical

INGEST_VERSION: Final = 1
"""Part of every range's digest; raised whenever the same input would give other messages."""
ROW_BYTES: Final = 512
"""What a row of a table is taken to hold, to cut it into pieces of about a range's size."""


@dataclass(frozen=True)
class Destination:
    """Where and how a range is written: what every worker is told once."""

    corpus_url: str
    buckets: int
    pseudonym_key: bytes
    settings: Settings


class RangeSummary(msgspec.Struct, frozen=True):
    """What the driver hears of a range or of a piece of a stream: its counts, or why it failed."""

    source: str
    counts: corpus.RangeCounts | None = None
    error: str | None = None


def range_digest(range_: Range, start: int, end: int | None) -> str:
    """Name of what a stretch of an input becomes: content, stretch, how it is read, version."""
    mapping = msgspec.json.encode(range_.context.get("columns", {}), order="sorted").decode()
    stretch = f"{start}-{end}"
    return storage.digest(range_.identity, range_.format, stretch, mapping, str(INGEST_VERSION))


def finished(snapshot: corpus.Snapshot) -> set[str]:
    """Digests of the ranges that need not be read again (of a sequential stream: once it was read to its end)."""
    return {counts.digest for counts in snapshot.ranges()}


def ingest_range(range_: Range, to: Destination) -> Iterator[RangeSummary]:
    """Read one range and commit what it holds; an error of the storage is in the last summary, not raised."""
    try:
        for piece in _pieces(range_, _step(range_, to.settings)):
            yield RangeSummary(range_.source, _commit(piece, to))
    except OSError as error:
        yield RangeSummary(range_.source, error=str(error))


@dataclass
class _Piece:
    """The items of one stretch of at most `range_bytes`."""

    range: Range
    start: int
    end: int
    digest: str
    complete: bool = True
    messages: list[Message] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    service: int = 0

    def add(self, item: Item) -> None:
        if type(item) is Message:
            self.messages.append(item)
        elif type(item) is Reject:
            self.rejects.append(item)
        else:
            self.service += 1


def _step(range_: Range, settings: Settings) -> int:
    """Length of a piece in the offsets of the source: bytes, or rows of a table."""
    rows = range_.context.get("unit") == "row"
    return max(1, settings.range_bytes // ROW_BYTES) if rows else settings.range_bytes


def _pieces(range_: Range, step: int) -> Iterator[_Piece]:
    """The range whole, or, of a sequential stream, every `step` of it."""
    if range_.end is not None:
        piece = _Piece(range_, range_.start, range_.end, range_digest(range_, range_.start, range_.end))
        for item in formats.read(range_):
            piece.add(item)
        yield piece
        return
    yield from _stream_pieces(range_, step)


def _stream_pieces(range_: Range, step: int) -> Iterator[_Piece]:
    """Pieces of a sequential stream. The last one bears the digest of the whole: its commit means `all read`."""
    piece = _stream_piece(range_, 0, step)
    last = 0
    for item in formats.read(range_):
        last = item.offset
        if last >= piece.end:
            yield piece
            piece = _stream_piece(range_, last - last % step, step)
        piece.add(item)
    piece.end, piece.complete = last + 1, True
    piece.digest = range_digest(range_, range_.start, None)
    yield piece


def _stream_piece(range_: Range, start: int, length: int) -> _Piece:
    return _Piece(range_, start, start + length, range_digest(range_, start, start + length), complete=False)


def _commit(piece: _Piece, to: Destination) -> corpus.RangeCounts:
    """Write keys and rejects, then the messages: their arrival is what makes the range done."""
    private = [] if to.settings.include_private else [m for m in piece.messages if m.peer_kind == "user"]
    kept = [m for m in piece.messages if m.peer_kind != "user"] if private else piece.messages
    name = f"{piece.digest}.parquet"
    messages, keys = tables(kept, piece.range, piece.digest, to.settings.timezone, to.pseudonym_key)
    if piece.rejects:
        corpus.write_table(storage.join(to.corpus_url, "rejects", name), _reject_table(piece))
    corpus.write_table(storage.join(to.corpus_url, "keys", name), keys)
    counts = corpus.RangeCounts(
        digest=piece.digest,
        source=piece.range.source,
        identity=piece.range.identity,
        format=piece.range.format,
        start=piece.start,
        end=piece.end,
        complete=piece.complete,
        read=len(piece.messages) + len(piece.rejects) + piece.service,
        kept=len(kept),
        service=piece.service,
        private=len(private),
        rejects=dict(Counter(reject.reason for reject in piece.rejects)),
    )
    corpus.write_messages(storage.join(to.corpus_url, "messages", name), messages, [counts], to.buckets)
    return counts


def _reject_table(piece: _Piece) -> pa.Table:
    rows = [
        {
            "source": piece.range.source,
            "source_offset": reject.offset,
            "stage": "ingest",
            "reason": reject.reason,
            "detail": canonical(reject.detail)[:300],
        }
        for reject in piece.rejects
    ]
    return pa.Table.from_pylist(rows, schema=REJECTS)
