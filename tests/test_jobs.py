"""Jobs as they are sent to a cluster: `ray job submit`, with a token, to a head that has neither code nor keys."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drugscan import storage
from tests import conftest
from tests.object_store import ObjectStore
from tests.ray_cluster import RayCluster
from tests.varied import FAST, Exports, published, same, tables_of, upload

VERSION = "0.0+job"


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    cluster = RayCluster(cpus=2)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def working_dir(tmp_path: Path) -> Path:
    """The repository as it is sent, another version of it, and things that must stay at home."""
    folder = tmp_path / "repository"
    for name in ("drugscan", "jobs"):
        shutil.copytree(conftest.REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitignore", ".rayignore"):
        shutil.copy(conftest.REPOSITORY / name, folder / name)
    (folder / "drugscan" / "__init__.py").write_text(f'__version__ = "{VERSION}"\n')
    for name in (".venv", "tests", "demo"):
        (folder / name).mkdir()
        (folder / name / "large").write_bytes(b"x")
    return folder


class Jobs:
    """Jobs on the cluster, which reach the store by what is submitted with them; the key lies in a private bucket."""

    def __init__(self, cluster: RayCluster, store: ObjectStore, working_dir: Path, bucket: str) -> None:
        self.cluster, self._folder = cluster, working_dir
        self._environment = json.dumps({"env_vars": store.environment()})
        self.key = store.make_bucket(f"{bucket.removeprefix('s3://')}-key") + "/pseudonym.key"
        storage.write_bytes(self.key, conftest.KEY.hex().encode())

    def submit(self, name: str, *entrypoint: str, wait: bool = True) -> str:
        """Submit a job; what it wrote, if it was waited for. It must succeed then."""
        given = ["--submission-id", name, "--working-dir", str(self._folder), "--runtime-env-json", self._environment]
        done = self.cluster.job("submit", *given, *([] if wait else ["--no-wait"]), "--", *entrypoint)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def jobs(ray_cluster: RayCluster, object_store: ObjectStore, working_dir: Path, bucket: str) -> Jobs:
    return Jobs(ray_cluster, object_store, working_dir, bucket)


@pytest.mark.timeout(900)
def test_scan_and_tables_as_jobs(jobs: Jobs, bucket: str, object_store: ObjectStore, exports: Exports) -> None:
    url = f"{bucket}/corpus"
    for path in [*exports.first, exports.late]:
        upload(path, exports, f"{bucket}/exports")
    scan = f"python jobs/scan.py {bucket}/exports --corpus {url} --model fast --key-file {jobs.key}"
    said = jobs.submit("scan", "sh", "-c", f"ls -A; {scan}")
    sent = said.split("Running entrypoint", 1)[1].splitlines()
    assert {"drugscan", "jobs"} <= set(sent)
    assert {".venv", "tests", "demo"}.isdisjoint(sent)
    logs = jobs.cluster.job("logs", "scan").stdout
    for line in (
        "connecting to Ray",
        "plan ...",
        "ingest ...",
        "ingest: done",
        "score ...",
        "score: done",
        "stats: done",
    ):
        assert line in said
        assert line in logs
    tables, facts = published(url)
    assert same(tables, exports.all_tables)
    assert (facts["ledger"], facts["drugscan"]) == (exports.ledger, VERSION)
    jobs.submit("tables", "python", "jobs/aggregate.py", "--corpus", url, "--model", "fast", "--since", "2000-01-01")
    tables, later = published(url)
    assert later["selection"] != facts["selection"]
    assert same(tables, exports.all_tables)
    assert object_store.uploads(bucket.removeprefix("s3://")) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_job_that_is_stopped_goes_on_when_it_is_submitted_again(
    jobs: Jobs, bucket: str, object_store: ObjectStore, small_demo: conftest.Demo, tmp_path: Path
) -> None:
    url, name = f"{bucket}/corpus", bucket.removeprefix("s3://")
    for path in Path(small_demo.exports).rglob("*.json"):
        storage.write_bytes(f"{bucket}/exports/{path.relative_to(small_demo.exports)}", path.read_bytes())
    scan = ["python", "jobs/scan.py", f"{bucket}/exports", "--corpus", url, "--model", "fast", "--key-file", jobs.key]
    for part in ("corpus/messages/", "corpus/scores/"):
        jobs.submit(f"until-{part.split('/')[1]}", *scan, wait=False)
        _until(lambda part=part: any(key.startswith(part) for key in object_store.keys(name)))  # type: ignore[misc]
        assert jobs.cluster.job("stop", f"until-{part.split('/')[1]}").returncode == 0
        assert storage.list_files(f"{url}/tables") == []
    said = jobs.submit("to-the-end", *scan)
    assert "ranges were read before" in said
    here = str(tmp_path / "corpus")
    conftest.ingest([small_demo.exports], here)
    conftest.score(here, choice=FAST)
    expected, ledger = tables_of(here)
    tables, facts = published(url)
    assert facts["ledger"] == ledger
    assert same(tables, expected)


def _until(happened: Callable[[], bool], seconds: int = 200) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)
