"""The whole scan in object storage: exports there, corpus there, on real Ray; the same tables as on a disk."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from drugscan import cli, corpus, keys, storage
from tests import conftest
from tests.object_store import ObjectStore
from tests.test_ingest import desktop, message
from tests.varied import Exports, published, same, tables_of, upload


def _run(*command: str) -> Result:
    return CliRunner().invoke(cli.main, list(command), catch_exceptions=False)


@pytest.mark.timeout(600)
def test_scan_in_object_storage(bucket: str, object_store: ObjectStore, exports: Exports, tmp_path: Path) -> None:
    url, there = f"{bucket}/corpus", f"{bucket}/exports"
    for path in exports.first:
        upload(path, exports, there)
    scan = ["scan", there, "--corpus", url, "--model", "fast", "--json"]
    on_ray = subprocess.run(
        [sys.executable, "-m", "drugscan.cli", *scan, "--workers", "2"], capture_output=True, text=True, env=os.environ
    )
    assert on_ray.returncode == 0, on_ray.stderr
    assert json.loads(on_ray.stdout.splitlines()[-1])["tables"].startswith(f"{url}/tables/")
    tables, _ = published(url)
    assert same(tables, exports.first_tables)

    again = _run(*scan, "--local")
    assert again.exit_code == 0
    for said in ("nothing new to read", "every text was scored before", "nothing has changed, the tables stand"):
        assert said in again.stderr

    upload(exports.late, exports, there)
    more = _run(*scan, "--local")
    assert f"in 1 new ranges; {len(exports.first)} ranges were read before" in more.stderr
    tables, facts = published(url)
    assert same(tables, exports.all_tables)
    assert facts["ledger"] == exports.ledger

    told = json.loads(_run("status", url, "--model", "fast", "--json").stdout)
    assert (told["sources"], told["pending"]) == (len(exports.first) + 1, 0)
    assert _run("report", "--corpus", url, "--output", str(tmp_path / "page.html")).exit_code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    name = bucket.removeprefix("s3://")
    assert _run("compact", url, "--quiet").exit_code == 0
    assert same(tables_of(url)[0], exports.all_tables)
    assert object_store.uploads(name) == []
    assert [key for key in object_store.keys(name) if storage.TEMPORARY in key] == []


def test_parquet_of_another_program_in_object_storage(bucket: str) -> None:
    rows = pl.DataFrame({"body": ["te koop", "hallo", "dag"], "chat": [7, 7, 8], "at": [1_700_000_000] * 3})
    sink = io.BytesIO()
    rows.write_parquet(sink)
    storage.write_bytes(f"{bucket}/rows.parquet", sink.getvalue())
    columns = "text=body,chat_id=chat,sent_at=at"
    read = _run("ingest", f"{bucket}/rows.parquet", "--corpus", f"{bucket}/c", "--columns", columns, "--local")
    assert "read: 3 messages in 1 new ranges" in read.stderr
    assert conftest.messages(f"{bucket}/c").sort("source_offset")["text"].to_list() == rows["body"].to_list()


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
