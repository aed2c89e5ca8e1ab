"""From buckets to tables: each bucket is counted by itself into files of its own, and these are merged table by table.

The same two functions run in one process or as tasks on a cluster; only names and small summaries go between them.
"""

import io
from typing import Final

import msgspec
import polars as pl

from drugscan import contacts, corpus, listings, statistics, storage, versions

_SCRATCH: Final = ("losers", "partials")
"""Folders of a run that only the run itself reads."""


class Work(msgspec.Struct, frozen=True):
    """What a run of `stats` counts, and where its files go."""

    snapshot: corpus.Snapshot
    model_id: str
    selection: listings.Selection
    into: str
    """Folder of the run: `listings`/bucket-NUMBER.parquet stay there; `losers` and `partials` until it is done."""
    keep_identities: bool = False
    """Whether handles and phone numbers in the chat titles of the listings stay; of tables `publish` decides."""


class BucketSummary(msgspec.Struct, frozen=True):
    """What the driver hears of a bucket: its part of the ledger, in messages."""

    bucket: int
    counts: dict[str, int] = {}
    error: str | None = None


def losers_url(work: Work, part: int) -> str:
    """Where the losers of a slice stand while the run lasts."""
    return storage.join(work.into, "losers", f"slice-{part:05d}.parquet")


def find_losers(work: Work, part: int) -> versions.SliceSummary:
    """Write the losers of one slice of the keys; to be done for every slice before the first bucket."""
    return versions.write_losers(work.snapshot, part, losers_url(work, part))


def count_bucket(work: Work, number: int) -> BucketSummary:
    """Write the listings of one bucket, and what it contributes to every table."""
    snapshot = work.snapshot
    losers = [losers_url(work, part) for part in range(versions.slice_count(snapshot))]
    lost = versions.read_losers(losers, number, snapshot.buckets)
    bucket = listings.read_bucket(snapshot, number, work.model_id, work.selection, lost)
    for name, frame in statistics.partials(bucket).items():
        sink = io.BytesIO()
        frame.write_ipc(sink, compression="zstd")
        storage.write_bytes(_partial_url(work, name, number), sink.getbuffer())
    listed = bucket.listings.drop("local_time", "range_id").collect()
    shown = listed if work.keep_identities else _with_covered_titles(listed)
    corpus.write_table(storage.join(work.into, "listings", f"bucket-{number:05d}.parquet"), shown.to_arrow())
    return BucketSummary(number, dict(bucket.counts))


def _with_covered_titles(listed: pl.DataFrame) -> pl.DataFrame:
    titles = listed["chat_title"].drop_nulls().unique()
    known = dict(zip(titles, contacts.cover(titles), strict=True))
    return listed.with_columns(pl.col("chat_title").replace_strict(known, default=None, return_dtype=pl.String))


def tables(work: Work) -> dict[str, pl.DataFrame]:
    """Every table, from what the buckets contributed; in memory is what one partial frame holds for all of them."""

    def read(name: str) -> pl.LazyFrame:
        files = (_partial_url(work, name, number) for number in range(work.snapshot.buckets))
        return pl.concat([pl.read_ipc(io.BytesIO(storage.read_bytes(file))) for file in files]).lazy()

    return statistics.merged(read)


def tidy(work: Work) -> None:
    """Remove the files that only this run read."""
    for folder in _SCRATCH:
        for file in storage.list_files(storage.join(work.into, folder)):
            storage.delete(file)


def _partial_url(work: Work, name: str, number: int) -> str:
    return storage.join(work.into, "partials", name, f"bucket-{number:05d}.arrow")
