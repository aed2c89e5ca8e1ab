"""The whole scan in object storage: exports there, corpus there, on real Ray; the same tables as on a disk."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from drugscan import cli, corpus, demo, keys, models, publish, statistics, storage
from tests import conftest
from tests.object_store import ObjectStore
from tests.test_ingest import desktop, message

FAST = models.Choice("fast")


@dataclass(frozen=True)
class Exports:
    """Files of several formats, and the tables of a scan of them on disk."""

    folder: Path
    first: list[Path]
    late: Path
    """One more file, which is read later."""
    all_tables: dict[str, pl.DataFrame]
    first_tables: dict[str, pl.DataFrame]
    ledger: dict[str, int]


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    folder = tmp_path_factory.mktemp("varied")
    formats = ("desktop", "telethon", "tdl", "fourcat")
    demo.generate(demo.DemoOptions(3_000, str(folder / "demo"), formats, seed=7))
    chosen = ("chat-01-1", "chat-01-2", "chat-02-2", "chat-12-1", "chat-16-1")  # the first two overlap
    files = [path for name in chosen for path in (folder / "demo" / "exports" / name).iterdir()]
    late = files[-1]
    url = str(folder / "corpus")
    conftest.ingest([str(path) for path in files if path != late], url)
    conftest.score(url, choice=FAST)
    before = _tables(url)
    conftest.ingest([str(late)], url)
    conftest.score(url, choice=FAST)
    after = _tables(url)
    return Exports(
        folder / "demo" / "exports", [path for path in files if path != late], late, after[0], before[0], after[1]
    )


def _tables(url: str) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    model = models.load(FAST)
    computed = conftest.tables(url, model)  # type: ignore[arg-type]
    return statistics.masked(computed.tables), computed.ledger


def _published(url: str) -> tuple[dict[str, pl.DataFrame], dict[str, object]]:
    current = corpus.manifest(url)
    assert current is not None
    return publish.read_run(current)


def _same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> bool:
    assert found.keys() == expected.keys()
    return all(found[name].equals(table) for name, table in expected.items())


def _upload(path: Path, exports: Exports, there: str) -> None:
    storage.write_bytes(f"{there}/{path.relative_to(exports.folder)}", path.read_bytes())


def _run(*command: str) -> Result:
    return CliRunner().invoke(cli.main, list(command), catch_exceptions=False)


def test_scan_in_object_storage(bucket: str, object_store: ObjectStore, exports: Exports) -> None:
    url, there = f"{bucket}/corpus", f"{bucket}/exports"
    for path in exports.first:
        _upload(path, exports, there)
    scan = ["scan", there, "--corpus", url, "--model", "fast", "--json"]
    on_ray = subprocess.run(
        [sys.executable, "-m", "drugscan.cli", *scan, "--workers", "2"], capture_output=True, text=True, env=os.environ
    )
    assert on_ray.returncode == 0, on_ray.stderr
    assert json.loads(on_ray.stdout.splitlines()[-1])["tables"].startswith(f"{url}/tables/")
    tables, _ = _published(url)
    assert _same(tables, exports.first_tables)

    again = _run(*scan, "--local")
    assert again.exit_code == 0
    for said in ("nothing new to read", "every text was scored before", "nothing has changed, the tables stand"):
        assert said in again.stderr

    _upload(exports.late, exports, there)
    more = _run(*scan, "--local")
    assert f"in 1 new ranges; {len(exports.first)} ranges were read before" in more.stderr
    tables, facts = _published(url)
    assert _same(tables, exports.all_tables)
    assert facts["ledger"] == exports.ledger

    told = json.loads(_run("status", url, "--model", "fast", "--json").stdout)
    assert (told["sources"], told["pending"]) == (len(exports.first) + 1, 0)
    page = Path(_run("report", "--corpus", url, "--output", "report-of-a-test.html").stdout.strip())
    page.unlink()
    name = bucket.removeprefix("s3://")
    assert _run("compact", url, "--quiet").exit_code == 0
    assert _same(_tables(url)[0], exports.all_tables)
    assert object_store.uploads(name) == []
    assert [key for key in object_store.keys(name) if storage.TEMPORARY in key] == []


def test_the_key_may_lie_in_another_bucket(bucket: str, object_store: ObjectStore, tmp_path: Path) -> None:
    private = object_store.make_bucket(f"{bucket.removeprefix('s3://')}-private")
    storage.write_bytes(f"{private}/pseudonym.key", conftest.KEY.hex().encode() + b"\n")
    assert keys.load_or_make(f"{private}/pseudonym.key") == conftest.KEY
    with pytest.raises(keys.KeyFileError, match=r"s3://.*/none.key: no such key file"):
        keys.load_or_make(f"{private}/none.key")
    export = desktop(tmp_path / "r.json", [message(1, "hallo")])
    refused = _run("ingest", export, "--corpus", f"{bucket}/c", "--key-file", f"{bucket}/c/pseudonym.key", "--local")
    assert refused.exit_code == 1
    assert "lies inside the corpus; keep the key where readers of the corpus cannot get at it" in refused.stderr
    done = _run("ingest", export, "--corpus", f"{bucket}/c", "--key-file", f"{private}/pseudonym.key", "--local")
    assert done.exit_code == 0
    assert corpus.open_corpus(f"{bucket}/c").key_check == keys.check_value(conftest.KEY)
