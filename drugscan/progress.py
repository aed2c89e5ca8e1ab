"""How far a stage has come: one bar on a terminal, a line every half minute elsewhere; always on stderr."""

import sys
import time
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS: Final = 30.0


class Bar:
    """A bar for people who look on; see `stages.Progress`."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:>7}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None
        self._messages = 0
        self._unit = ""
        self._started = 0.0

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Show a new bar."""
        self._messages, self._unit, self._started = 0, _unit(unit), time.monotonic()
        self._progress.start()
        self._task = self._progress.add_task(stage, total=total, speed="")

    def advance(self, done: int, messages: int) -> None:
        """Move it."""
        self._messages += messages
        if self._task is not None:
            self._progress.update(self._task, advance=done, speed=_speed(self._messages, self._started, self._unit))

    def finish(self) -> None:
        """Leave the full bar standing."""
        if self._task is not None:
            done = self._progress.tasks[self._task].completed
            self._progress.update(self._task, total=done or 1, completed=done or 1)
        self._progress.stop()
        self._task = None


class Lines:
    """A line when a stage begins, one when it ends, and one every half minute between, for logs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._stage, self._unit, self._total = "", "", 0
        self._done = self._messages = 0
        self._started = self._said = 0.0

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Begin to count."""
        self._stage, self._unit, self._total = stage, _unit(unit), total or 0
        self._done = self._messages = 0
        self._started = self._said = time.monotonic()
        self._write(f"{stage} ...")

    def advance(self, done: int, messages: int) -> None:
        """Count, and say so if half a minute has passed."""
        self._done += done
        self._messages += messages
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            self._say(f"{self._done / self._total:.0%}" if self._total else f"{self._messages:,}")

    def finish(self) -> None:
        """Say how it ended."""
        self._say("done")

    def _say(self, how_far: str) -> None:
        seconds = time.monotonic() - self._started
        speed = _speed(self._messages, self._started, self._unit)
        self._write(f"{self._stage}: {how_far}, {speed} ({seconds:.0f} s)")

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class Silent:
    """No progress at all."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Say nothing."""

    def advance(self, done: int, messages: int) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


def choose(quiet: bool) -> Bar | Lines | Silent:
    """The progress that fits where stderr goes."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()


def _unit(unit: str) -> str:
    """Work is measured in bytes, people count messages."""
    return {"bytes": "messages", "buckets": "messages"}.get(unit, unit)


def _speed(messages: int, started: float, unit: str) -> str:
    seconds = max(time.monotonic() - started, 1e-9)
    return f"{messages:,} {unit}, {messages / seconds:,.0f}/s" if messages else unit
