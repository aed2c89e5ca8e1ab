"""The same scan on real Ray: any number of workers gives the tables of a run without Ray, whatever dies on the way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from drugscan import aggregate, cluster, corpus, formats, models, score, stages, stateless
from drugscan.ingest import Destination
from drugscan.schema import LABELS
from drugscan.settings import Settings
from tests import conftest
from tests.fake_model import FakeModel
from tests.test_huggingface import TEXTS, classifier, detector, spread
from tests.test_ingest import desktop, message

VARIED = [f"{text} {number % 40}" for number, text in enumerate(TEXTS * 12) if text]
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
    assert conftest.equal(conftest.tables(url, runner=runner), undisturbed)
    left = Path(url, "tables", "test")
    assert sorted({path.parent.name for path in left.rglob("*.*")}) == ["listings"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> models.Choice:
    folder = tmp_path_factory.mktemp("pair")
    second = classifier(folder / "c", "roberta", list(LABELS), "é")
    return models.Choice(detector=spread(detector(folder / "d"), VARIED), categoriser=second, dtype="float32")


def _texts(folder: Path) -> str:
    return desktop(folder / "r.json", [message(number, text) for number, text in enumerate(VARIED, 1)])


def _scores(url: str, model_id: str) -> pl.DataFrame:
    found = corpus.snapshot(url)
    parts = [score.read_scores(found, bucket, model_id) for bucket in range(found.buckets)]
    return pl.concat([part for part in parts if part.height]).sort("text_id")


@pytest.mark.parametrize("two_operators", [False, True])
@pytest.mark.usefixtures("ray_here")
def test_a_pair_on_ray_scores_as_it_does_without(two_operators: bool, tmp_path: Path, pair: models.Choice) -> None:
    """In one actor, and as on GPUs: reading and tokenising apart from scoring (here without a GPU)."""
    exports, model = _texts(tmp_path / "in"), models.load(pair)
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    conftest.ingest([exports], here)
    conftest.ingest([exports], there)
    alone = conftest.score(here, shard_texts=7, choice=pair)
    outcome = conftest.score(there, cluster.OnRay(2, two_operators=two_operators), shard_texts=7, choice=pair)
    assert outcome.failures == []
    assert (outcome.done, outcome.work) == (alone.done, alone.work)
    assert set(outcome.seconds) == set(score.PHASES)
    one, other = _scores(here, model.model_id), _scores(there, model.model_id)
    assert one.select("text_id", "tokens", "truncated").equals(other.select("text_id", "tokens", "truncated"))
    numbers = [each.select("drugsad", *LABELS).to_numpy() for each in (one, other)]
    assert np.array_equal(np.isnan(numbers[0]), np.isnan(numbers[1]))
    assert 0 < np.isnan(numbers[0]).sum() < numbers[0].size / 2
    assert np.nanmax(np.abs(numbers[0] - numbers[1])) < 1e-4
    tables = [conftest.tables(url, model) for url in (here, there)]  # type: ignore[arg-type]
    assert tables[0].ledger == tables[1].ledger
    assert 0 < tables[0].ledger["listings"] < tables[0].ledger["current"]
    for name, table in tables[0].tables.items():
        # a sum over tokens in another number of threads has other last bits, so the scores of texts differ there
        assert_frame_equal(table, tables[1].tables[name], abs_tol=1e-4)


@pytest.mark.usefixtures("ray_here")
def test_a_worker_without_the_device_ends_the_run_with_its_reason(tmp_path: Path, pair: models.Choice) -> None:
    url, choice = str(tmp_path / "c"), msgspec.structs.replace(pair, device="cuda")
    conftest.ingest([_texts(tmp_path / "in")], url)
    with pytest.raises(models.ModelError, match="a worker cannot use the model: no CUDA device is to be seen"):
        conftest.score(url, cluster.OnRay(1, two_operators=True), choice=choice)
    assert corpus.scored_models(url) == []


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


@pytest.mark.usefixtures("ray_here")
def test_a_bucket_that_cannot_be_counted_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    """Tables without it would be wrong."""
    url, model = str(tmp_path / "c"), FakeModel({}, "fake")
    conftest.ingest([_texts(tmp_path / "in")], url)
    damaged = Path(corpus.score_url(url, model.model_id, (16, 3, "ab")))
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no scores")
    with pytest.raises(corpus.CorpusError, match="bucket 3 of the corpus could not be counted: .*[Pp]arquet"):
        conftest.tables(url, model, cluster.OnRay(2))


@pytest.mark.usefixtures("ray_here")
def test_a_bucket_that_kills_its_worker_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die_on_three(work: aggregate.Work, row: bytes) -> list[aggregate.BucketSummary]:
        if row == b"3":
            os._exit(1)
        return [aggregate.count_bucket(work, int(row))]

    url = str(tmp_path / "c")
    conftest.ingest([_texts(tmp_path / "in")], url)
    monkeypatch.setattr(stateless, "count_bucket", die_on_three)
    with pytest.raises(corpus.CorpusError, match="buckets 3 could not be counted: the worker died on them each time"):
        conftest.tables(url, FakeModel({}, "fake"), cluster.OnRay(2))


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
