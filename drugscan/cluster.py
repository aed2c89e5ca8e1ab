"""The one module that imports ray: ranges and buckets become Ray Data plans, small summaries come back.

Only names go out and only summary rows come back through the driver; messages and scores are read and written by
the workers. What was learned about Ray Data 2.60 and is used here: `from_items` needs one block per row, or a
killed worker redoes its neighbours; a generator's rows need a tiny target block size, or they all arrive at the
end; a row that kills its worker is retried for ever unless retries are limited and errored blocks allowed.
"""

import logging
import os
import pickle
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec
import ray
import ray.data

from drugscan import corpus, inputs, models, score, stages, stateless
from drugscan.aggregate import BucketSummary, Work
from drugscan.ingest import Destination, RangeSummary
from drugscan.models import ModelError
from drugscan.schema import Range
from drugscan.score import ShardSummary
from drugscan.settings import Settings
from drugscan.stages import FilePlan
from drugscan.versions import SliceSummary

TRIES: Final = 3
"""A range or shard that kills its worker this often has failed."""
MOST_WORKERS: Final = 1_000
"""On a cluster that may grow: Ray Data adds workers as there is room for them, and asks for nodes."""
PLAN_HERE_BYTES: Final = 256 * 1024 * 1024
"""Input that is planned in the driver: about a second of work, where a first Ray Data plan takes four."""
_OBJECT_STORE_BYTES: Final = 256 * 1024 * 1024
"""Locally: nothing but summaries passes through it, and with GPUs the tokens of shards (some 5 MB each)."""
_SHARD, _DONE, _UNUSABLE = "shard", "done", "unusable"
"""Rows of scoring: of a shard, of a bucket whose shards are through (their number), of a worker without its model."""
_Row = dict[str, Any]
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
        """Summaries of the shards; pools of actors that each load the model once. Raises `ModelError` as they do."""
        rows = stateless.numbers(snapshot.buckets)
        given = (msgspec.json.encode(snapshot), msgspec.json.encode(choice), shard_texts)
        shards: Counter[int] = Counter()
        whole: dict[int, int] = {}
        size = min(self._workers, len(rows))
        for row in _stream(rows, *(self._apart(given, size) if self._two_operators else _fused(given, size))):
            bucket, body = int(row["bucket"]), row["body"]
            if row["kind"] == _UNUSABLE:
                raise ModelError(f"a worker cannot use the model: {body.decode()}")
            if row["kind"] == _DONE:
                whole[bucket] = int(body)
                continue
            shards[bucket] += 1
            yield msgspec.json.decode(body, type=ShardSummary)
        doubtful = [bucket for bucket in range(snapshot.buckets) if whole.get(bucket) != shards[bucket]]
        for bucket in doubtful:
            # summaries can be lost with a worker whose score files stand: what counts is what is pending
            if pending := score.pending_texts(snapshot, bucket, str(choice.model_id)).height:
                error = f"the worker died on it {TRIES} times; run again, and look at its texts if it happens again"
                yield ShardSummary(bucket, pending, error=error)

    def find_losers(self, work: Work, slices: int) -> Iterator[SliceSummary]:
        """Summaries of the slices, in any order; none for one that kills its worker each time."""
        for row in self._map(stateless.numbers(slices), partial(stateless.find_losers, work)):
            yield msgspec.json.decode(row, type=SliceSummary)

    def aggregate(self, work: Work) -> Iterator[BucketSummary]:
        """Summaries of the buckets, in any order; none for one that kills its worker each time."""
        for row in self._map(stateless.numbers(work.snapshot.buckets), partial(stateless.count_bucket, work)):
            yield msgspec.json.decode(row, type=BucketSummary)

    def _apart(self, given: tuple[bytes, bytes, int], size: int) -> list[_Operator]:
        """All CPUs read and tokenise for the actors that hold the GPUs; those take no CPU, so they always fit in.

        Two calls at a time in an actor with a GPU: one writes its score file while the other has the device.
        """
        twice = {"max_concurrent_calls_per_actor": 2, "enable_true_multi_threading": True}
        device = {"num_cpus": 0, "num_gpus": self._gpus or None}
        return [
            (_Prepare, _actors(given, self._cpus, num_cpus=1)),
            (_Forward, _actors(given[:2], size, twice, **device)),
        ]

    def _map(self, rows: Sequence[bytes], function: Callable[[bytes], Iterable[msgspec.Struct]]) -> Iterator[bytes]:
        """Summaries (JSON) of the function over the rows, one row per call, as stateless tasks."""
        options = {"num_cpus": 1, "concurrency": self._cpus, "max_retries": TRIES - 1}
        for row in _stream(rows, (stateless.Each(function), options)):
            yield row["summary"]


def _fused(given: tuple[bytes, bytes, int], size: int) -> list[_Operator]:
    """Reading, tokenising and scoring in one actor: without a GPU they share its core anyway."""
    return [(_Scorer, _actors(given, size, num_cpus=1))]


def _actors(given: tuple[Any, ...], size: int, calls: dict[str, Any] | None = None, **resources: Any) -> dict[str, Any]:  # noqa: ANN401
    """Options of a Ray Data operator that is a pool of up to `size` actors, made with `given`; it grows with Ray."""
    now = _room(resources.get("num_gpus") or 0)
    return {
        "fn_constructor_args": given,
        "compute": ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=min(size, now), **calls or {}),
        "max_restarts": TRIES,
        "max_task_retries": TRIES - 1,
        **resources,
    }


def _stream(rows: Sequence[bytes], *operators: _Operator) -> Iterator[_Row]:
    """What the last operator yields, as it is ready; one block per row, so that a kill redoes that row only."""
    with warnings.catch_warnings():
        # Ray 2.60 deprecates passing retries this way and offers no other yet; the version is pinned
        warnings.simplefilter("ignore")
        data: ray.data.Dataset = ray.data.from_items([{"row": row} for row in rows], override_num_blocks=len(rows))
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


def _row(kind: str, bucket: int, body: bytes) -> _Row:
    """A batch of one row, as the operators of scoring pass them on."""
    return {"kind": [kind], "bucket": [bucket], "body": [body]}


def _model(choice: bytes, scores: bool) -> models.Model | ModelError:
    """The model on this worker, with its weights if it scores; or why it cannot be used, for the driver to tell."""
    threads = max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # each tokenizer would take every core of the machine
    try:
        model = models.load(msgspec.json.decode(choice, type=models.Choice))
        if scores and isinstance(model, models.Tokenising):
            model.start(threads)
    except ModelError as error:
        return error
    return model


class _Scorer:
    """An actor that reads, scores and writes whole buckets."""

    def __init__(self, snapshot: bytes, choice: bytes, shard_texts: int) -> None:
        self._snapshot = msgspec.json.decode(snapshot, type=corpus.Snapshot)
        self._model, self._shard_texts = _model(choice, scores=True), shard_texts

    def __call__(self, batch: _Row) -> Iterator[_Row]:
        for bucket in map(int, batch["row"]):
            if isinstance(self._model, ModelError):
                yield _row(_UNUSABLE, bucket, str(self._model).encode())
                continue
            count = 0
            for summary in score.score_buckets(self._snapshot, [bucket], self._model, self._shard_texts):
                count += 1
                yield _row(_SHARD, bucket, msgspec.json.encode(summary))
            yield _row(_DONE, bucket, str(count).encode())


class _Prepare:
    """An actor that reads and tokenises whole buckets: a row per shard, and one that says how many they were."""

    def __init__(self, snapshot: bytes, choice: bytes, shard_texts: int) -> None:
        self._snapshot = msgspec.json.decode(snapshot, type=corpus.Snapshot)
        self._model, self._shard_texts = _model(choice, scores=False), shard_texts

    def __call__(self, batch: _Row) -> Iterator[_Row]:
        for bucket in map(int, batch["row"]):
            if isinstance(self._model, ModelError):
                yield _row(_UNUSABLE, bucket, str(self._model).encode())
                continue
            count = 0
            for shard in score.prepare(self._snapshot, bucket, self._model, self._shard_texts):
                count += 1
                yield _row(_SHARD, bucket, pickle.dumps(shard))
            yield _row(_DONE, bucket, str(count).encode())


class _Forward:
    """An actor that scores and writes shards that `_Prepare` made; everything else it passes on."""

    def __init__(self, snapshot: bytes, choice: bytes) -> None:
        self._url = msgspec.json.decode(snapshot, type=corpus.Snapshot).url
        self._model, self._lock = _model(choice, scores=True), threading.Lock()

    def __call__(self, batch: _Row) -> Iterator[_Row]:
        for kind, bucket, body in zip(batch["kind"], batch["bucket"], batch["body"], strict=True):
            if kind != _SHARD:
                yield _row(kind, bucket, body)
            elif isinstance(self._model, ModelError):
                yield _row(_UNUSABLE, bucket, str(self._model).encode())
            else:
                with self._lock:
                    scored = score.forward(pickle.loads(body), self._model)
                summary = score.commit(self._url, self._model.model_id, scored)
                yield _row(_SHARD, bucket, msgspec.json.encode(summary))
