"""Copies and older versions: the losers are the same rows in any number of slices, each in the file of its bucket."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drugscan import aggregate, compact, corpus, listings, stages, steps, versions
from drugscan.progress import Silent
from tests import conftest
from tests.fake_model import FakeModel
from tests.test_ingest import desktop, message


def _work(url: str) -> aggregate.Work:
    return aggregate.Work(corpus.snapshot(url), "none", listings.Selection({"drugsad": 0.5}), f"{url}/tables/t")


@pytest.fixture
def twice(tmp_path: Path) -> str:
    """Messages 1 to 40 in one export; in a later one 21 to 40 again, of which 31 to 40 were edited."""
    first = [message(number, f"tekst {number}") for number in range(1, 41)]
    edits = {"edited": "2022-01-01T00:00:00", "edited_unixtime": "1640995200"}
    again = [message(number, f"tekst {number}") for number in range(21, 31)]
    again += [message(number, f"anders {number}") | edits for number in range(31, 41)]
    exports = [desktop(tmp_path / "a" / "r.json", first), desktop(tmp_path / "b" / "r.json", again)]
    url = str(tmp_path / "c")
    assert conftest.ingest(exports, url).failures == []
    return url


@pytest.mark.parametrize("keys_per_slice", [4_000_000, 20, 7])
def test_losers_are_the_same_in_any_number_of_slices(
    twice: str, keys_per_slice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "KEYS_PER_SLICE", keys_per_slice)
    work = _work(twice)
    slices = versions.slice_count(work.snapshot)
    assert slices == -(-60 // keys_per_slice)
    found = [aggregate.find_losers(work, part) for part in range(slices)]
    assert (sum(each.superseded for each in found), sum(each.duplicates for each in found)) == (10, 10)
    files = [aggregate.losers_url(work, part) for part in range(slices)]
    lost = {number: versions.read_losers(files, number, 16) for number in range(16)}
    assert sum(each.height for each in lost.values()) == 20
    messages = conftest.messages(twice)
    for number, each in lost.items():
        rows = messages.join(each, on=["range_id", "source_offset"])
        assert rows.height == each.height
        assert set(rows["bucket"] // (corpus.FINE_BUCKETS // 16)) <= {number}
    kept = messages.join(pl.concat(lost.values()), on=["range_id", "source_offset"], how="anti")
    assert sorted(kept["message_id"]) == list(range(1, 41))
    assert set(kept.filter(pl.col("message_id") > 30)["text"]) == {f"anders {number}" for number in range(31, 41)}


def test_a_bucket_reads_only_its_rows_of_a_file_of_losers(tmp_path: Path) -> None:
    rows = 4 * (1 << 17)  # as many row groups as `corpus.write_table` makes of them: one per bucket
    table = pa.table(
        {
            "bucket": pa.array([row * 4 // rows << 13 for row in range(rows)], pa.int16()),
            "range_id": pa.array(range(rows), pa.int64()),
            "source_offset": pa.array(range(rows), pa.int64()),
        }
    )
    url = str(tmp_path / "slice.parquet")
    corpus.write_table(url, table)
    assert pq.read_metadata(url).num_row_groups == 4
    found = versions.read_losers([url], 2, 4)
    assert found["range_id"].to_list() == list(range(rows // 2, rows * 3 // 4))


def test_nothing_is_left_of_a_run_but_its_listings(twice: str) -> None:
    work = _work(twice)
    results = stages.run_stats(work, stages.InProcess(), Silent())
    assert (results.ledger["superseded"], results.ledger["duplicates"], results.ledger["current"]) == (10, 10, 40)
    files = [path for path in Path(work.into).rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {"listings"}
    assert len(files) == 16


@pytest.mark.parametrize(("keeps", "title"), [(False, "Menu ••• en •••"), (True, "Menu 0470123456 en 06/12345678")])
def test_contacts_in_the_titles_of_listings_are_covered_unless_asked(
    tmp_path: Path, keeps: bool, title: str, one_model: list[FakeModel]
) -> None:
    one_model.append(FakeModel({"coke 1g 50": ["drugsad"]}))
    export = desktop(tmp_path / "r.json", [message(1, "coke 1g 50")], name="Menu 0470123456 en 06/12345678")
    conftest.ingest([export], url := str(tmp_path / "c"))
    conftest.score(url)
    selection = listings.Selection(dict(one_model[0].thresholds))
    work = aggregate.Work(corpus.snapshot(url), one_model[0].model_id, selection, f"{url}/tables/t", keeps)
    stages.run_stats(work, stages.InProcess(), Silent())
    assert pl.read_parquet(f"{work.into}/listings/*.parquet")["chat_title"].to_list() == [title]


def test_compacted_keys_are_runs_of_bounded_size(twice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "KEYS_PER_RUN", 20)
    before = stages.run_stats(_work(twice), stages.InProcess(), Silent())
    compact.compact(twice, lambda: None)
    found = corpus.snapshot(twice)
    assert sorted(pq.read_metadata(file).num_rows for file in found.keys) == [20, 40]
    assert all(
        pq.read_table(file)["key"].to_pylist() == sorted(pq.read_table(file)["key"].to_pylist()) for file in found.keys
    )
    assert len(found.ranges()) == 2
    assert sum(len(file.footer.ranges) for file in found.messages) == 2
    after = stages.run_stats(_work(twice), stages.InProcess(), Silent())
    assert conftest.equal(after, before)


@pytest.mark.parametrize(
    ("asked", "worth", "on_ray"),
    [
        ({}, 2_000_000, False),
        ({}, 50, True),
        ({"local": True}, 50, False),
        ({"workers": 2}, 2_000_000, True),
        ({"address": "auto"}, 2_000_000, True),
    ],
)
def test_stats_starts_ray_when_asked_or_worth_it(
    twice: str, asked: dict[str, object], worth: int, on_ray: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(steps, "WORTH_RAY", worth)
    monkeypatch.setattr(steps, "runner_for", lambda rest: begun.append(not rest["local"]) or stages.InProcess())
    monkeypatch.setattr(steps, "stop", lambda rest: begun.append(not rest["local"]))
    rest = {"local": False, "workers": None, "address": None} | asked
    with steps._counting(corpus.snapshot(twice), rest):
        assert begun == [on_ray]
    assert begun == [on_ray, on_ray]
