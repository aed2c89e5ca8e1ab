"""A corpus of its own, the runs over it, and the count of what a fault did to it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from drugscan import corpus, publish, storage, versions
from tests import conftest
from tests.faults.plan import Book, Fault, Plan

PLUG: Final = Path(__file__).parent / "plug"
RUN_SECONDS: Final = 600
"""No run over the small demo takes so long, also on a busy machine: who is at it still hangs."""
_KEY: Final = ["peer_kind", "chat_id", "message_id"]


@dataclass(frozen=True)
class Results:
    """What a user has from a scan: the tables that the manifest names, and the ledger."""

    tables: dict[str, pl.DataFrame]
    ledger: dict[str, int]

    def differing(self, other: "Results") -> list[str]:
        """Names of what is not the same, value for value."""
        names = sorted(self.tables.keys() | other.tables.keys())
        wrong = [name for name in names if not _same(self.tables.get(name), other.tables.get(name))]
        return wrong + ["ledger"] * (self.ledger != other.ledger)


def _same(one: pl.DataFrame | None, other: pl.DataFrame | None) -> bool:
    return one is not None and other is not None and one.equals(other)


def results(url: str) -> Results:
    current = corpus.manifest(url)
    assert current is not None, f"{url} has no results"
    tables, facts = publish.read_run(current)
    listed = [corpus.read_table(file) for file in storage.list_files(storage.join(current.tables, "listings"))]
    ads = pl.concat([pl.DataFrame(table) for table in listed]).drop("source").sort(*_KEY)
    ledger: Any = facts["ledger"]
    return Results({**tables, "listings": ads}, ledger)


@dataclass(frozen=True)
class Undisturbed:
    """The run that everything is compared with."""

    results: Results
    seconds: float
    shards: list[str]
    """Names of the shards, in the order in which they were scored."""


class Run:
    """A command of drugscan in a process of its own, with what it says as it says it."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._started = time.monotonic()
        self.seconds = 0.0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "drugscan.cli", *arguments],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            threading.Thread(target=self._listen, args=("out", self._process.stdout)),
            threading.Thread(target=self._listen, args=("err", self._process.stderr)),
        ]
        for reader in self._readers:
            reader.start()

    def _listen(self, name: str, stream: Any) -> None:  # noqa: ANN401
        self._said[name].extend(iter(stream.readline, ""))
        stream.close()

    @property
    def out(self) -> str:
        return "".join(self._said["out"])

    @property
    def err(self) -> str:
        return "".join(self._said["err"])

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for something; False when the run ended before."""
        begun = time.monotonic()
        while not reached():
            if self.code is not None:
                return False
            assert time.monotonic() - begun < RUN_SECONDS, self.err
            time.sleep(0.02)
        return True

    def wait(self, seconds: float) -> None:
        """Until so much time is over, or the run."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def send(self, number: signal.Signals) -> None:
        """A signal to the command alone, as if by an operator or the kernel."""
        if self.code is None:
            os.kill(self._process.pid, number)

    def kill(self, with_descendants: bool = False) -> bool:
        """SIGKILL to the command; or to it and all that descends from it, as when the machine dies. False: too late."""
        alive = self.code is None
        self.send(signal.SIGSTOP if with_descendants else signal.SIGKILL)
        for process in _descendants(self._process.pid) if with_descendants and alive else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.send(signal.SIGKILL)
        return alive

    def end(self) -> "Run":
        """Wait for the end. A run that hangs is killed, and fails the test."""
        try:
            self._process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self.seconds = time.monotonic() - self._started
            for reader in self._readers:
                reader.join(30)
        return self


def _descendants(process: int) -> list[int]:
    """Processes that this one has started, and those that they have; Ray's are all among them."""
    children = Path(f"/proc/{process}/task").glob("*/children")
    direct = [int(child) for file in children for child in file.read_text().split()]
    return [*direct, *(each for child in direct for each in _descendants(child))]


@dataclass
class Row:
    """A line of the table in docs/reliability.md."""

    fault: str
    done: str
    runs: int
    undisturbed_seconds: float
    seconds: float
    ranges_again: int
    shards_again: int
    lost: int
    doubled: int


@dataclass
class Trial:
    """One corpus, one plan of faults, any number of runs."""

    demo: conftest.Demo
    folder: Path
    undisturbed: Undisturbed | None = None
    rows: list[Row] = field(default_factory=list)
    url: str = ""
    exports: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = self.url or str(self.folder / "corpus")
        self.exports = self.exports or self.demo.exports
        self.book = Book(self.folder / "book")
        self.plan()

    def plan(self, *faults: Fault) -> None:
        """What goes wrong in the runs from now on."""
        self.book.write_plan(Plan(list(faults)))

    def whole_environment(self) -> dict[str, str]:
        """Environment variables of processes that are to follow the plan."""
        path = os.pathsep.join([str(conftest.REPOSITORY), str(PLUG)])
        return {**os.environ, "PYTHONPATH": path, "DRUGSCAN_FAULTS": str(self.book.folder), **self.environment}

    def start(self, *arguments: str) -> Run:
        """Begin a command of drugscan."""
        self.runs.append(Run(list(arguments), self.whole_environment()))
        return self.runs[-1]

    def start_scan(self, *more: str, workers: int = 2) -> Run:
        """Begin the scan of the demo that every test does."""
        given = ["scan", self.exports, "--corpus", self.url, "--model", "fast", "--json"]
        return self.start(*given, "--workers", str(workers), *more)

    def scan(self, *more: str, workers: int = 2) -> Run:
        """The scan, to its end."""
        return self.start_scan(*more, workers=workers).end()

    def failures(self) -> list[str]:
        """What the last run says that it failed to do."""
        told: list[str] = json.loads(self.runs[-1].out.splitlines()[-1])["failures"]
        return told

    def settle(self, fault: str, done: str) -> Row:
        """See `settle`, of this corpus alone."""
        return settle([self], fault, done)

    def sibling(self, name: str) -> "Trial":
        """Another corpus in the same test."""
        folder = self.folder / name
        folder.mkdir()
        return Trial(self.demo, folder, self.undisturbed, self.rows, environment=self.environment)

    def lost_and_doubled(self) -> tuple[int, int]:
        """Messages of the truth that are not in the corpus or have another text, and messages that count twice."""
        found = corpus.snapshot(self.url)
        slices = [versions.find_losers(found, part)[0] for part in range(versions.slice_count(found))]
        lost = pl.concat([pl.DataFrame(losers) for losers in slices])
        rows = [pl.DataFrame(corpus.read_table(file.url)) for file in found.messages]
        current = pl.concat(rows).join(lost, on=["range_id", "source_offset"], how="anti")
        current = current.with_columns(pl.col("peer_kind").cast(pl.String)).select(*_KEY, "text_id")
        missing = self.demo.messages.join(current, on=[*_KEY, "text_id"], how="anti", nulls_equal=True)
        return missing.height, current.height - current.unique(_KEY).height

    def temporary_files(self) -> list[Path]:
        """Half-written files that killed processes left in a local corpus."""
        return list(Path(self.url).rglob(f"{storage.TEMPORARY}*"))


def settle(trials: list[Trial], fault: str, done: str) -> Row:
    """Check that each corpus is what it would have been without the fault, and put that into the table."""
    lost = doubled = 0
    for trial in trials:
        assert trial.undisturbed is not None
        missing, twice = trial.lost_and_doubled()
        lost, doubled = lost + missing, doubled + twice
        assert results(trial.url).differing(trial.undisturbed.results) == []
    assert (lost, doubled) == (0, 0)
    ranges, shards = (sum(trial.book.again(at) for trial in trials) for at in ("range", "shard"))
    runs = [run.seconds for trial in trials for run in trial.runs]
    undisturbed = sum(trial.undisturbed.seconds for trial in trials if trial.undisturbed)
    row = Row(fault, done, len(runs), undisturbed, sum(runs), ranges, shards, lost, doubled)
    trials[0].rows.append(row)
    return row
