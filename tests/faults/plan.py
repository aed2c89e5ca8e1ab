"""What goes wrong, where and how often: written down by a test, carried out inside the processes of a scan.

Nothing of this is in drugscan: `plug/sitecustomize.py` wraps four functions of it in the command and in Ray's workers.
Each call is an event, noted in a log of all processes, so that work which was done twice can be counted.
"""

import functools
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

At = Literal["range", "shard", "write", "written", "read"]
"""Before a range is read; before a shard goes through the model; before and after a file of the corpus is written;
before a file of the corpus is opened."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong at the events that match."""

    at: At
    match: str = ""
    """Regular expression that is found in what the event is about: a URL, or the name of a range or shard."""
    after: int = 0
    """So many events that match pass by first."""
    times: int = 1
    """How often it happens, in all processes and runs together."""
    do: Literal["kill", "pause"] = "kill"
    """SIGKILL to the process itself; or wait until the test makes the file `go`."""


class Plan(msgspec.Struct, frozen=True):
    """All faults of a test, and the sizes that make a small corpus a long run."""

    faults: list[Fault] = []
    range_bytes: int = 128 * 1024
    shard_texts: int = 40


class Book:
    """The folder in which the processes of a test note what they do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "events"

    def write_plan(self, plan: Plan) -> None:
        """Make the folder, or change the plan of the next run; the log stays."""
        self.folder.mkdir(exist_ok=True)
        for mark in (*self.folder.glob("fault-*"), *self.folder.glob("passed-*")):
            mark.unlink()
        (self.folder / "plan.json").write_bytes(msgspec.json.encode(plan))

    def read_plan(self) -> Plan:
        return msgspec.json.decode((self.folder / "plan.json").read_bytes(), type=Plan)

    def note(self, at: str, what: str) -> None:
        """One line; short enough to be appended whole by many processes at once."""
        with open(self._log, "ab", buffering=0) as log:
            log.write(f"{os.getpid()} {at} {what}\n".encode())

    def events(self, at: str) -> list[str]:
        """What the events of a kind were about, oldest first."""
        lines = (line.split(" ", 2) for line in self._log.read_text().splitlines()) if self._log.exists() else ()
        return [what for _, kind, what in lines if kind == at]

    def again(self, at: str) -> int:
        """Events of a kind that happened before to the same range or shard."""
        return sum(count - 1 for count in Counter(self.events(at)).values())

    def take(self, name: str, limit: int) -> bool:
        """Whether this process is one of the first `limit` to come here; decided by who creates a file."""
        for number in range(limit):
            try:
                (self.folder / f"{name}-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False

    def release(self) -> None:
        """Let go on who pauses."""
        (self.folder / "go").touch()

    def happened(self, number: int = 0) -> int:
        """How often a fault of the present plan happened."""
        return len(list(self.folder.glob(f"fault-{number}-*")))


class _Hooks:
    """The faults of a plan, at work in one process."""

    def __init__(self, book: Book) -> None:
        self._book, self._faults = book, book.read_plan().faults

    def event(self, at: At, what: str) -> None:
        if at != "read":
            self._book.note(at, what)
        for number, fault in enumerate(self._faults):
            if fault.at != at or not re.search(fault.match, what):
                continue
            if self._book.take(f"passed-{number}", fault.after) or not self._book.take(f"fault-{number}", fault.times):
                continue
            if fault.do == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            while not (self._book.folder / "go").exists():
                time.sleep(0.02)


def install(folder: str) -> None:
    """Wrap the functions of drugscan in this process, and set the sizes of ranges and shards."""
    from drugscan import ingest, score, settings, storage

    book = Book(Path(folder))
    hooks, plan = _Hooks(book), book.read_plan()
    settings.SHARD_TEXTS = plan.shard_texts  # type: ignore[misc]
    settings.Settings = functools.partial(settings.Settings, range_bytes=plan.range_bytes)  # type: ignore[misc, assignment]

    def before(owner: Any, name: str, at: At, describe: Callable[..., str], then: At | None = None) -> None:  # noqa: ANN401
        wrapped = getattr(owner, name)

        @functools.wraps(wrapped)
        def hooked(*args: Any) -> Any:  # noqa: ANN401
            hooks.event(at, describe(*args))
            result = wrapped(*args)
            if then:
                hooks.event(then, describe(*args))
            return result

        setattr(owner, name, hooked)

    before(ingest, "ingest_range", "range", lambda range_, to: f"{range_.source}:{range_.start}")
    before(score, "forward", "shard", lambda shard, model: shard.name[2])
    before(storage, "write_bytes", "write", lambda url, data: url, then="written")
    before(storage, "open_binary", "read", lambda url: url)
