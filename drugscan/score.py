"""From the texts of a bucket to score files: every distinct text once per model, never again.

A shard is up to 20,000 pending texts of one bucket. Its file is named by its texts and the model, so two runs
that score the same shard cost double work and nothing else.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from drugscan import corpus, storage
from drugscan.models import Model, Tokenising
from drugscan.models.tokens import Tokenised
from drugscan.schema import TEXT_ID, check, scores_schema

PHASES: Final = ("read", "tokenise", "forward", "write")
"""What a shard goes through; a model without tokens has no `tokenise`."""
FAILED: Final = pa.schema([pa.field("text_id", TEXT_ID, nullable=False)])
"""`failed/model=ID/*.parquet`: texts of shards that could not be scored; a later score outranks it."""


Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Pending texts of one bucket; `name` is that of its score file (see `corpus.score_url`)."""

    name: tuple[int, int, str]
    texts: pl.DataFrame
    """Columns text_id (binary), text (string); once tokenised text_id, truncated (more characters than are read)."""
    seconds: dict[str, float]
    """By phase, so far; see `PHASES`."""
    tokenised: Tokenised | None = None
    error: str | None = None
    """Why there are no tokens."""


@dataclass(frozen=True)
class Scored:
    """A shard that went through the model: the rows of its score file, or why there are none."""

    shard: Shard
    table: pa.Table | None
    work: tuple[int, int]
    """Tokens that went through a model, and padding that went with them; 0 for a model without tokens."""
    error: str | None
    seconds: dict[str, float]


class ShardSummary(msgspec.Struct, frozen=True):
    """What the driver hears of a shard: how much, how long, or why it failed."""

    bucket: int
    texts: int
    tokens: int = 0
    """Tokens that went through a model; those of a text count once for each model that read it."""
    padding: int = 0
    """Tokens of padding that went with them."""
    truncated: int = 0
    """Texts of which the model read only a beginning."""
    seconds: dict[str, float] = {}
    """Worker seconds by phase; see `PHASES`."""
    error: str | None = None


class Pending(msgspec.Struct, frozen=True):
    """Which texts are to be scored: the pending ones of a bucket, or of these those with ids from `first` to `last`."""

    bucket: int
    first: bytes | None = None
    last: bytes | None = None


def pending_texts(snapshot: corpus.Snapshot, bucket: int, model_id: str) -> pl.DataFrame:
    """Distinct texts of a bucket that this model has not scored: text_id, text; sorted by text_id."""
    texts = pl.DataFrame(corpus.read_bucket(snapshot, bucket, ["text_id", "text"]))
    distinct = texts.lazy().filter(pl.col("text_id").is_not_null()).unique("text_id", keep="any").collect()
    done = scored_ids(snapshot, bucket, model_id)
    return distinct.join(done, on="text_id", how="anti").sort("text_id")


def scored_ids(snapshot: corpus.Snapshot, bucket: int, model_id: str) -> pl.DataFrame:
    """Ids of the texts around this bucket that have a score: one column, text_id."""
    files = corpus.score_files(snapshot.url, model_id, bucket, snapshot.buckets)
    parts = [pl.DataFrame(corpus.read_table(file, ["text_id"])) for file in files]
    return pl.concat([pl.DataFrame(schema={"text_id": pl.Binary}), *parts])


def read_scores(snapshot: corpus.Snapshot, bucket: int, model_id: str) -> pl.DataFrame:
    """Scores of the texts around this bucket, one row per text: of two files the smallest name counts."""
    parts = []
    for file in corpus.score_files(snapshot.url, model_id, bucket, snapshot.buckets):
        parts.append(pl.DataFrame(corpus.read_table(file)))
    if not parts:
        return pl.DataFrame(schema={"text_id": pl.Binary})
    return pl.concat(parts, how="diagonal").unique("text_id", keep="first", maintain_order=True)


def failed_ids(snapshot: corpus.Snapshot, bucket: int, model_id: str) -> pl.DataFrame:
    """Ids of texts around this bucket whose shard failed at some time: one column, text_id."""
    files = corpus.score_files(snapshot.url, model_id, bucket, snapshot.buckets, folder="failed")
    parts = [pl.DataFrame(corpus.read_table(file)) for file in files]
    return pl.concat([pl.DataFrame(schema={"text_id": pl.Binary}), *parts]).unique()


def still_pending(snapshot: corpus.Snapshot, wanted: Pending, model_id: str) -> pl.DataFrame:
    """The texts that are meant, as far as this model has not scored them; see `pending_texts`."""
    texts = pending_texts(snapshot, wanted.bucket, model_id)
    if wanted.first is None or wanted.last is None:
        return texts
    return texts.filter(pl.col("text_id").is_between(pl.lit(wanted.first), pl.lit(wanted.last)))


def shard_by_shard(snapshot: corpus.Snapshot, bucket: int, model_id: str, shard_texts: int) -> list[Pending]:
    """The pending shards of a bucket, each to be done by itself, whatever becomes of the others."""
    parts = pending_texts(snapshot, bucket, model_id)["text_id"]
    shards = (parts[start : start + shard_texts] for start in range(0, len(parts), shard_texts))
    return [Pending(bucket, shard[0], shard[-1]) for shard in shards]


def prepare(snapshot: corpus.Snapshot, wanted: Pending, model: Model, shard_texts: int) -> Iterator[Shard]:
    """The pending texts that are meant, cut into shards and, for a model that has tokens, tokenised."""
    started, bucket = time.perf_counter(), wanted.bucket
    for part in still_pending(snapshot, wanted, model.model_id).iter_slices(shard_texts):
        digest = storage.digest(str(bucket), model.model_id, *(each.hex() for each in part["text_id"]))
        read = time.perf_counter() - started
        yield _tokenised(Shard((snapshot.buckets, bucket, digest), part, {"read": read}), model)
        started = time.perf_counter()


def _tokenised(shard: Shard, model: Model) -> Shard:
    """The shard with its tokens instead of its texts, or with the reason why there are none."""
    if not isinstance(model, Tokenising):
        return shard
    started = time.perf_counter()
    try:
        tokenised, error = model.tokenise(shard.texts["text"].to_list()), None
    except Exception as raised:  # a model is foreign code: one shard that it cannot do must not end the scan
        tokenised, error = None, _reason(raised)
    overlong = _overlong(shard.texts, model)
    seconds = {**shard.seconds, "tokenise": time.perf_counter() - started}
    return Shard(shard.name, shard.texts.select("text_id", truncated=overlong), seconds, tokenised, error)


def score_buckets(
    snapshot: corpus.Snapshot, buckets: Iterable[int], model: Model, shard_texts: int
) -> Iterator[ShardSummary]:
    """Score every pending text of these buckets; see `score_pending`."""
    return score_pending(snapshot, map(Pending, buckets), model, shard_texts)


def score_pending(
    snapshot: corpus.Snapshot, wanted: Iterable[Pending], model: Model, shard_texts: int
) -> Iterator[ShardSummary]:
    """Score the pending texts that are meant, a shard at a time; one summary per shard.

    While the model is at a shard, the next one is read and tokenised and the last one is written, in a thread each.
    """
    prepared = (shard for each in wanted for shard in prepare(snapshot, each, model, shard_texts))
    with ThreadPoolExecutor(1) as writer:
        last: Future[ShardSummary] | None = None
        for shard in ahead(prepared):
            scored = forward(shard, model)
            if last:
                yield last.result()
            last = writer.submit(commit, snapshot.url, model.model_id, scored)
        if last:
            yield last.result()


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before is in use."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]


def forward(shard: Shard, model: Model) -> Scored:
    """The scores of a shard. Whatever the model raises becomes a failed shard that the next run does again."""
    started = time.perf_counter()
    try:
        table, work = _scored(shard, model)
    except Exception as error:  # a model is foreign code: one shard that it cannot do must not end the scan
        return Scored(shard, None, (0, 0), shard.error or _reason(error), {})
    return Scored(shard, table, work, None, {**shard.seconds, "forward": time.perf_counter() - started})


def commit(url: str, model_id: str, scored: Scored) -> ShardSummary:
    """Write the score file of a shard, or the file that says that it failed; what cannot be written has failed."""
    try:
        return _commit(url, model_id, scored)
    except OSError as error:
        return ShardSummary(scored.shard.name[1], scored.shard.texts.height, error=str(error))


def _commit(url: str, model_id: str, scored: Scored) -> ShardSummary:
    shard, started = scored.shard, time.perf_counter()
    if scored.table is None:
        ids = shard.texts.select("text_id").to_arrow().cast(FAILED)
        corpus.write_table(corpus.score_url(url, model_id, shard.name, "failed"), ids)
        return ShardSummary(shard.name[1], shard.texts.height, error=scored.error)
    corpus.write_table(corpus.score_url(url, model_id, shard.name), scored.table)
    return ShardSummary(
        bucket=shard.name[1],
        texts=shard.texts.height,
        tokens=scored.work[0],
        padding=scored.work[1],
        truncated=pc.sum(scored.table["truncated"]).as_py() or 0,
        seconds={**scored.seconds, "write": time.perf_counter() - started},
    )


def _scored(shard: Shard, model: Model) -> tuple[pa.Table, tuple[int, int]]:
    """The rows of the score file, and (tokens, padding) that went through the model."""
    count, labels = shard.texts.height, model.labels
    if isinstance(model, Tokenising):
        if shard.tokenised is None:
            raise ValueError(shard.error)
        scores = model.forward(shard.tokenised)
        values, work = scores.values, (scores.run_tokens, scores.padding)
        tokens = pa.array(shard.tokenised.ids.lengths, pa.int32())
        truncated = shard.texts["truncated"].to_numpy() | shard.tokenised.truncated
    else:
        values, work = model.score(shard.texts["text"].to_list()), (0, 0)
        tokens, truncated = pa.nulls(count, pa.int32()), _overlong(shard.texts, model).to_numpy()
    if values.shape != (count, len(labels)):
        raise ValueError(f"the model gave {values.shape} scores for {count} texts and {len(labels)} labels")
    columns: dict[str, object] = {"text_id": shard.texts["text_id"].to_arrow().cast(TEXT_ID)}
    for index, label in enumerate(labels):
        columns[label] = pa.array(values[:, index].astype(np.float32), from_pandas=True)
    columns |= {"tokens": tokens, "truncated": truncated}
    return check(pa.table(columns), scores_schema(labels)), work


def _overlong(texts: pl.DataFrame, model: Model) -> pl.Series:
    """Whether the model looks at the beginning of a text only, whatever its tokens."""
    if model.max_characters is None:
        return pl.repeat(False, texts.height, eager=True)
    return texts["text"].str.len_chars() > model.max_characters


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
