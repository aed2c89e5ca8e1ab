"""The same scan on real Ray: any number of workers gives the tables of a run without Ray, whatever dies on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from drugscan import cluster, corpus, formats, models, stages
from drugscan.ingest import Destination
from drugscan.settings import Settings
from tests import conftest
from tests.test_ingest import desktop, message

DRUGSCAN = [sys.executable, "-m", "drugscan.cli"]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    cluster.start(cpus=2)
    yield
    cluster.stop()


# Ray's own code raises these: they say nothing of ours
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, small_demo: conftest.Demo) -> stages.Tables:
    url = str(tmp_path_factory.mktemp("local") / "corpus")
    conftest.ingest([small_demo.exports], url)
    conftest.score(url)
    return conftest.tables(url)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("ray_here")
def test_tables_on_ray_are_those_without(
    workers: int, tmp_path: Path, small_demo: conftest.Demo, undisturbed: stages.Tables
) -> None:
    url, runner = str(tmp_path / "corpus"), cluster.OnRay(workers)
    read = conftest.ingest([small_demo.exports], url, runner)
    assert (read.failures, read.messages) == ([], small_demo.summary.rows)
    scored = conftest.score(url, runner)
    assert scored.failures == []
    assert scored.messages >= small_demo.summary.texts
    assert conftest.score(url, runner).done == 0
    assert conftest.equal(conftest.tables(url), undisturbed)


@pytest.mark.usefixtures("ray_here")
def test_a_range_that_kills_its_worker_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    """What fails in the worker itself comes back as no summary at all; nothing waits for it."""
    folder = tmp_path / "in"
    desktop(folder / "good.json", [message(1, "hallo")])
    desktop(folder / "bad.json", [message(2, "dag")])
    url, settings = str(tmp_path / "c"), Settings()
    to = Destination(url, stages.open_or_make(url, settings, "check", []).buckets, conftest.KEY, settings)
    good, bad = (next(formats.plan(str(folder / name), settings)) for name in ("good.json", "bad.json"))
    poison = msgspec.structs.replace(bad, format="no such format")  # raises in the worker, each time
    seen = [summary.counts for summary in cluster.OnRay(2).ingest([good, poison], to)]
    assert [counts.read for counts in seen if counts] == [1]
    assert len(corpus.snapshot(url).messages) == 1


def _scan(exports: str, url: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [*DRUGSCAN, "scan", exports, "--corpus", url, "--json", "--workers", "2"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_scan_as_a_user_runs_it(tmp_path: Path, small_demo: conftest.Demo, undisturbed: stages.Tables) -> None:
    """The command, in a process of its own: the last line is JSON, stdout holds results only, exit code 0."""
    url = str(tmp_path / "c")
    done = _scan(small_demo.exports, url, dict(os.environ))
    out, err = done.communicate(timeout=240)
    assert done.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    assert result["failures"] == []
    assert result["ledger"] == undisturbed.ledger
    assert Path(result["report"]).read_text().startswith("<!doctype html>")
    assert out.startswith("messages ")
    assert "Traceback" not in err
    assert "read: 12,000 messages" in err
    assert conftest.equal(conftest.tables(url), undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_driver_killed_at_any_moment_loses_nothing(
    tmp_path: Path, small_demo: conftest.Demo, undisturbed: stages.Tables
) -> None:
    url, lucky = str(tmp_path / "c"), random.Random(5)
    for _ in range(6):
        killed = _scan(small_demo.exports, url, dict(os.environ))
        time.sleep(lucky.uniform(4, 16))
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
    done = _scan(small_demo.exports, url, dict(os.environ))
    out, err = done.communicate(timeout=240)
    assert done.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["ledger"] == undisturbed.ledger
    assert conftest.equal(conftest.tables(url), undisturbed)
    assert models.load().model_id in corpus.scored_models(url)
