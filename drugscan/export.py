"""The current results as one SQLite database: every table, the listings, and a full-text index of the ad texts."""

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

import msgspec
import polars as pl
import pyarrow.parquet as pq

from drugscan import corpus, publish, storage
from drugscan.corpus import CorpusError, Manifest
from drugscan.schema import LABELS
from drugscan.storage import StorageError

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "totals_by": ("by", "value"),
    "chats": ("peer_kind", "chat_id"),
    "completeness": ("peer_kind", "chat_id"),
    "sellers": ("seller",),
    "linked_sellers": ("linked_seller",),
    "seller_links": ("account", "kind", "handle_id"),
    "lifetimes": ("days",),
    "lifetime_summary": ("cohort", "figure"),
    "provinces": ("province",),
    "labels": ("label",),
    "combinations": ("labels",),
    "timeline": ("period", "start", "dimension", "value"),
    "hours": ("weekday", "hour"),
    "places": ("place", "province", "latitude", "longitude"),
    "drugs": ("drug",),
    "prices": ("drug", "unit"),
    "prices_by_region": ("drug", "unit", "province"),
    "prices_by_month": ("drug", "unit", "month"),
    "texts": ("text_id",),
    "families": ("family",),
    "sources": ("source_id",),
    "listings": ("listing_id",),
    "provenance": ("key",),
}
"""Primary key of each table; one that is not named here has none."""
FOREIGN_KEYS: Final = {
    "texts": ("FOREIGN KEY (family) REFERENCES families (family)",),
    "sellers": ("FOREIGN KEY (linked_seller) REFERENCES linked_sellers (linked_seller)",),
    "seller_links": (
        "FOREIGN KEY (account) REFERENCES sellers (seller)",
        "FOREIGN KEY (linked_seller) REFERENCES linked_sellers (linked_seller)",
    ),
    **dict.fromkeys(("prices", "prices_by_region", "prices_by_month"), ("FOREIGN KEY (drug) REFERENCES drugs (drug)",)),
    "listings": (
        "FOREIGN KEY (peer_kind, chat_id) REFERENCES chats (peer_kind, chat_id)",
        "FOREIGN KEY (seller) REFERENCES sellers (seller)",
        "FOREIGN KEY (text_id) REFERENCES texts (text_id)",
        "FOREIGN KEY (source_id) REFERENCES sources (source_id)",
    ),
}
_AFTERWARDS: Final = """
CREATE INDEX listings_by_text ON listings (text_id);
CREATE INDEX listings_by_seller ON listings (seller);
CREATE INDEX listings_by_chat ON listings (peer_kind, chat_id, message_id);
CREATE INDEX listings_by_time ON listings (sent_at);
CREATE INDEX texts_by_family ON texts (family);
CREATE INDEX sellers_by_linked_seller ON sellers (linked_seller);
CREATE VIEW ads AS
    SELECT listings.listing_id, sent_at, chat_title, listings.peer_kind, listings.chat_id, message_id, listings.seller,
        linked_seller, is_forward, text, texts.labels, texts.places, score, family, text_id
    FROM listings
    JOIN texts USING (text_id)
    JOIN chats USING (peer_kind, chat_id)
    LEFT JOIN sellers ON sellers.seller = listings.seller;
CREATE VIRTUAL TABLE texts_fts USING fts5 (text, content="texts", tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO texts_fts (texts_fts) VALUES ('rebuild');
ANALYZE;
"""
"""Indexes are made when all rows are in: that is faster than keeping them in order on the way. Datasette finds the
full-text index of a table by `content="texts"`, written like this."""
_LISTING: Final = {
    "listing_id": pl.Int64,
    "sent_at": pl.String,
    "peer_kind": pl.String,
    "chat_id": pl.Int64,
    "message_id": pl.Int64,
    "seller": pl.String,
    "seller_kind": pl.String,
    "is_forward": pl.Boolean,
    "text_id": pl.String,
    **dict.fromkeys(LABELS, pl.Boolean),
    "source_id": pl.Int64,
    "source_offset": pl.Int64,
}
_ROWS_AT_ONCE: Final = 65_536
_MOMENT: Final = "%Y-%m-%d %H:%M:%S"


class Exported(NamedTuple):
    """What an export holds."""

    tables: int
    listings: int
    bytes: int


def current(url: str) -> Manifest:
    """The current results of a corpus; raises `CorpusError` when there are none."""
    corpus.open_corpus(url)
    found = corpus.manifest(url)
    if found is None:
        raise CorpusError(f"{url} has no tables yet; run `drugscan stats --corpus {url}`")
    return found


@contextmanager
def new_file(path: str, replace: bool) -> Iterator[str]:
    """A temporary file beside `path` that takes its name at the end, or is gone if anything fails.

    Raises `StorageError` when `path` is there and `replace` is not given, or cannot be written.
    """
    if not storage.is_local(path):
        raise StorageError(f"{path}: an export is a file of this machine; write it here and copy it")
    if os.path.isdir(path):
        raise StorageError(f"{path} is a folder; name a file")
    if os.path.exists(path) and not replace:
        raise StorageError(f"{path} is there already; name another file, or give --replace")
    try:
        handle, temporary = tempfile.mkstemp(prefix=storage.TEMPORARY, dir=os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    try:
        yield temporary
        os.fsync(handle)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        os.close(handle)
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_sqlite(url: str, path: str, replace: bool = False) -> Exported:
    """Write the current results of the corpus `url` as a database to `path`, whole or not at all."""
    manifest = current(url)
    with new_file(path, replace) as temporary:
        try:
            with closing(sqlite3.connect(temporary)) as database:
                return _fill(database, manifest)
        except sqlite3.Error as error:
            raise StorageError(f"{path}: the database could not be written ({error})") from error


def _fill(database: sqlite3.Connection, manifest: Manifest) -> Exported:
    # nobody reads the file before it is whole, so it needs no journal
    database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
    tables, facts = publish.read_run(manifest)
    if "families" not in tables:
        raise CorpusError(f"{manifest.tables} is of an earlier version of drugscan; run `drugscan stats` again")
    provenance = {"key": pl.String, "value": pl.String}
    tables["provenance"] = pl.DataFrame(list(_flat(facts)), schema=provenance, orient="row")
    for name, table in tables.items():
        _create(database, name, table.schema)
        _insert(database, name, table)
    listings = _write_listings(database, manifest.tables, _timezone(facts))
    database.executescript(_AFTERWARDS)
    database.commit()
    (pages,), (page_bytes,) = (database.execute(f"PRAGMA {of}").fetchone() for of in ("page_count", "page_size"))
    return Exported(len(tables) + 2, listings, pages * page_bytes)


def _flat(facts: Mapping[str, object]) -> Iterator[tuple[str, str | None]]:
    """run.json as keys and values: what is nested once as `ledger.read`, what is nested deeper as JSON."""
    for key, value in facts.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for name, each in inner:
            text = each if isinstance(each, str) or each is None else msgspec.json.encode(each).decode()
            yield f"{key}.{name}".rstrip("."), text


def _timezone(facts: Mapping[str, object]) -> str:
    info = facts["corpus"]
    assert isinstance(info, dict)
    return str(info["timezone"])


def _create(database: sqlite3.Connection, name: str, columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> None:
    """An empty table with its keys."""
    key = KEYS.get(name, ())
    # one INTEGER PRIMARY KEY is SQLite's own row number and costs nothing
    defined = [
        f"{_quoted(column)} {_type(kind)}{' PRIMARY KEY' if key == (column,) else ''}"
        for column, kind in columns.items()
    ]
    if len(key) > 1:
        defined.append(f"PRIMARY KEY ({', '.join(key)})")
    defined += FOREIGN_KEYS.get(name, ())
    database.execute(f"CREATE TABLE {_quoted(name)} ({', '.join(defined)})")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _type(kind: pl.DataType | type[pl.DataType]) -> str:
    if kind.is_integer() or kind == pl.Boolean:
        return "INTEGER"
    return "REAL" if kind.is_float() else "TEXT"


def _insert(database: sqlite3.Connection, name: str, table: pl.DataFrame) -> None:
    """Add rows. Times become text that sorts and that SQLite's date functions read; single floats keep their digits."""
    readable = table.with_columns(
        pl.col(pl.Datetime).dt.strftime(_MOMENT),
        pl.col(pl.Date).cast(pl.String),
        pl.col(pl.Float32).cast(pl.String).cast(pl.Float64),
    )
    marks = ", ".join("?" * table.width)
    database.executemany(f"INSERT INTO {_quoted(name)} VALUES ({marks})", readable.iter_rows())


def _write_listings(database: sqlite3.Connection, folder: str, timezone: str) -> int:
    """Tables `listings` and `sources`, read batch by batch: memory does not grow with the corpus."""
    _create(database, "listings", _LISTING)
    sources: dict[str, int] = {}
    written = 0
    for batch in listing_batches(folder):
        for source in batch["source"].unique().sort():
            sources.setdefault(source, len(sources) + 1)
        local = pl.col("sent_at").dt.convert_time_zone(timezone).dt.strftime(_MOMENT)
        rows = batch.with_columns(
            local.alias("sent_at"),
            pl.col("text_id").bin.encode("hex"),
            source_id=pl.col("source").replace_strict(sources, return_dtype=pl.Int64),
            listing_id=pl.int_range(written + 1, written + 1 + batch.height),
        )
        _insert(database, "listings", rows.select(list(_LISTING)))
        written += batch.height
    known = pl.DataFrame(
        {"source_id": list(sources.values()), "source": list(sources)}, {"source_id": pl.Int64, "source": pl.String}
    )
    _create(database, "sources", known.schema)
    _insert(database, "sources", known)
    return written


def listing_batches(folder: str, columns: Iterable[str] | None = None) -> Iterator[pl.DataFrame]:
    """The listings below the folder of a run, some 65,000 rows at a time."""
    for file in storage.list_files(storage.join(folder, "listings")):
        with storage.open_binary(file) as opened:
            parts = pq.ParquetFile(opened).iter_batches(_ROWS_AT_ONCE, columns=list(columns) if columns else None)
            for part in parts:
                if part.num_rows:
                    yield pl.DataFrame(part).with_columns(pl.col(pl.Categorical).cast(pl.String))
