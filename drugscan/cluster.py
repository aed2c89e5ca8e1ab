"""The one module that imports ray: ranges and buckets become Ray Data plans, small summaries come back.

Only names go out and only summary rows come back through the driver; messages and scores are read and written by
the workers. What was learned about Ray Data 2.60 and is used here: `from_items` needs one block per row, or a
killed worker redoes its neighbours; a generator's rows need a tiny target block size, or they all arrive at the
end; a row that kills its worker is retried for ever unless retries are limited and errored blocks allowed; an actor
whose restarts are used up stays in its pool, and what is sent to it is lost or waits.
"""

import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec
import ray
import ray.data

from drugscan import actors, corpus, inputs, models, score, stages, stateless
from drugscan.aggregate import BucketSummary, Work
from drugscan.ingest import Destination, RangeSummary
from drugscan.models import ModelError
from drugscan.schema import Range
from drugscan.score import Pending, ShardSummary
from drugscan.settings import Settings
from drugscan.stages import FilePlan
from drugscan.versions import SliceSummary

TRIES: Final = 3
"""A range or shard that kills its worker this often has failed; a shard the last time all by itself."""
MOST_WORKERS: Final = 1_000
"""On a cluster that may grow: Ray Data adds workers as there is room for them, and asks for nodes."""
PLAN_HERE_BYTES: Final = 256 * 1024 * 1024
"""Input that is planned in the driver: about a second of work, where a first Ray Data plan takes four."""
_OBJECT_STORE_BYTES: Final = 256 * 1024 * 1024
"""Locally: nothing but summaries passes through it, and with GPUs the tokens of shards (some 5 MB each)."""
_Operator = tuple[Any, dict[str, Any]]
"""A function or class for `map_batches`, and its options."""


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


def gpus() -> float:
    """GPUs of the cluster as it is now."""
    return float(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]


def _room(gpus_per_worker: float) -> int:
    """Workers for which the cluster has GPUs (or CPUs) now; never none, since who waits makes a cluster grow."""
    cpus = ray.cluster_resources().get("CPU", 0)  # type: ignore[no-untyped-call]
    return max(1, int(gpus() / gpus_per_worker if gpus_per_worker else cpus))


class OnRay:
    """A `stages.Runner` that runs everything as Ray Data plans; see there."""

    def __init__(
        self, workers: int | None = None, gpus_per_worker: float = 0.0, two_operators: bool | None = None
    ) -> None:
        """`two_operators` is for GPUs, which `workers` have then. More workers than fit join as the cluster grows."""
        cpus, self._gpus = _room(0), gpus_per_worker
        self._two_operators = gpus_per_worker > 0 if two_operators is None else two_operators
        self._workers = workers or (_room(gpus_per_worker) if self._two_operators else cpus)
        self._cpus = max(cpus, self._workers) if self._two_operators else self._workers

    def plan(self, sources: Sequence[str], settings: Settings) -> Iterator[FilePlan]:
        """One plan per file; a few small files are looked at here, before a worker could have started."""
        if sum(inputs.size_of(source) for source in sources) <= PLAN_HERE_BYTES:
            yield from (stages.plan_file(source, settings) for source in sources)
            return
        rows = [source.encode() for source in sources]
        done = (
            msgspec.json.decode(row, type=FilePlan) for row in self._map(rows, partial(stateless.plan_file, settings))
        )
        yield from _missing_plans(done, sources)

    def ingest(self, ranges: Sequence[Range], to: Destination) -> Iterator[RangeSummary]:
        """Summaries of the ranges, in any order; none for a range that kills its worker each time."""
        rows = [msgspec.json.encode(range_) for range_ in ranges]
        for row in self._map(rows, partial(stateless.ingest_range, to)):
            yield msgspec.json.decode(row, type=RangeSummary)

    def score(self, snapshot: corpus.Snapshot, choice: models.Choice, shard_texts: int) -> Iterator[ShardSummary]:
        """Summaries of the shards; pools of actors that each load the model once. Raises `ModelError` as they do.

        A shard that kills its worker takes the rest of its bucket with it, and buckets that waited for that worker.
        What is pending of these is done once more, each shard by itself: then only those that kill have failed.
        """
        given = (msgspec.json.encode(snapshot), msgspec.json.encode(choice), shard_texts)
        model_id = str(choice.model_id)
        everything = [Pending(bucket) for bucket in range(snapshot.buckets)]
        size = min(self._workers, len(everything))
        operators = self._apart(given, size) if self._two_operators else self._fused(given, size)
        doubtful = yield from _scored(everything, operators)
        # summaries can be lost with a worker whose score files stand: what counts is what is pending
        alone = [one for each in doubtful for one in score.shard_by_shard(snapshot, each.bucket, model_id, shard_texts)]
        if not alone:
            return
        one_by_one = self._fused(given, min(self._workers, len(alone)), alone=True)
        for lost in (yield from _scored(alone, one_by_one)):
            if texts := score.still_pending(snapshot, lost, model_id).height:
                error = "the worker died on them each time; run again, and look at them if it happens again"
                yield ShardSummary(lost.bucket, texts, error=error)

    def find_losers(self, work: Work, slices: int) -> Iterator[SliceSummary]:
        """Summaries of the slices, in any order; none for one that kills its worker each time."""
        for row in self._map(stateless.numbers(slices), partial(stateless.find_losers, work)):
            yield msgspec.json.decode(row, type=SliceSummary)

    def aggregate(self, work: Work) -> Iterator[BucketSummary]:
        """Summaries of the buckets, in any order; none for one that kills its worker each time."""
        for row in self._map(stateless.numbers(work.snapshot.buckets), partial(stateless.count_bucket, work)):
            yield msgspec.json.decode(row, type=BucketSummary)

    def _apart(self, given: tuple[Any, ...], size: int) -> list[_Operator]:
        """All CPUs read and tokenise for the actors that hold the GPUs; those take no CPU, so they always fit in.

        Two calls at a time in an actor with a GPU: one writes its score file while the other has the device.
        """
        twice = {"max_concurrent_calls_per_actor": 2, "enable_true_multi_threading": True}
        device = {"num_cpus": 0, "num_gpus": self._gpus or None}
        return [
            (actors.Prepare, _actors(given, self._cpus, num_cpus=1)),
            (actors.Forward, _actors(given, size, twice, **device)),
        ]

    def _fused(self, given: tuple[Any, ...], size: int, alone: bool = False) -> list[_Operator]:
        """Reading, tokenising and scoring in one actor: without a GPU they share its core anyway.

        `alone`: one try for each row, and none waits for an actor that another one can kill.
        """
        calls = {"max_tasks_in_flight_per_actor": 1} if alone else {}
        options = {"num_cpus": 1, "num_gpus": self._gpus or None, "max_task_retries": 0 if alone else TRIES - 2}
        return [(actors.Score, _actors(given, size, calls, **options))]

    def _map(self, rows: Sequence[bytes], function: Callable[[bytes], Iterable[msgspec.Struct]]) -> Iterator[bytes]:
        """Summaries (JSON) of the function over the rows, one row per call, as stateless tasks."""
        options = {"num_cpus": 1, "concurrency": self._cpus, "max_retries": TRIES - 1}
        for row in _stream(rows, (stateless.Each(function), options)):
            yield row["summary"]


def _scored(wanted: Sequence[Pending], operators: Sequence[_Operator]) -> Generator[ShardSummary, None, list[Pending]]:
    """Summaries of what is to be scored; returns what did not come back whole, and why was not told."""
    shards: Counter[int] = Counter()
    whole: dict[int, int] = {}
    told: set[int] = set()
    for row in _stream([msgspec.json.encode(each) for each in wanted], *operators):
        number, kind, body = int(row["number"]), row["kind"], row["body"]
        if kind == actors.UNUSABLE:
            raise ModelError(f"a worker cannot use the model: {body.decode()}")
        if kind == actors.DONE:
            whole[number] = int(body)
            continue
        if kind == actors.FAILED:
            told.add(number)
        shards[number] += 1
        yield msgspec.json.decode(body, type=ShardSummary)
    return [each for number, each in enumerate(wanted) if number not in told and whole.get(number) != shards[number]]


def _actors(given: tuple[Any, ...], size: int, calls: dict[str, Any] | None = None, **resources: Any) -> dict[str, Any]:  # noqa: ANN401
    """Options of a Ray Data operator that is a pool of up to `size` actors, made with `given`; it grows with Ray."""
    now = _room(resources.get("num_gpus") or 0)
    return {
        "fn_constructor_args": given,
        "compute": ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=min(size, now), **calls or {}),
        "max_restarts": -1,
        "max_task_retries": TRIES - 2,
        **resources,
    }


def _stream(rows: Sequence[bytes], *operators: _Operator) -> Iterator[actors.Row]:
    """What the last operator yields, as it is ready; one block per row, so that a kill redoes that row only."""
    with warnings.catch_warnings():
        # Ray 2.60 deprecates passing retries this way and offers no other yet; the version is pinned
        warnings.simplefilter("ignore")
        data: ray.data.Dataset = ray.data.from_items(
            [{"number": number, "row": row} for number, row in enumerate(rows)], override_num_blocks=len(rows)
        )
        for function, options in operators:
            data = data.map_batches(function, batch_size=1, **options)
        yield from data.iter_rows()


def _missing_plans(done: Iterable[FilePlan], sources: Sequence[str]) -> Iterator[FilePlan]:
    """The plans, and one with an error for every file whose worker died over it."""
    planned = set()
    for plan in done:
        planned.add(plan.source)
        yield plan
    for source in sources:
        if source not in planned:
            yield FilePlan(source, 0, error=f"{source}: the worker died while looking at this file")
