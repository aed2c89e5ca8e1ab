"""Many small files into few: a daily export must not leave thousands.

A new generation is written whole, then `compacted.json` is moved to it by one write; the files whose place it takes
are deleted by the NEXT compaction, when no reader that began before can still need them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import pyarrow as pa

from drugscan import corpus, score, storage
from drugscan.corpus import Compaction, Snapshot
from drugscan.schema import KEYS, MESSAGES, REJECTS, check

KEYS_PER_RUN: Final = 4_000_000
"""A file of keys is sorted in memory: some 400 MB."""
FILES_WORTH: Final = 2
"""Below this many files there is nothing to gain."""


def compact(url: str, advance: Callable[[], None]) -> tuple[int, int]:
    """Merge the files of a corpus; number of files before and after. `advance` is called after each bucket."""
    before = corpus.compaction(url)
    snapshot = corpus.snapshot(url)
    old_files = len(snapshot.messages) + len(snapshot.keys) + len(snapshot.rejects)
    merged_scores = sum(_compact_scores(snapshot, model) for model in corpus.scored_models(url))
    fresh = [file for file in snapshot.messages if "/compacted/" not in file.url]
    _delete_previous(before)
    if len(fresh) < FILES_WORTH:
        return old_files, old_files - merged_scores
    buckets = max(snapshot.buckets, corpus.bucket_count(sum(counts.kept for counts in snapshot.ranges())))
    generation = storage.digest(*sorted(file.url for file in snapshot.messages), str(buckets))
    folder = storage.join(url, "compacted", generation)
    written = _write_generation(snapshot, folder, buckets, advance)
    names = {file.url.rsplit("/", 1)[-1] for file in fresh}
    replaces = sorted(names | set(before.replaces if before else []))
    previous = [file.url for file in fresh] + [
        side for side in (*snapshot.keys, *snapshot.rejects) if "/compacted/" not in side
    ]
    if before:
        previous += storage.list_files(storage.join(url, "compacted", before.generation))
    current = Compaction(generation, buckets, replaces, sorted(previous))
    storage.write_bytes(storage.join(url, "compacted.json"), msgspec.json.encode(current))
    return old_files, written


def _write_generation(snapshot: Snapshot, folder: str, buckets: int, advance: Callable[[], None]) -> int:
    """One message file per bucket, few files of keys, one of rejects; how many files that are."""
    runs = 0
    for runs, keys in enumerate(_key_runs(snapshot.keys), 1):  # noqa: B007
        path = storage.join(folder, "keys", f"run-{runs:05d}.parquet")
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
    return buckets + runs + bool(rejects)


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


def _compact_scores(snapshot: Snapshot, model_id: str) -> int:
    """One score file per bucket instead of several; how many files fewer. Old ones go: their rows are in the new."""
    fewer = 0
    for bucket in range(snapshot.buckets):
        files = corpus.score_files(snapshot.url, model_id, bucket, snapshot.buckets)
        if len(files) < FILES_WORTH:
            continue
        rows = score.read_scores(snapshot, bucket, model_id).sort("text_id")
        schema = corpus.read_table(files[0]).schema
        digest = storage.digest(str(bucket), model_id, *(each.hex() for each in rows["text_id"]))
        path = corpus.score_url(snapshot.url, model_id, (snapshot.buckets, bucket, digest))
        corpus.write_table(path, rows.to_arrow().cast(schema))
        for file in files:
            if file != path:
                storage.delete(file)
                fewer += 1
    return fewer


def _delete_previous(before: Compaction | None) -> None:
    """Remove what the compaction before this one took the place of."""
    for file in before.previous if before else []:
        storage.delete(file)
