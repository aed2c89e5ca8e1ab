"""Which messages are copies or older versions of another: the losers, found over the keys of all messages.

A slice is a stretch of the keys' hashes, so every version of a message lies in one slice, and memory is bounded by
`KEYS_PER_SLICE` however large the corpus. The losers of a slice become one file, sorted by bucket: whoever counts a
bucket reads that bucket's rows of it and no others.
"""

from typing import Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drugscan import corpus, storage
from drugscan.columns import fine_buckets
from drugscan.corpus import FINE_BUCKETS
from drugscan.schema import KEYS

KEYS_PER_SLICE: Final = 4_000_000
"""Some 400 MB while a slice is being decided."""
LOSERS: Final = pa.schema(
    [pa.field("bucket", pa.int16()), pa.field("range_id", pa.int64()), pa.field("source_offset", pa.int64())]
)
"""A file of losers, sorted by `bucket` (fifteen bits, as in messages)."""
_VERSION_ORDER: Final = ("edited_at", "rank", "source", "source_offset", "range_id")
"""The winner among versions of a message is the greatest by this: a total order, so every run decides alike."""
_COLUMNS: Final = ("key", *_VERSION_ORDER, "text_id", "dedupable")


class SliceSummary(msgspec.Struct, frozen=True):
    """What the driver hears of a slice."""

    slice: int
    superseded: int = 0
    """Messages of which a version with another text counts."""
    duplicates: int = 0
    """Messages of which a version with the same text counts."""
    not_dedupable: int = 0
    """Messages without an id: copies of these in another export cannot be told from new messages."""
    error: str | None = None


def slice_count(snapshot: corpus.Snapshot) -> int:
    """Slices in which the losers of these messages are found."""
    return max(1, -(-sum(counts.kept for counts in snapshot.ranges()) // KEYS_PER_SLICE))


def find_losers(snapshot: corpus.Snapshot, part: int) -> tuple[pa.Table, SliceSummary]:
    """The losers of one slice (of `slice_count`), by `LOSERS`."""
    slices = slice_count(snapshot)
    low, high = part * 2**64 // slices, (part + 1) * 2**64 // slices - 1
    keys = pa.concat_tables([_keys_between(file, low, high) for file in snapshot.keys] or [_none()])
    nameless = keys.num_rows - (pc.sum(keys["dedupable"]).as_py() or 0)
    lost = _losers(keys)
    superseded = int(lost["superseded"].sum())
    return _by_bucket(lost), SliceSummary(part, superseded, lost.height - superseded, nameless)


def write_losers(snapshot: corpus.Snapshot, part: int, url: str) -> SliceSummary:
    """Find the losers of one slice and write them to `url`."""
    lost, summary = find_losers(snapshot, part)
    corpus.write_table(url, lost)
    return summary


def read_losers(files: list[str], bucket: int, buckets: int) -> pl.DataFrame:
    """The losers of one bucket (of `buckets`): range_id, source_offset."""
    per_bucket = FINE_BUCKETS // buckets
    first = bucket * per_bucket
    inside = (pc.field("bucket") >= first) & (pc.field("bucket") < first + per_bucket)
    tables = []
    for file in files:
        with storage.open_binary(file) as opened:
            tables.append(pq.read_table(opened, columns=["range_id", "source_offset"], filters=inside))
    return pl.DataFrame(pa.concat_tables(tables or [LOSERS.empty_table().select(["range_id", "source_offset"])]))


def _losers(keys: pa.Table) -> pl.DataFrame:
    """All versions but the winner of each message that has several, with `superseded` (see `SliceSummary`)."""
    several = pl.DataFrame(keys).filter(pl.col("key").is_duplicated()).with_columns(pl.col("source").cast(pl.String))
    ordered = several.sort("key", *_VERSION_ORDER, nulls_last=False)
    return (
        ordered.with_columns(
            is_winner=pl.int_range(pl.len()).over("key") == pl.len().over("key") - 1,
            superseded=pl.col("text_id").ne_missing(pl.col("text_id").last().over("key")),
        )
        .filter(~pl.col("is_winner"))
        .select("key", "text_id", "range_id", "source_offset", "superseded")
    )


def _by_bucket(lost: pl.DataFrame) -> pa.Table:
    ids = lost["text_id"].to_arrow().cast(pa.binary(16))
    buckets = pl.Series("bucket", fine_buckets(ids, lost["key"].to_numpy()))
    return lost.select(buckets, "range_id", "source_offset").sort("bucket").to_arrow().cast(LOSERS)


def _keys_between(file: str, low: int, high: int) -> pa.Table:
    bounds = (pc.field("key") >= pa.scalar(low, pa.uint64())) & (pc.field("key") <= pa.scalar(high, pa.uint64()))
    with storage.open_binary(file) as opened:
        return pq.read_table(opened, columns=list(_COLUMNS), filters=bounds)


def _none() -> pa.Table:
    return KEYS.empty_table().select(list(_COLUMNS))
