"""The stages of a scan, each a function from a corpus to more of it; how the work is run is the runner's affair.

`InProcess` runs everything here and now (for debugging and tests); `cluster.OnRay` runs the same functions on Ray
and gives the same files.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import polars as pl

from drugscan import aggregate, corpus, formats, ingest, inputs, models, score, storage, versions
from drugscan.aggregate import BucketSummary, Work
from drugscan.ingest import Destination, RangeSummary
from drugscan.ledger import balanced
from drugscan.schema import Range
from drugscan.score import ShardSummary
from drugscan.settings import Settings
from drugscan.versions import SliceSummary

MEAN_MESSAGE_BYTES: Final = 600
"""Only to choose a number of buckets before anything is read."""


class FilePlan(msgspec.Struct, frozen=True):
    """The ranges of one input file, or why there are none."""

    source: str
    bytes: int
    ranges: list[Range] = []
    error: str | None = None


class Progress(Protocol):
    """Who shows people how far a stage has come."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """A stage begins; `total` units of work, null when unknown."""

    def advance(self, done: int, messages: int) -> None:
        """So many more units and messages (or texts) are done."""

    def finish(self) -> None:
        """The stage is over."""


class Runner(Protocol):
    """Where the work is done. Results come in any order, as they are ready."""

    def plan(self, sources: Sequence[str], settings: Settings) -> Iterator[FilePlan]:
        """One plan per file."""

    def ingest(self, ranges: Sequence[Range], to: Destination) -> Iterator[RangeSummary]:
        """At least one summary per range; a range that kills its worker has none."""

    def score(self, snapshot: corpus.Snapshot, choice: models.Choice, shard_texts: int) -> Iterator[ShardSummary]:
        """One summary per shard of pending texts over all buckets; raises `ModelError` when it cannot be used."""

    def find_losers(self, work: Work, slices: int) -> Iterator[SliceSummary]:
        """One summary per slice of the keys; none for a slice that kills its worker."""

    def aggregate(self, work: Work) -> Iterator[BucketSummary]:
        """One summary per bucket, after `find_losers`; none for a bucket that kills its worker."""


class InProcess:
    """Everything in this process, one thing after the other."""

    def plan(self, sources: Sequence[str], settings: Settings) -> Iterator[FilePlan]:
        """See `Runner`."""
        return (plan_file(source, settings) for source in sources)

    def ingest(self, ranges: Sequence[Range], to: Destination) -> Iterator[RangeSummary]:
        """See `Runner`."""
        for range_ in ranges:
            yield from ingest.ingest_range(range_, to)

    def score(self, snapshot: corpus.Snapshot, choice: models.Choice, shard_texts: int) -> Iterator[ShardSummary]:
        """See `Runner`."""
        return score.score_buckets(snapshot, range(snapshot.buckets), models.ready(choice), shard_texts)

    def find_losers(self, work: Work, slices: int) -> Iterator[SliceSummary]:
        """See `Runner`."""
        return (aggregate.find_losers(work, part) for part in range(slices))

    def aggregate(self, work: Work) -> Iterator[BucketSummary]:
        """See `Runner`."""
        return (aggregate.count_bucket(work, number) for number in range(work.snapshot.buckets))


@dataclass
class Outcome:
    """What a stage did, for people and for the exit code."""

    done: int = 0
    """Ranges or shards of this run."""
    skipped: int = 0
    """Ranges that were in the corpus already."""
    messages: int = 0
    """Messages read, or texts scored."""
    failures: list[str] = field(default_factory=list)
    """What failed, each with its reason; not empty makes the exit code 1."""
    work: Counter[str] = field(default_factory=Counter)
    """Of scoring: `tokens` and `padding` that went through a model, `truncated` texts; see `ShardSummary`."""
    seconds: Counter[str] = field(default_factory=Counter)
    """Worker seconds by phase of scoring (`score.PHASES`), all workers together."""
    elapsed_seconds: float = 0.0
    """On the clock, of scoring."""


def plan_file(source: str, settings: Settings) -> FilePlan:
    """The ranges of one file; a file of no known format or that cannot be read is an error in the plan."""
    try:
        size = storage.size(source)
        return FilePlan(source, size, list(formats.plan(source, settings)))
    except (ValueError, OSError) as error:
        return FilePlan(source, 0, error=str(error))


def open_or_make(url: str, settings: Settings, key_check: str, sources: Sequence[str]) -> corpus.CorpusInfo:
    """The corpus, made if it is new. Raises `CorpusError` when it was made with other settings or another key."""
    messages = sum(inputs.size_of(source) for source in sources) // MEAN_MESSAGE_BYTES
    wanted = corpus.CorpusInfo(
        buckets=corpus.bucket_count(messages),
        timezone=settings.timezone,
        include_private=settings.include_private,
        key_check=key_check,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    info = corpus.make_corpus(url, wanted)
    for name in ("timezone", "include_private"):
        if getattr(info, name) != getattr(wanted, name):
            raise corpus.CorpusError(
                f"{url} was made with {name} = {getattr(info, name)}; give the same, or scan into a new corpus"
            )
    if info.key_check != key_check:
        raise corpus.CorpusError(
            f"{url} was made with another pseudonym key: the same seller would get two names; "
            "give its key with --key-file"
        )
    return info


def run_ingest(given: Sequence[str], to: Destination, runner: Runner, progress: Progress) -> Outcome:
    """Read every range that is not in the corpus yet."""
    outcome = Outcome()
    sources, missing = inputs.find_sources(given)
    # the corpus may lie in an input
    sources = [source for source in sources if not storage.lies_in(source, to.corpus_url)]
    outcome.failures += [f"{name}: {inputs.why_nothing(name)}" for name in missing]
    ranges = _new_ranges(sources, to, runner, progress, outcome)
    progress.start("ingest", sum(_weight(range_) for range_ in ranges), "bytes")
    seen: set[str] = set()
    for summary in runner.ingest(ranges, to) if ranges else ():
        if summary.error:
            outcome.failures.append(f"{summary.source}: {summary.error}")
        if summary.counts:
            seen.add(summary.counts.digest)
            outcome.messages += summary.counts.read
            progress.advance(summary.counts.end - summary.counts.start, summary.counts.read)
    lost = [range_ for range_ in ranges if _digest(range_) not in seen]
    told = {failure.split(": ")[0] for failure in outcome.failures}
    outcome.failures += [
        f"{range_.source}: bytes {range_.start} to {range_.end or 'the end'} were not read: the worker died on them"
        for range_ in lost
        if range_.source not in told
    ]
    outcome.done = len(ranges) - len(lost)
    progress.finish()
    return outcome


def _new_ranges(
    sources: Sequence[str], to: Destination, runner: Runner, progress: Progress, outcome: Outcome
) -> list[Range]:
    """Ranges of these files that are not in the corpus, each once; failures and known ranges go to the outcome."""
    finished = ingest.finished(corpus.snapshot(to.corpus_url))
    progress.start("plan", len(sources), "files")
    new: dict[str, Range] = {}
    for plan in runner.plan(sources, to.settings) if sources else ():
        progress.advance(1, 0)
        if plan.error:
            outcome.failures.append(plan.error if plan.source in plan.error else f"{plan.source}: {plan.error}")
        new.update({_digest(range_): range_ for range_ in plan.ranges})
    progress.finish()
    known = finished & new.keys()
    outcome.skipped = len(known)
    return [range_ for digest, range_ in new.items() if digest not in known]


def _digest(range_: Range) -> str:
    return ingest.range_digest(range_, range_.start, range_.end)


def _weight(range_: Range) -> int:
    """Bytes of the range, as far as they are known beforehand."""
    return (range_.end or storage.size(str(range_.context["url"]))) - range_.start


def settled(url: str, choice: models.Choice) -> models.Choice:
    """The choice as every worker must take it: in the precision in which the corpus has been scored with this model."""
    return models.settled(choice, corpus.scored_models(url))


def run_score(url: str, choice: models.Choice, shard_texts: int, runner: Runner, progress: Progress) -> Outcome:
    """Score every text of the corpus that this model has not scored."""
    outcome, started = Outcome(), time.perf_counter()
    snapshot = corpus.snapshot(url)
    progress.start("score", None, "texts")
    for summary in runner.score(snapshot, settled(url, choice), shard_texts):
        outcome.done += 1
        outcome.seconds.update(summary.seconds)
        outcome.work.update(tokens=summary.tokens, padding=summary.padding, truncated=summary.truncated)
        if summary.error:
            of = f"{summary.texts} texts of " if summary.texts else ""
            outcome.failures.append(f"{of}bucket {summary.bucket}: {summary.error}")
        else:
            outcome.messages += summary.texts
        progress.advance(summary.texts, summary.texts)
    progress.finish()
    outcome.elapsed_seconds = time.perf_counter() - started
    return outcome


@dataclass(frozen=True)
class Tables:
    """The tables and the ledger of one run of `stats`."""

    tables: dict[str, pl.DataFrame]
    ledger: dict[str, int]


def run_stats(work: Work, runner: Runner, progress: Progress) -> Tables:
    """Compute every table over a snapshot of the corpus; the listings stay in `work.into`, one file per bucket.

    Raises `CorpusError` when a part of it could not be counted: tables without it would be wrong.
    """
    snapshot, slices = work.snapshot, versions.slice_count(work.snapshot)
    counts = Counter(snapshot.ledger())
    progress.start("stats", slices + snapshot.buckets, "buckets")
    found = set()
    for part in runner.find_losers(work, slices):
        found.add(_counted("slice", part.slice, part.error))
        counts.update(superseded=part.superseded, duplicates=part.duplicates, not_dedupable=part.not_dedupable)
        progress.advance(1, 0)
    _all_counted("slices", found, slices)
    found = set()
    for bucket in runner.aggregate(work):
        found.add(_counted("bucket", bucket.bucket, bucket.error))
        counts.update(bucket.counts)
        progress.advance(1, bucket.counts["current"])
    _all_counted("buckets", found, snapshot.buckets)
    progress.finish()
    tables = aggregate.tables(work)
    aggregate.tidy(work)
    return Tables(tables, balanced(counts))


def _counted(unit: str, number: int, error: str | None) -> int:
    """The number, of a unit of work that went well."""
    if error:
        raise corpus.CorpusError(f"{unit} {number} of the corpus could not be counted: {error}")
    return number


def _all_counted(units: str, found: set[int], expected: int) -> None:
    if lost := sorted(set(range(expected)) - found):
        raise corpus.CorpusError(
            f"{units} {', '.join(map(str, lost[:10]))} could not be counted: the worker died on them each time; "
            "give each worker more memory (fewer --workers), and run the same command again"
        )


def status(url: str, model_id: str) -> dict[str, object]:
    """What there is in a corpus, and how many texts this model has not scored."""
    snapshot = corpus.snapshot(url)
    ledger, ranges, current = snapshot.ledger(), snapshot.ranges(), corpus.manifest(url)
    texts = pending = 0
    for bucket in range(snapshot.buckets):
        ids = pl.DataFrame(corpus.read_bucket(snapshot, bucket, ["text_id"])).drop_nulls().unique()
        texts += ids.height
        pending += ids.join(score.scored_ids(snapshot, bucket, model_id), on="text_id", how="anti").height
    return {
        "ranges": len(ranges),
        "sources": len({counts.source for counts in ranges}),
        "kept": ledger["kept"],
        "rejects": ledger["rejects"],
        "texts": texts,
        "scored": texts - pending,
        "pending": pending,
        "model": model_id,
        "files": len(storage.list_files(url)),
        "report": current.report if current else None,
    }
