"""Small exports of every kind, what a scan of them on disk finds, and how to compare that with another scan."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from drugscan import corpus, demo, models, publish, statistics, storage
from tests import conftest

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


def make(folder: Path) -> Exports:
    """Exports of four formats below `folder`, scanned there."""
    formats = ("desktop", "telethon", "tdl", "fourcat")
    demo.generate(demo.DemoOptions(3_000, str(folder / "demo"), formats, seed=7))
    chosen = ("chat-01-1", "chat-01-2", "chat-02-2", "chat-12-1", "chat-16-1")  # the first two overlap
    files = [path for name in chosen for path in (folder / "demo" / "exports" / name).iterdir()]
    late = files[-1]
    url = str(folder / "corpus")
    conftest.ingest([str(path) for path in files if path != late], url)
    conftest.score(url, choice=FAST)
    before = tables_of(url)
    conftest.ingest([str(late)], url)
    conftest.score(url, choice=FAST)
    after = tables_of(url)
    return Exports(
        folder / "demo" / "exports", [path for path in files if path != late], late, after[0], before[0], after[1]
    )


def tables_of(url: str) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    model = models.load(FAST)
    computed = conftest.tables(url, model)  # type: ignore[arg-type]
    return statistics.masked(computed.tables), computed.ledger


def published(url: str) -> tuple[dict[str, pl.DataFrame], dict[str, object]]:
    current = corpus.manifest(url)
    assert current is not None
    return publish.read_run(current)


def same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> bool:
    assert found.keys() == expected.keys()
    return all(found[name].equals(table) for name, table in expected.items())


def upload(path: Path, exports: Exports, there: str) -> None:
    storage.write_bytes(f"{there}/{path.relative_to(exports.folder)}", path.read_bytes())
