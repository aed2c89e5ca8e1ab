"""Many small files into few: a daily export must not leave thousands.

A new generation is written whole, then `compacted.json` is moved to it by one write; the files whose place it takes
are deleted by the NEXT compaction, when no reader that began before can still need them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import polars as pl
import pyarrow as pa

from drugscan import corpus, score, storage
from drugscan.corpus import Compaction, Snapshot
from drugscan.schema import KEYS, MESSAGES, REJECTS, check

KEYS_PER_RUN: Final = 4_000_000
"""A file of keys is sorted in memory: some 400 MB."""
FILES_WORTH: Final = 2
"""Below this many files there is nothing to gain."""
ABANDONED_SECONDS: Final = 86_400.0
"""Nobody writes one file for a day: whoever began it was killed."""


def compact(url: str, advance: Callable[[], None]) -> tuple[int, int]:
    """Merge the files of a corpus; number of files in use before and after. `advance` is called after each bucket."""
    before = corpus.compaction(url)
    snapshot = corpus.snapshot(url)
    _delete_previous(url, before)
    storage.sweep(url, ABANDONED_SECONDS)
    models = corpus.scored_models(url)
    old_files = _side_files(snapshot) + len(snapshot.messages) + sum(len(_score_files(url, model)) for model in models)
    merged = [file for model in models for file in _compact_scores(snapshot, model)]
    fresh = [file for file in snapshot.messages if "/compacted/" not in file.url]
    if len(fresh) >= FILES_WORTH or (merged and not before):
        current = _next_generation(snapshot, before, advance)
        _publish(url, msgspec.structs.replace(current, previous=sorted([*current.previous, *merged])))
    elif before and (before.previous or merged):
        _publish(url, msgspec.structs.replace(before, previous=sorted(merged)))
    left = corpus.snapshot(url)
    stale = set(merged)
    scores = sum(file not in stale for model in models for file in _score_files(url, model))
    return old_files, _side_files(left) + len(left.messages) + scores


def _side_files(snapshot: Snapshot) -> int:
    return len(snapshot.keys) + len(snapshot.rejects)


def _score_files(url: str, model_id: str) -> list[str]:
    return storage.list_files(storage.join(url, "scores", f"model={model_id}"))


def _publish(url: str, compaction: Compaction) -> None:
    """Make a compaction the current one; what it takes the place of is read no more by who begins now."""
    inside = [file.removeprefix(url.rstrip("/") + "/") for file in compaction.previous]
    stored = msgspec.structs.replace(compaction, previous=inside)
    storage.write_bytes(storage.join(url, "compacted.json"), msgspec.json.encode(stored))


def _next_generation(snapshot: Snapshot, before: Compaction | None, advance: Callable[[], None]) -> Compaction:
    """Write messages and side files anew."""
    buckets = max(snapshot.buckets, corpus.bucket_count(sum(counts.kept for counts in snapshot.ranges())))
    generation = storage.digest(*sorted(file.url for file in snapshot.messages), str(buckets))
    _write_generation(snapshot, storage.join(snapshot.url, "compacted", generation), buckets, advance)
    files = [*(file.url for file in snapshot.messages), *snapshot.keys, *snapshot.rejects]
    names = {_name(file.url) for file in snapshot.messages if "/compacted/" not in file.url}
    replaces = names | set(before.replaces if before else [])
    return Compaction(generation, buckets, sorted(replaces), files)


def _write_generation(snapshot: Snapshot, folder: str, buckets: int, advance: Callable[[], None]) -> None:
    """One message file per bucket, few files of keys, one of rejects."""
    for number, keys in enumerate(_key_runs(snapshot.keys), 1):
        path = storage.join(folder, "keys", f"run-{number:05d}.parquet")
        corpus.write_table(path, check(_joined(keys, KEYS), KEYS).sort_by("key"))
    rejects = [corpus.read_table(file) for file in snapshot.rejects]
    if rejects:
        corpus.write_table(storage.join(folder, "rejects", "all.parquet"), _joined(rejects, REJECTS))
    everywhere = snapshot.ranges()
    wider = msgspec.structs.replace(snapshot, buckets=buckets)
    for bucket in range(buckets):
        rows = check(corpus.read_bucket(wider, bucket, MESSAGES.names), MESSAGES)
        rows = rows.sort_by([("bucket", "ascending"), ("text_id", "ascending")])
        path = storage.join(folder, "messages", f"bucket-{bucket:05d}.parquet")
        # a generation is whole or not there, so one of its footers can name the ranges of all
        corpus.write_messages(path, rows, everywhere if bucket == 0 else [], buckets)
        advance()


def _key_runs(files: Sequence[str]) -> Iterator[list[pa.Table]]:
    """Files of keys taken together, each read once, until they have `KEYS_PER_RUN` rows."""
    run: list[pa.Table] = []
    for file in files:
        run.append(corpus.read_table(file))
        if sum(table.num_rows for table in run) >= KEYS_PER_RUN:
            yield run
            run = []
    if run:
        yield run


def _joined(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """The tables as one; dictionaries differ from file to file and are made one."""
    return pa.concat_tables(tables).unify_dictionaries() if tables else schema.empty_table()


def _compact_scores(snapshot: Snapshot, model_id: str) -> list[str]:
    """One score file per bucket instead of several or of one for several buckets; the files that it stands for."""
    merged: set[str] = set()
    for bucket in range(snapshot.buckets):
        files = corpus.score_files(snapshot.url, model_id, bucket, snapshot.buckets)
        if len(files) < FILES_WORTH and all(_name(file).startswith(f"{snapshot.buckets}-") for file in files):
            continue
        schema = corpus.read_table(files[0]).schema
        rows = score.read_scores(snapshot, bucket, model_id).filter(_bucket(snapshot.buckets) == bucket).sort("text_id")
        digest = storage.digest(str(bucket), model_id, *(each.hex() for each in rows["text_id"]))
        path = corpus.score_url(snapshot.url, model_id, (snapshot.buckets, bucket, digest))
        corpus.write_table(path, rows.to_arrow().cast(schema))
        merged.update(file for file in files if file != path)
    return sorted(merged)


def _bucket(buckets: int) -> pl.Expr:
    """Bucket of each row: its `text_id` begins with fifteen bits of it, as the `bucket` column of messages says."""
    first = pl.col("text_id").bin.slice(0, 2).bin.reinterpret(dtype=pl.UInt16, endianness="big").cast(pl.Int64)
    return first // 2 * buckets // corpus.FINE_BUCKETS


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _delete_previous(url: str, before: Compaction | None) -> None:
    """Remove what the compaction before this one took the place of."""
    for file in before.previous if before else []:
        storage.delete(storage.join(url, file))
