"""A disk that fills up, and files that are replaced while somebody reads them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drugscan import storage
from tests.faults.plan import Fault
from tests.faults.trial import Trial


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a size that `mount -o remount,size=...` changes; skipped where it may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def test_a_full_disk_in_every_stage(trial: Trial, small_disk: Path) -> None:
    """Space for a part of the messages, then for a part of the scores, then of the tables, then enough."""
    trial.url = str(small_disk / "corpus")
    for kilobytes, where in ((3000, "/(messages|keys)/"), (6050, "/scores/"), (6500, "/tables/")):
        _resize(small_disk, f"{kilobytes}k")
        run = trial.scan()
        assert run.code == 1, (kilobytes, run.err)
        assert re.search(rf"{where}\S+: the disk is full", run.err), (kilobytes, run.err)
        assert "Traceback" not in run.err
    _resize(small_disk, "64m")
    run = trial.scan()
    assert run.code == 0, run.err
    assert trial.temporary_files() == []
    trial.settle("disk full in ingest, in score and in stats", "named, exit 1; then space was made")


def test_compact_while_stats_reads(trial: Trial) -> None:
    """The reader has listed what it is about to open; then all of that is merged, and only a later run deletes it."""
    for arguments in (["ingest", trial.demo.exports], ["score", "--model", "fast"]):
        assert trial.start(*arguments, "--corpus", trial.url, "--local").end().code == 0
    trial.plan(Fault("read", r"/scores/", after=1, do="pause"))
    reader = trial.start("stats", "--corpus", trial.url, "--model", "fast")
    assert reader.until(lambda: trial.book.happened() == 1)
    old = [file for part in ("messages", "keys", "scores") for file in storage.list_files(f"{trial.url}/{part}")]
    assert trial.start("compact", trial.url).end().code == 0
    assert all(storage.exists(file) for file in old)
    trial.book.release()
    assert reader.end().code == 0, reader.err
    trial.settle("compact while stats reads", "merged what the reader had listed and not yet opened")
    assert trial.start("compact", trial.url).end().code == 0
    assert not any(storage.exists(file) for file in old)
    again = trial.start("stats", "--corpus", trial.url, "--model", "fast", "--keep-identities").end()
    assert again.code == 0, again.err
    assert trial.lost_and_doubled() == (0, 0)


def test_compact_killed_in_every_phase(trial: Trial) -> None:
    """Before a file of the new generation, before it is named, and while the old files go."""
    assert trial.scan("--local").code == 0
    for where in (r"/compacted/.*/messages/", r"compacted\.json"):
        trial.plan(Fault("write", where, after=0 if "json" in where else 5))
        assert trial.start("compact", trial.url).end().code != 0
    trial.plan()
    for _ in range(2):
        assert trial.start("compact", trial.url).end().code == 0
    assert trial.start_scan("--local", "--threshold", "0.9").end().code == 0
    assert trial.scan("--local").code == 0
    trial.settle("compact killed", "SIGKILL among its files and before their names; then twice to the end")
