"""The one module that imports ray: ranges and buckets become Ray Data plans, small summaries come back.

Only names go out and only summary rows come back through the driver; messages and scores are read and written by
the workers. What was learned about Ray Data 2.60 and is used here: `from_items` needs one block per row, or a
killed worker redoes its neighbours; a generator's rows need a tiny target block size, or they all arrive at the
end; a row that kills its worker is retried for ever unless retries are limited and errored blocks allowed.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import ray
import ray.data

from drugscan import corpus, ingest, inputs, models, score, stages
from drugscan.ingest import Destination, RangeSummary
from drugscan.schema import Range
from drugscan.score import ShardSummary
from drugscan.settings import Settings
from drugscan.stages import FilePlan

TRIES: Final = 3
"""A range or shard that kills its worker this often has failed."""
PLAN_HERE_BYTES: Final = 256 * 1024 * 1024
"""Input that is planned in the driver: about a second of work, where a first Ray Data plan takes four."""
_OBJECT_STORE_BYTES: Final = 256 * 1024 * 1024
"""Locally: nothing but summaries passes through it."""
_Row = dict[str, Any]


def start(address: str | None = None, cpus: int | None = None) -> None:
    """Connect to the cluster at `address`, or start Ray on this machine; quietly either way."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    local: dict[str, Any] = {}
    if address is None:
        local = {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    with _without_chatter():
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the context warns about its own defaults
        context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1
    context.max_errored_blocks = -1
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep Ray's native code from announcing its log level on stderr; its errors come as exceptions."""
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)


def stop() -> None:
    """End the connection, and the local Ray with it."""
    ray.shutdown()


class OnRay:
    """A `stages.Runner` that runs everything as Ray Data plans; see there."""

    def __init__(self, workers: int | None = None, gpus_per_worker: float = 0.0) -> None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._workers = workers or max(1, int(resources.get("CPU", 1)))
        self._gpus = gpus_per_worker

    def plan(self, sources: Sequence[str], settings: Settings) -> Iterator[FilePlan]:
        """One plan per file; a few small files are looked at here, before a worker could have started."""
        if sum(inputs.size_of(source) for source in sources) <= PLAN_HERE_BYTES:
            yield from (stages.plan_file(source, settings) for source in sources)
            return
        rows = [source.encode() for source in sources]
        done = (msgspec.json.decode(row, type=FilePlan) for row in self._map(rows, _Plan(settings)))
        yield from _missing_plans(done, sources)

    def ingest(self, ranges: Sequence[Range], to: Destination) -> Iterator[RangeSummary]:
        """Summaries of the ranges, in any order; none for a range that kills its worker each time."""
        rows = [msgspec.json.encode(range_) for range_ in ranges]
        for row in self._map(rows, _Ingest(to)):
            yield msgspec.json.decode(row, type=RangeSummary)

    def score(self, snapshot: corpus.Snapshot, model: str, shard_texts: int) -> Iterator[ShardSummary]:
        """Summaries of the shards; a pool of actors, each with the model loaded once."""
        rows = [str(bucket).encode() for bucket in range(snapshot.buckets)]
        size = min(self._workers, len(rows))
        done = _stream(
            rows,
            _Scorer,
            fn_constructor_args=(msgspec.json.encode(snapshot), model, shard_texts),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=size),
            num_cpus=1,
            num_gpus=self._gpus or None,
            max_restarts=TRIES,
            max_task_retries=TRIES - 1,
        )
        finished: set[int] = set()
        for row in done:
            if row["kind"] == "done":
                finished.add(int(row["summary"]))
            else:
                yield msgspec.json.decode(row["summary"], type=ShardSummary)
        for bucket in sorted(set(range(snapshot.buckets)) - finished):
            error = f"the worker died on it {TRIES} times; run again, and look at its texts if it happens again"
            yield ShardSummary(bucket, 0, error=error)

    def _map(self, rows: Sequence[bytes], function: Callable[[_Row], Iterator[_Row]]) -> Iterator[bytes]:
        """The function over the rows, one row per call, as stateless tasks."""
        for row in _stream(rows, function, num_cpus=1, concurrency=self._workers, max_retries=TRIES - 1):
            yield row["summary"]


def _stream(rows: Sequence[bytes], function: Any, **options: Any) -> Iterator[_Row]:  # noqa: ANN401
    """What the function yields for each row, as it is ready; one block per row, so that a kill redoes that row only."""
    with warnings.catch_warnings():
        # Ray 2.60 deprecates passing retries this way and offers no other yet; the version is pinned
        warnings.simplefilter("ignore")
        source = ray.data.from_items([{"row": row} for row in rows], override_num_blocks=len(rows))
        yield from source.map_batches(function, batch_size=1, **options).iter_rows()


def _missing_plans(done: Iterable[FilePlan], sources: Sequence[str]) -> Iterator[FilePlan]:
    """The plans, and one with an error for every file whose worker died over it."""
    planned = set()
    for plan in done:
        planned.add(plan.source)
        yield plan
    for source in sources:
        if source not in planned:
            yield FilePlan(source, 0, error=f"{source}: the worker died while looking at this file")


class _Plan:
    """A task that plans one file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, batch: _Row) -> Iterator[_Row]:
        for row in batch["row"]:
            yield {"summary": [msgspec.json.encode(stages.plan_file(row.decode(), self._settings))]}


class _Ingest:
    """A task that ingests one range."""

    def __init__(self, to: Destination) -> None:
        self._to = to

    def __call__(self, batch: _Row) -> Iterator[_Row]:
        for row in batch["row"]:
            for summary in ingest.ingest_range(msgspec.json.decode(row, type=Range), self._to):
                yield {"summary": [msgspec.json.encode(summary)]}


class _Scorer:
    """An actor that reads, scores and writes whole buckets; without a GPU reading and scoring share its core."""

    def __init__(self, snapshot: bytes, model: str, shard_texts: int) -> None:
        self._snapshot = msgspec.json.decode(snapshot, type=corpus.Snapshot)
        self._model = models.load(model)
        self._shard_texts = shard_texts

    def __call__(self, batch: _Row) -> Iterator[_Row]:
        for row in batch["row"]:
            for summary in score.score_bucket(self._snapshot, int(row), self._model, self._shard_texts):
                yield {"kind": ["shard"], "summary": [msgspec.json.encode(summary)]}
            yield {"kind": ["done"], "summary": [row]}
