"""Commands that are killed, stopped, started twice or given another key."""

import random
import signal
from collections import Counter
from typing import Final

import pytest

from drugscan import storage
from tests.faults.trial import Run, Trial, settle

KILLS: Final = 30
STAGES: Final = {
    "start": "starting Ray",
    "ingest": "plan: done",
    "score": "read: ",
    "stats": "worker seconds",
    "publish": "stats: done",
}
"""What the command says when a stage begins."""
_SECONDS: Final = {"start": 6.0, "ingest": 4.0, "score": 4.0, "stats": 3.0, "publish": 0.6}
"""Up to so long after that the kill comes: about as long as the stage takes."""


def _kill(run: Run, stage: str, delay: float) -> bool:
    """SIGKILL, so long after the stage began; whether the run was still there."""
    if not run.until(lambda: STAGES[stage] in run.err):
        return False
    run.wait(delay)
    alive = run.code is None
    run.send(signal.SIGKILL)
    return alive


def test_a_driver_killed_at_thirty_moments(trial: Trial) -> None:
    """In each corpus one kill per stage, then a run to the end; what a killed run did, the next one need not do."""
    lucky, killed = random.Random(7), Counter[str]()
    corpora = [trial.sibling(f"corpus-{number}") for number in range(KILLS // len(STAGES))]
    for one in corpora:
        for stage in STAGES:
            run = one.start_scan(workers=lucky.choice((1, 2)))
            killed[stage] += _kill(run, stage, lucky.uniform(0, _SECONDS[stage]))
            run.end()
        run = one.scan()
        assert run.code == 0, run.err
    kills = ", ".join(f"{count} in {stage}" for stage, count in killed.items())
    row = settle(corpora, "driver killed at random moments", f"{killed.total()} SIGKILLs: {kills}")
    assert killed.total() > KILLS * 2 / 3
    assert row.ranges_again + row.shards_again <= 4 * KILLS


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
