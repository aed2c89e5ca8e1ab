"""Commands that are killed, stopped, started twice or given another key."""

import random
import re
import signal
from collections import Counter
from typing import Final

import pytest

from drugscan import storage
from tests.faults.trial import Trial, settle

CORPORA: Final = 6
MOMENTS: Final = {
    "start": ("", "", 0),
    "ingest": ("range", "", 40),
    "score": ("shard", "", 35),
    "stats": ("write", r"/(losers|partials|listings)/", 150),
    "publish": ("write", r"/tables/[^/]+/[^/]+$", 20),
}
"""Stage -> the events that are counted in it (kind, what they are about), and after how many at most it is killed."""


KINDS: Final = ("driver alone", "with its Ray", "without Ray")
"""Who dies: the driver, and its workers notice; all at once, in the middle of what they write; a run with `--local`."""


def _kill(trial: Trial, stage: str, lucky: random.Random, kind_of_kill: str) -> int:
    """Begin the scan and kill it at a random moment of the stage; how many kills that were (1, unless too late)."""
    kind, about, most = MOMENTS[stage]
    before, target = _count(trial, kind, about), lucky.randint(1, most) if most else 0
    local = ["--local"] if kind_of_kill == "without Ray" else []
    run = trial.start_scan(*local, workers=lucky.choice((1, 2)))
    if not most:
        run.wait(lucky.uniform(0.5, 1 if local else 8))
    run.until(lambda: _count(trial, kind, about) - before >= target)
    killed = run.kill(with_descendants=kind_of_kill == "with its Ray")
    run.end()
    return int(killed)


def _count(trial: Trial, kind: str, about: str) -> int:
    return sum(bool(re.search(about, what)) for what in trial.book.events(kind))


def test_a_driver_killed_at_thirty_moments(trial: Trial) -> None:
    """In each corpus one kill per stage, then a run to the end; what a killed run did, the next one need not do."""
    lucky, killed = random.Random(7), Counter[str]()
    corpora = [trial.sibling(f"corpus-{number}") for number in range(CORPORA)]
    for number, one in enumerate(corpora):
        for stage in MOMENTS:
            killed[stage] += _kill(one, stage, lucky, KINDS[number % len(KINDS)])
        run = one.scan()
        assert run.code == 0, run.err
    assert killed == dict.fromkeys(MOMENTS, CORPORA)
    where = ", ".join(f"{count} in {stage}" for stage, count in killed.items())
    kinds = ", ".join(f"{killed.total() // len(KINDS)} {kind}" for kind in KINDS)
    row = settle(corpora, "command killed at random moments", f"SIGKILL, {where} ({kinds})")
    assert row.ranges_again <= 2 * CORPORA
    assert row.shards_again <= 4 * CORPORA


def test_two_scans_at_once(trial: Trial) -> None:
    runs = [trial.start_scan(workers=1), trial.start_scan(workers=1)]
    for run in runs:
        run.end()
        assert run.code == 0, run.err
    row = trial.settle("two scans started at once on one corpus", "two processes, one worker each")
    assert row.ranges_again <= len(set(trial.book.events("range")))


def test_a_job_stopped_and_submitted_with_other_workers(trial: Trial) -> None:
    """SIGTERM, as `ray job stop` and Kubernetes send it, and SIGINT, as Ctrl-C; another number of workers each time."""
    for number, kind, stage in ((2, signal.SIGTERM, "range"), (1, signal.SIGINT, "shard")):
        run = trial.start_scan(workers=number)
        assert run.until(lambda stage=stage: len(trial.book.events(stage)) >= 12)  # type: ignore[misc]
        run.send(kind)
        run.end()
        assert run.code not in (0, None)
        assert "Traceback" not in run.err
    run = trial.scan(workers=2)
    assert run.code == 0, run.err
    row = trial.settle("stopped and submitted again with other workers", "2 workers, SIGTERM; 1, Ctrl-C; 2")
    assert row.ranges_again <= 2
    assert row.shards_again <= 2


def test_another_pseudonym_key(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trial.scan().code == 0
    before = {file: storage.identity(file) for file in storage.list_files(trial.url)}
    other = trial.folder / "other.key"
    other.write_text("00" * 32)
    run = trial.scan("--key-file", str(other))
    assert run.code == 1
    assert "was made with another pseudonym key" in run.err
    assert "give its key with --key-file" in run.err
    assert "Traceback" not in run.err
    assert {file: storage.identity(file) for file in storage.list_files(trial.url)} == before
    trial.settle("scan with another pseudonym key", "refused in one line, exit 1, not a byte changed")
