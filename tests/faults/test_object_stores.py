"""A corpus and its exports in an object store that dies, or answers with errors, or slowly."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drugscan import storage
from tests import object_store
from tests.conftest import Reach
from tests.faults.trial import Trial
from tests.object_store import FaultProxy, ObjectStore


@pytest.fixture
def own_store(tmp_path: Path, reach: Reach) -> Iterator[ObjectStore]:
    """A store that a test may kill."""
    store = ObjectStore(tmp_path / "own")
    store.start()
    reach(store.environment())
    yield store
    store.kill()


def _remote(trial: Trial, bucket: str) -> Trial:
    """The same trial with exports and corpus in a bucket; `settle` compares with the run on a disk."""
    for file in Path(trial.demo.exports).rglob("*.json"):
        name = file.relative_to(trial.demo.exports)
        storage.write_bytes(storage.join(bucket, "exports", *name.parts), file.read_bytes())
    trial.url, trial.exports = storage.join(bucket, "corpus"), storage.join(bucket, "exports")
    return trial


def test_a_store_killed_and_started_again(trial: Trial, own_store: ObjectStore) -> None:
    """While ranges are read and while shards are written; what failed meanwhile is done by the next run."""
    trial = _remote(trial, own_store.make_bucket(f"killed-{secrets.token_hex(3)}"))
    run = trial.start_scan()
    for at in ("range", "shard"):
        assert run.until(lambda at=at: len(trial.book.events(at)) >= 8), run.err  # type: ignore[misc]
        own_store.kill()
        time.sleep(3)
        own_store.start()
    assert run.end().code in (0, 1)
    assert "Traceback" not in run.err
    ended = trial.scan() if run.code else run
    assert ended.code == 0, ended.err
    trial.settle("S3 server killed and started again", f"SIGKILL in ingest and in score, 3 s away; exit {run.code}")


def test_a_store_that_is_gone_and_comes_back(trial: Trial, own_store: ObjectStore) -> None:
    """With two attempts per request: with the ten that there are otherwise, each range takes a minute to fail."""
    trial.environment["AWS_MAX_ATTEMPTS"] = "2"
    trial = _remote(trial, own_store.make_bucket(f"gone-{secrets.token_hex(3)}"))
    run = trial.start_scan()
    assert run.until(lambda: len(trial.book.events("range")) >= 8), run.err
    own_store.kill()
    run.end()
    assert run.code == 1
    assert "Traceback" not in run.err
    assert trial.url in run.err
    own_store.start()
    run = trial.scan()
    assert run.code == 0, run.err
    trial.settle("S3 server gone for good, back for the next run", "SIGKILL in ingest; exit 1 in plain words")


def test_a_store_that_fails_is_slow_and_throttles(trial: Trial, bucket: str, proxy: FaultProxy) -> None:
    """One answer in a while is wrong, of every kind; tries again by itself, so nothing of it reaches the user."""
    trial = _remote(trial, bucket)
    for status, code in ((500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable")):
        proxy.add(object_store.Fault(r"PUT .*/(messages|scores|keys)/", times=4, status=status, code=code))
        proxy.add(object_store.Fault(r"GET .*/(messages|exports)/", times=4, status=status, code=code))
    proxy.add(object_store.Fault(r"PUT ", times=40, delay_seconds=0.5))
    proxy.add(object_store.Fault(r"PUT .*/scores/", times=2, cut_after=0))
    run = trial.scan()
    first = run.code
    ended = trial.scan() if run.code else run
    assert ended.code == 0, ended.err
    bad = sum(fault.seen for fault in proxy.faults)
    trial.settle("S3 answers 500, 503, slowly, or hangs up", f"{bad} such answers; exit {first}")


def test_a_store_that_refuses_every_write_for_a_run(trial: Trial, bucket: str, proxy: FaultProxy) -> None:
    trial.environment["AWS_MAX_ATTEMPTS"] = "2"
    trial = _remote(trial, bucket)
    wrong = proxy.add(object_store.Fault(r"PUT .*/scores/", times=-1, status=503, code="SlowDown"))
    run = trial.scan()
    assert run.code == 1, run.err
    assert "Traceback" not in run.err
    assert "texts of bucket" in run.err
    proxy.faults.remove(wrong)
    run = trial.scan()
    assert run.code == 0, run.err
    trial.settle("S3 throttles every write of a stage", "503 SlowDown to all scores; named, exit 1; then done")
