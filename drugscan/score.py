"""From the texts of a bucket to score files: every distinct text once per model, never again.

A shard is up to 20,000 pending texts of one bucket. Its file is named by its texts and the model, so two runs
that score the same shard cost double work and nothing else.
"""

import time
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from drugscan import corpus, storage
from drugscan.models import Model
from drugscan.schema import TEXT_ID, check, scores_schema

FAILED: Final = pa.schema([pa.field("text_id", TEXT_ID, nullable=False)])
"""`failed/model=ID/*.parquet`: texts of shards that could not be scored; a later score outranks it."""


class Shard(msgspec.Struct, frozen=True):
    """Pending texts of one bucket; `name` is that of its score file (see `corpus.score_url`)."""

    name: tuple[int, int, str]
    texts: pl.DataFrame
    """Columns text_id (binary), text (string)."""


class ShardSummary(msgspec.Struct, frozen=True):
    """What the driver hears of a shard: how much, how long, or why it failed."""

    bucket: int
    texts: int
    read_seconds: float = 0.0
    score_seconds: float = 0.0
    write_seconds: float = 0.0
    error: str | None = None


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


def shards(snapshot: corpus.Snapshot, bucket: int, model_id: str, shard_texts: int) -> Iterator[Shard]:
    """The pending texts of a bucket, cut into shards."""
    for part in pending_texts(snapshot, bucket, model_id).iter_slices(shard_texts):
        digest = storage.digest(str(bucket), model_id, *(each.hex() for each in part["text_id"]))
        yield Shard((snapshot.buckets, bucket, digest), part)


def score_bucket(snapshot: corpus.Snapshot, bucket: int, model: Model, shard_texts: int) -> Iterator[ShardSummary]:
    """Score every pending text of a bucket, a shard at a time; one summary per shard, or none if nothing is pending."""
    started = time.perf_counter()
    for shard in shards(snapshot, bucket, model.model_id, shard_texts):
        yield score_shard(snapshot.url, shard, model, time.perf_counter() - started)
        started = time.perf_counter()


def score_shard(url: str, shard: Shard, model: Model, read_seconds: float) -> ShardSummary:
    """Score one shard and commit it. Whatever the model raises becomes a failed shard that the next run does again."""
    started = time.perf_counter()
    bucket, count = shard.name[1], shard.texts.height
    try:
        table = _scored(shard, model)
    except Exception as error:  # a model is foreign code: one shard that it cannot do must not end the scan
        ids = shard.texts.select("text_id").to_arrow().cast(FAILED)
        corpus.write_table(corpus.score_url(url, model.model_id, shard.name, "failed"), ids)
        return ShardSummary(bucket, count, read_seconds, error=f"{type(error).__name__}: {error}")
    scored = time.perf_counter()
    corpus.write_table(corpus.score_url(url, model.model_id, shard.name), table)
    return ShardSummary(bucket, count, read_seconds, scored - started, time.perf_counter() - scored)


def _scored(shard: Shard, model: Model) -> pa.Table:
    texts = shard.texts["text"].to_list()
    scores = model.score(texts)
    if scores.shape != (len(texts), len(model.labels)):
        raise ValueError(f"the model gave {scores.shape} scores for {len(texts)} texts and {len(model.labels)} labels")
    columns: dict[str, object] = {"text_id": shard.texts["text_id"].to_arrow().cast(TEXT_ID)}
    for index, label in enumerate(model.labels):
        columns[label] = pa.array(scores[:, index].astype(np.float32), from_pandas=True)
    columns["tokens"] = pa.nulls(len(texts), pa.int32())
    columns["truncated"] = np.zeros(len(texts), bool)
    return check(pa.table(columns), scores_schema(model.labels))
