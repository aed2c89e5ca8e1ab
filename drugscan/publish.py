"""Results: tables as Parquet and CSV, provenance and report, written beside the old ones and then named as current."""

import importlib.metadata
import io
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import msgspec
import polars as pl

from drugscan import __version__, audit, corpus, report, storage
from drugscan.corpus import Manifest
from drugscan.listings import Selection
from drugscan.stages import Tables
from drugscan.statistics import masked

_PACKAGES: Final = ("ray", "torch", "transformers", "polars", "pyarrow", "numpy", "scipy")
_SIGN: Final = r"[=+\-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}\u{fe66}\u{fe62}\u{fe63}\u{fe6b}]"
_UNSEEN: Final = r"[\s\p{Z}\p{C}\"']*"
_FORMULA: Final = rf"^({_UNSEEN}{_SIGN}|[\t\r\n])"
_FORMULA_INSIDE: Final = rf"([;\t\r\n]{_UNSEEN})({_SIGN})"
"""A spreadsheet that separates cells by semicolons (the Dutch ones do) begins new cells and rows inside a cell."""


def new_run() -> str:
    """Name of a new set of results: its time in UTC and a few random digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def basis(snapshot: corpus.Snapshot, model_id: str, selection: Selection, keep_identities: bool) -> str:
    """Digest of everything that the tables depend on: the same basis, the same tables."""
    files = sorted(counts.digest for counts in snapshot.ranges())
    scores = sorted(
        name
        for folder in ("scores", "failed")
        for name in storage.list_files(storage.join(snapshot.url, folder, f"model={model_id}"))
    )
    wanted = repr(sorted(asdict(selection).items()))
    return storage.digest(__version__, model_id, wanted, str(keep_identities), *files, *scores)


def provenance(snapshot: corpus.Snapshot, model_id: str, selection: Selection) -> dict[str, object]:
    """Where the figures come from: version, settings, inputs with identity, packages, time."""
    info = corpus.open_corpus(snapshot.url)
    inputs: dict[str, dict[str, object]] = {}
    for counts in snapshot.ranges():
        entry = inputs.setdefault(counts.source, {"format": counts.format, "identity": counts.identity, "read": 0})
        entry["read"] = int(str(entry["read"])) + counts.read
    return {
        "drugscan": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "model": model_id,
        "selection": {key: str(value) if value is not None else None for key, value in asdict(selection).items()},
        "corpus": msgspec.to_builtins(info),
        "inputs": inputs,
        "counted": _counted(snapshot, model_id, selection),
    }


def _counted(snapshot: corpus.Snapshot, model_id: str, selection: Selection) -> dict[str, object]:
    """What an audit of these results must know: model, selection (as JSON), and a digest of them and the messages."""
    wanted = msgspec.to_builtins(selection)
    ranges = sorted(counts.digest for counts in snapshot.ranges())
    digest = storage.digest(model_id, json.dumps(wanted, sort_keys=True), *ranges)
    return {"model": model_id, "selection": wanted, "digest": digest}


def publish(url: str, run: str, results: Tables, facts: Mapping[str, object], keep_identities: bool) -> Manifest:
    """Write tables, ledger, provenance and report of a run, and make them the current ones."""
    tables = results.tables if keep_identities else masked(results.tables)
    folder = storage.join(url, "tables", run)
    for name, table in tables.items():
        corpus.write_table(storage.join(folder, f"{name}.parquet"), table.to_arrow())
        storage.write_bytes(storage.join(folder, f"{name}.csv"), as_csv(table))
    run_facts = {**facts, "ledger": results.ledger, "keep_identities": keep_identities}
    _write_facts(folder, run_facts)
    page = storage.join(url, "report", run, "report.html")
    storage.write_bytes(page, render(url, tables, run_facts).encode())
    manifest = Manifest(run=run, tables=folder, report=page, basis=str(facts["basis"]))
    storage.write_bytes(storage.join(url, "manifest.json"), msgspec.json.encode(manifest))
    return manifest


def render(url: str, tables: Mapping[str, pl.DataFrame], run_facts: Mapping[str, object]) -> str:
    """The report page of a run from its tables and its run.json, with what an audit in the corpus says of them."""
    ledger = run_facts["ledger"]
    assert isinstance(ledger, dict)
    facts = {name: value for name, value in run_facts.items() if name != "ledger"}
    return report.render(report.Report(tables, ledger, facts, audit.current(url, run_facts)))


def rewrite(url: str, current: Manifest, language: str | None, output: str | None = None) -> str:
    """Write the page of the current results again, in a language (null: as before), or to another file; its path."""
    tables, facts = read_run(current)
    if language is not None:
        facts["language"] = language
    path = output or current.report
    storage.write_bytes(path, render(url, tables, facts).encode())
    if output is None:
        _write_facts(current.tables, facts)
    return path


def _write_facts(folder: str, facts: Mapping[str, object]) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    storage.write_bytes(storage.join(folder, "run.json"), encoded)


def read_run(manifest: Manifest) -> tuple[dict[str, pl.DataFrame], dict[str, object]]:
    """Tables and run.json of the current results."""
    facts = read_facts(manifest)
    files = [file for file in storage.list_files(manifest.tables) if file.endswith(".parquet")]
    names = {file.rsplit("/", 1)[-1].removesuffix(".parquet"): file for file in files if "/listings/" not in file}
    return {name: pl.DataFrame(corpus.read_table(file)) for name, file in names.items()}, facts


def read_facts(manifest: Manifest) -> dict[str, object]:
    """run.json of the current results."""
    return msgspec.json.decode(storage.read_bytes(storage.join(manifest.tables, "run.json")), type=dict[str, object])


def as_csv(table: pl.DataFrame) -> bytes:
    """CSV that a spreadsheet cannot take for formulas: what begins like one gets a quote before it.

    That holds for a cell, and for what becomes a cell where the separator is a semicolon or tab; signs of full width
    and signs behind blanks, quotes or what cannot be seen count, too.
    """
    cells = pl.col(pl.String).str.replace_all(_FORMULA_INSIDE, "${1}'${2}").str.replace(_FORMULA, "'${1}")
    sink = io.BytesIO()
    table.with_columns(cells).write_csv(sink, datetime_format="%Y-%m-%d %H:%M:%S")
    return sink.getvalue()
