"""What compact merges, what it leaves to readers, and what it clears away."""

import os
import shutil
import time
from pathlib import Path

import polars as pl
import pytest

from drugscan import compact, corpus, models, score, stages, storage
from drugscan.progress import Silent
from tests import conftest
from tests.fake_model import FakeModel
from tests.test_ingest import desktop, message


@pytest.fixture
def scanned(tmp_path: Path, small_demo: conftest.Demo, one_model: list[FakeModel]) -> str:
    """A corpus whose buckets have several score files each."""
    one_model.append(small_demo.oracle())
    url = str(tmp_path / "corpus")
    conftest.ingest([small_demo.exports], url)
    assert conftest.score(url, shard_texts=20).failures == []
    return url


def _scores(url: str) -> list[str]:
    return storage.list_files(f"{url}/scores")


def _rows(url: str) -> pl.DataFrame:
    """All scores, as readers find them bucket by bucket."""
    found = corpus.snapshot(url)
    parts = [score.read_scores(found, bucket, "oracle") for bucket in range(found.buckets)]
    return pl.concat(part for part in parts if part.height).unique("text_id").sort("text_id")


def _more(url: str) -> str:
    """Two more exports beside the corpus: something to compact."""
    for name in ("a", "b"):
        desktop(Path(url).parent / "more" / name / "result.json", [message(1 + len(name), f"nieuw {name}")])
    return str(Path(url).parent / "more")


def test_score_files_stay_for_those_who_read_them(scanned: str) -> None:
    before, old = _rows(scanned), _scores(scanned)
    count, after = compact.compact(scanned, lambda: None)
    assert all(storage.exists(file) for file in old)
    assert count > after
    assert _rows(scanned).equals(before)
    assert compact.compact(scanned, lambda: None) == (after, after)
    assert not any(storage.exists(file) for file in old)
    assert _rows(scanned).equals(before)
    assert len(_scores(scanned)) == corpus.snapshot(scanned).buckets


def test_a_score_file_of_several_buckets_is_not_lost_to_any(scanned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a corpus has grown its buckets are halved, and a score file then belongs to two."""
    compact.compact(scanned, lambda: None)
    before = _rows(scanned)
    monkeypatch.setattr(corpus, "bucket_count", lambda messages: 32)
    conftest.ingest([_more(scanned)], scanned)
    for _ in range(4):
        compact.compact(scanned, lambda: None)
        assert _rows(scanned).equals(before)
    assert corpus.snapshot(scanned).buckets == 32
    parts = [pl.DataFrame(corpus.read_table(file)) for file in _scores(scanned)]
    assert len(parts) == 32
    assert sum(part.height for part in parts) == before.height  # no row stands in two files


def test_what_a_killed_process_was_writing_goes_after_a_day(scanned: str) -> None:
    fresh, abandoned = (Path(scanned) / "messages" / f"{storage.TEMPORARY}{name}" for name in ("fresh", "abandoned"))
    fresh.write_bytes(b"half a f")
    abandoned.write_bytes(b"half a f")
    os.utime(abandoned, (time.time() - 2 * 86_400,) * 2)
    compact.compact(scanned, lambda: None)
    assert (fresh.exists(), abandoned.exists()) == (True, False)
    assert corpus.snapshot(scanned).ledger()["read"] == 12_000


def test_what_cannot_be_written_is_a_failure_that_is_named(
    tmp_path: Path, small_demo: conftest.Demo, one_model: list[FakeModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_model.append(small_demo.oracle())
    url = str(tmp_path / "corpus")
    conftest.ingest([small_demo.exports], url)
    write = storage.write_bytes

    def full(url: str, data: bytes) -> None:
        if "/scores/model=oracle/16-00003-" in url:
            raise storage.StorageError(f"{url}: No space left on device")
        write(url, data)

    monkeypatch.setattr(storage, "write_bytes", full)
    outcome = stages.run_score(url, models.Choice(), 1000, stages.InProcess(), Silent())
    (failure,) = outcome.failures
    assert "texts of bucket 3: " in failure
    assert failure.endswith("No space left on device")


def test_a_copy_of_a_corpus_is_compacted_by_itself(scanned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus named by a relative path, copied, and compacted in both places: neither touches the other."""
    folder = Path(scanned).parent
    monkeypatch.chdir(folder)
    compact.compact("corpus", lambda: None)
    (folder / "other").mkdir()
    shutil.copytree("corpus", "other/corpus")
    before = _rows(scanned)
    monkeypatch.chdir(folder / "other")
    stood = set(storage.list_files(scanned))
    compact.compact(f"{folder}/other/corpus", lambda: None)
    assert set(storage.list_files(scanned)) == stood
    assert _rows(f"{folder}/other/corpus").equals(before)
    left = compact.compact(f"{folder}/other/corpus", lambda: None)
    assert len(_scores(f"{folder}/other/corpus")) == corpus.snapshot(scanned).buckets, left
