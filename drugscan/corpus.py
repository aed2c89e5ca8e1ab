"""The corpus: one folder, local or `s3://`, that holds everything a scan has found out.

    corpus.json              what was fixed when the corpus was made (never changed)
    messages/*.parquet       one file per range, one row group per bucket; its footer is the ledger of the range
    keys/ rejects/           side files of the same names, written before the message file
    scores/model=ID/         one file per scored shard; failed/model=ID/ the shards that could not be scored
    compacted.json           names the generation under compacted/ that stands for the range files it lists
    tables/RUN/ report/RUN/  results; manifest.json names the current ones

Files are only ever added. A reader takes a `Snapshot` (one listing) and works from that.
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drugscan import storage
from drugscan.schema import MESSAGES
from drugscan.text import TEXT_VERSION

CORPUS_VERSION: Final = 1
MESSAGES_PER_BUCKET: Final = 4_000_000
MINIMUM_BUCKETS: Final = 16
FINE_BUCKETS: Final = 1 << 15
"""What the `bucket` column counts to: any power of two below this can be the number of buckets of a corpus."""
_FOOTER: Final = b"drugscan"
_SCORE_NAME: Final = re.compile(r"(\d+)-(\d+)-[0-9a-f]+\.parquet$")
_READERS: Final = 8
T = TypeVar("T")


class CorpusError(ValueError):
    """A corpus that cannot be used as asked; the message says what to do."""


class CorpusInfo(msgspec.Struct, frozen=True):
    """`corpus.json`: what is the same for every run over a corpus."""

    buckets: int
    timezone: str
    include_private: bool
    key_check: str
    """Digest that only the right pseudonym key gives."""
    created_at: str
    corpus_version: int = CORPUS_VERSION
    text_version: int = TEXT_VERSION


class RangeCounts(msgspec.Struct, frozen=True):
    """What became of one range: read = kept + rejects + service + private."""

    digest: str
    source: str
    identity: str
    format: str
    start: int
    end: int
    complete: bool
    """Whether the source is read to its end with this range (for sequential streams; else always true)."""
    read: int
    kept: int
    service: int
    private: int
    rejects: dict[str, int]


class Footer(msgspec.Struct, frozen=True):
    """What a message file says of itself: its ranges, and which bucket each row group holds."""

    ranges: list[RangeCounts]
    buckets: int
    groups: list[int]


class MessageFile(msgspec.Struct, frozen=True):
    """A committed file of messages with its footer."""

    url: str
    footer: Footer


class Compaction(msgspec.Struct, frozen=True):
    """`compacted.json`: a generation of merged files, and the files whose place it takes."""

    generation: str
    buckets: int
    replaces: list[str]
    """Names of the range files (of messages, keys and rejects) that are in the generation."""
    previous: list[str] = []
    """Paths inside the corpus that the next compaction deletes: no reader that began before needs them by then."""


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`: which results are the current ones."""

    run: str
    tables: str
    report: str
    basis: str
    """Digest of what the results were computed from; see `publish.basis`."""


class Snapshot(msgspec.Struct, frozen=True):
    """The committed files at one moment: what a stage works on, whatever is added meanwhile."""

    url: str
    buckets: int
    messages: list[MessageFile]
    keys: list[str]
    rejects: list[str]

    def ranges(self) -> list[RangeCounts]:
        """Every range once, also where several bucket files name it."""
        return list({counts.digest: counts for file in self.messages for counts in file.footer.ranges}.values())

    def ledger(self) -> Counter[str]:
        """What was read: `read`, `kept`, `service`, `private`, `rejects`, and `rejects.REASON` each."""
        total: Counter[str] = Counter(read=0, kept=0, service=0, private=0, rejects=0)
        for counts in self.ranges():
            total.update(read=counts.read, kept=counts.kept, service=counts.service, private=counts.private)
            total.update({f"rejects.{reason}": n for reason, n in counts.rejects.items()})
            total.update(rejects=sum(counts.rejects.values()))
        return total


def bucket_count(messages: int) -> int:
    """Buckets for an expected number of messages: a power of two, at least 16, about four million messages each."""
    count = MINIMUM_BUCKETS
    while count * MESSAGES_PER_BUCKET < messages:
        count *= 2
    return count


def open_corpus(url: str) -> CorpusInfo:
    """What `corpus.json` says; raises `CorpusError` when there is none or another version wrote it."""
    path = storage.join(url, "corpus.json")
    if not storage.exists(path):
        raise CorpusError(f"{url} is no corpus (it has no corpus.json); make one with `drugscan scan` or `ingest`")
    try:
        info = msgspec.json.decode(storage.read_bytes(path), type=CorpusInfo)
    except msgspec.MsgspecError as error:
        raise CorpusError(f"{path} cannot be read: {error}") from error
    if (info.corpus_version, info.text_version) != (CORPUS_VERSION, TEXT_VERSION):
        raise CorpusError(f"{url} was made by another version of drugscan; scan the exports into a new corpus")
    return info


def make_corpus(url: str, info: CorpusInfo) -> CorpusInfo:
    """The corpus at `url`, made from `info` if it is new; who loses the race takes what the winner wrote."""
    storage.create(storage.join(url, "corpus.json"), msgspec.json.encode(info))
    return open_corpus(url)


def read_struct(url: str, kind: type[T]) -> T | None:
    """A small JSON file of the corpus, or null when it is not there."""
    return msgspec.json.decode(storage.read_bytes(url), type=kind) if storage.exists(url) else None


def compaction(url: str) -> Compaction | None:
    """The generation that stands for earlier range files, if the corpus was ever compacted."""
    return read_struct(storage.join(url, "compacted.json"), Compaction)


def manifest(url: str) -> Manifest | None:
    """The current results, if there are any."""
    return read_struct(storage.join(url, "manifest.json"), Manifest)


def snapshot(url: str) -> Snapshot:
    """List the committed files of a corpus and read the footers of its message files."""
    info, merged = open_corpus(url), compaction(url)
    replaced = set(merged.replaces) if merged else set()
    parts: dict[str, list[str]] = {}
    for part in ("messages", "keys", "rejects"):
        files = storage.list_files(storage.join(url, part))
        parts[part] = [file for file in files if _name(file) not in replaced]
        if merged:
            parts[part] += storage.list_files(storage.join(url, "compacted", merged.generation, part))
    with ThreadPoolExecutor(_READERS) as pool:
        messages = list(pool.map(read_footer, parts["messages"]))
    # a side file whose message file never came is no data: its range is read again
    known = {_name(file) for file in parts["messages"]}
    sides = {part: [f for f in parts[part] if _name(f) in known or "/compacted/" in f] for part in ("keys", "rejects")}
    return Snapshot(url, merged.buckets if merged else info.buckets, messages, **sides)


def read_footer(url: str) -> MessageFile:
    """A message file with its footer; raises `CorpusError` for a file that is none of ours."""
    with storage.open_binary(url) as file:
        try:
            metadata = pq.read_metadata(file).metadata or {}
            return MessageFile(url, msgspec.json.decode(metadata[_FOOTER], type=Footer))
        except (pa.ArrowInvalid, KeyError, msgspec.MsgspecError) as error:
            raise CorpusError(
                f"{url} is damaged or not a message file of drugscan; remove it and scan again"
            ) from error


def write_messages(url: str, table: pa.Table, ranges: list[RangeCounts], buckets: int) -> None:
    """Commit messages (sorted by `bucket`), one row group per bucket, in one write."""
    sink = io.BytesIO()
    groups: list[int] = []
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        for bucket, start, length in _runs(bucket_column(table["bucket"], buckets)):
            writer.write_table(table.slice(start, length), row_group_size=length)
            groups.append(bucket)
        writer.add_key_value_metadata({_FOOTER: msgspec.json.encode(Footer(ranges, buckets, groups))})
    storage.write_bytes(url, sink.getbuffer())


def write_table(url: str, table: pa.Table) -> None:
    """Commit one table as Parquet in one write."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 17)
    storage.write_bytes(url, sink.getbuffer())


def read_table(url: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file of the corpus, or some of its columns."""
    with storage.open_binary(url) as file:
        return pq.read_table(file, columns=list(columns) if columns else None)


def read_bucket(snapshot: Snapshot, bucket: int, columns: Sequence[str]) -> pa.Table:
    """These columns of all messages of one bucket (of `snapshot.buckets`); in object storage a file is 3 requests."""
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(lambda file: _bucket_of_file(file, (snapshot.buckets, bucket), columns), snapshot.messages)
    return pa.concat_tables([table for table in read if table is not None] or [_empty(columns)])


def score_files(url: str, model_id: str, bucket: int, buckets: int, folder: str = "scores") -> list[str]:
    """Files that may hold scores of texts of this bucket, smallest name first (which wins for a text in two)."""
    files = storage.list_files(storage.join(url, folder, f"model={model_id}"))
    return [file for file in files if _overlaps(file, bucket, buckets)]


def score_url(url: str, model_id: str, name: tuple[int, int, str], folder: str = "scores") -> str:
    """Where a shard's scores stand; `name` is (number of buckets, bucket, digest of the shard)."""
    buckets, bucket, digest = name
    return storage.join(url, folder, f"model={model_id}", f"{buckets}-{bucket:05d}-{digest}.parquet")


def scored_models(url: str) -> list[str]:
    """Ids of the models that have scored something in this corpus."""
    names = (re.search(r"model=([^/]+)/", file) for file in storage.list_files(storage.join(url, "scores")))
    return sorted({match[1] for match in names if match})


def _overlaps(file: str, bucket: int, buckets: int) -> bool:
    match = _SCORE_NAME.search(file)
    return match is not None and _meet((int(match[1]), int(match[2])), (buckets, bucket))


def _bucket_of_file(file: MessageFile, bucket: tuple[int, int], columns: Sequence[str]) -> pa.Table | None:
    """One bucket of one file, also of a file that was written when the corpus had fewer or more buckets."""
    wanted = [index for index, group in enumerate(file.footer.groups) if _meet((file.footer.buckets, group), bucket)]
    if not wanted:
        return None
    with storage.open_binary(file.url) as opened:
        table = pq.ParquetFile(opened).read_row_groups(wanted, columns=[*{*columns, "bucket"}])
    if file.footer.buckets < bucket[0]:
        table = table.filter(pc.equal(bucket_column(table["bucket"], bucket[0]), bucket[1]))
    return table.select(list(columns))


def bucket_column(fine: pa.ChunkedArray, buckets: int) -> pa.ChunkedArray:
    """Bucket (of `buckets`) of each row, from the `bucket` column of messages, which holds 15 bits."""
    return pc.divide(pc.multiply(pc.cast(fine, pa.int32()), buckets), FINE_BUCKETS)


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two buckets, each (number of buckets, bucket), share any text."""
    (few, coarse), (many, fine) = sorted((one, other))
    return fine * few // many == coarse


def _empty(columns: Iterable[str]) -> pa.Table:
    return pa.schema([MESSAGES.field(name) for name in columns]).empty_table()


def _runs(buckets: pa.ChunkedArray) -> list[tuple[int, int, int]]:
    """(bucket, start, length) of each run of a sorted column."""
    counts = pc.value_counts(buckets.combine_chunks()).to_pylist()
    start, runs = 0, []
    for entry in sorted(counts, key=lambda entry: int(entry["values"])):
        runs.append((entry["values"], start, entry["counts"]))
        start += entry["counts"]
    return runs


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]
