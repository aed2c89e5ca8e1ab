"""Exports: the database and the network hold what the tables hold, and nothing in a message changes them or a CSV."""

import csv
import io
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from click.testing import CliRunner

from drugscan import aggregate, cli, corpus, export, export_gexf, listings, models, publish, stages, storage
from drugscan.progress import Silent
from drugscan.statistics import STATISTICS
from tests import conftest

networkx = pytest.importorskip("networkx")
RUN = "20260101T000000Z-test"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, small_demo: conftest.Demo) -> str:
    """A corpus with results."""
    url, model = str(tmp_path_factory.mktemp("export") / "corpus"), small_demo.oracle()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(models, "load", lambda name="default": model)
        assert conftest.ingest([small_demo.exports], url).failures == []
        assert conftest.score(url).failures == []
    selection, snapshot = listings.Selection(dict(model.thresholds)), corpus.snapshot(url)
    work = aggregate.Work(corpus.snapshot(url), model.model_id, selection, storage.join(url, "tables", RUN))
    results = stages.run_stats(work, stages.InProcess(), Silent())
    facts = {**publish.provenance(snapshot, model.model_id, selection), "basis": "test"}
    publish.publish(url, RUN, results, facts, keep_identities=False)
    return url


@pytest.fixture(scope="module")
def database(published: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = str(tmp_path_factory.mktemp("sqlite") / "ads.db")
    export.write_sqlite(published, path)
    with closing(sqlite3.connect(path)) as opened:
        yield opened


def one(database: sqlite3.Connection, query: str, *values: object) -> object:
    return database.execute(query, values).fetchone()[0]


def table(published: str, name: str) -> pl.DataFrame:
    return pl.read_parquet(f"{published}/tables/{RUN}/{name}.parquet")


def all_listings(published: str) -> pl.DataFrame:
    return pl.read_parquet(f"{published}/tables/{RUN}/listings/*.parquet")


def test_every_table_is_in_the_database_as_it_was(published: str, database: sqlite3.Connection) -> None:
    for name in STATISTICS:
        expected = table(published, name)
        found = database.execute(f'SELECT * FROM "{name}"')
        assert [column[0] for column in found.description] == expected.columns
        rows = found.fetchall()
        assert len(rows) == expected.height, name
        for column, values in zip(expected.columns, zip(*rows, strict=True), strict=False):
            if expected[column].dtype.is_temporal():
                assert list(values) == [None if value is None else str(value)[:19] for value in expected[column]], (
                    name,
                    column,
                )
            elif expected[column].dtype.is_float():
                found_values = pl.Series(values, dtype=pl.Float64)
                assert found_values.is_null().equals(expected[column].is_null()), (name, column)
                assert found_values.drop_nulls().to_list() == pytest.approx(expected[column].drop_nulls(), rel=1e-6)
            else:
                assert list(values) == expected[column].to_list(), (name, column)


def test_listings_are_all_there_and_every_reference_leads_somewhere(
    published: str, database: sqlite3.Connection
) -> None:
    expected = all_listings(published)
    assert one(database, "SELECT count(*) FROM listings") == expected.height > 1000
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert one(database, "PRAGMA integrity_check") == "ok"
    assert one(database, "SELECT count(*) FROM ads") == expected.height
    per_text = dict(database.execute("SELECT text_id, count(*) FROM listings GROUP BY 1"))
    assert per_text == dict(table(published, "texts").select("text_id", "messages").rows())
    keys = "SELECT chat_id, message_id, source, source_offset FROM listings JOIN sources USING (source_id)"
    assert sorted(database.execute(keys)) == sorted(
        expected.select("chat_id", "message_id", pl.col("source").cast(pl.String), "source_offset").rows()
    )


def test_months_of_listings_are_those_of_the_tables(published: str, database: sqlite3.Connection) -> None:
    """So `sent_at` is on the clock of the corpus."""
    found = database.execute("SELECT substr(sent_at, 1, 7), count(*) FROM listings GROUP BY 1 ORDER BY 1").fetchall()
    months = table(published, "timeline").filter(period="month", dimension="all").sort("start")
    assert found == months.select(pl.col("start").dt.strftime("%Y-%m"), "messages").rows()
    posted = one(database, "SELECT sum(post) FROM listings")
    assert posted == table(published, "labels").filter(label="post")["messages"][0]


def test_texts_can_be_searched(published: str, database: sqlite3.Connection) -> None:
    texts = table(published, "texts")["text"]
    word = re.compile(r"(?<![^\W_])xtc(?![^\W_])", re.IGNORECASE)  # for the search `_` parts words
    bare = (re.sub(r"[\u0300-\u036f]", "", unicodedata.normalize("NFD", text)) for text in texts)  # nor by accents
    expected = sum(1 for text in bare if word.search(text))
    query = "SELECT count(*) FROM texts JOIN texts_fts ON texts.rowid = texts_fts.rowid WHERE texts_fts MATCH ?"
    assert expected > 0
    assert one(database, query, "xtc") == expected
    assert 'content="texts"' in str(one(database, "SELECT sql FROM sqlite_master WHERE name = 'texts_fts'"))


def test_the_queries_of_the_docs_find_something(database: sqlite3.Connection) -> None:
    queries = re.findall(r"```sql\n(.*?)```", (conftest.REPOSITORY / "docs" / "export.md").read_text(), re.DOTALL)
    assert len(queries) == 3
    for query in queries:
        assert database.execute(query).fetchall() != [], query


def test_keys_and_indexes_are_used(database: sqlite3.Connection) -> None:
    for name, key in export.KEYS.items():
        columns = database.execute(f'PRAGMA table_info("{name}")').fetchall()
        assert [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]] == list(key), name
    for condition in ("text_id = 'x'", "seller = 'x'", "peer_kind = 'channel' AND chat_id = 1", "sent_at < '2020'"):
        plan = database.execute(f"EXPLAIN QUERY PLAN SELECT * FROM listings WHERE {condition}").fetchall()
        assert "USING INDEX listings_by_" in plan[0][3], condition


def test_identities_stay_covered(database: sqlite3.Connection) -> None:
    assert one(database, "SELECT count(*) FROM texts WHERE text LIKE '%@demo%'") == 0
    assert one(database, "SELECT count(*) FROM families WHERE text LIKE '%@demo%'") == 0
    assert one(database, "SELECT count(handle) FROM seller_links") == 0
    columns = {row[1] for row in database.execute("PRAGMA table_info(listings)")}
    assert not columns & {"chat_title", "sender_id", "text"}


def test_provenance_is_that_of_the_run(published: str, database: sqlite3.Connection) -> None:
    facts = dict(database.execute("SELECT key, value FROM provenance"))
    assert facts["model"] == "oracle"
    assert facts["corpus.timezone"] == "Europe/Amsterdam"
    assert int(facts["ledger.listings"]) == all_listings(published).height
    assert facts["keep_identities"] == "false"


# --- the command ----------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.main, ["export", *arguments])
    return result.exit_code, result.output


def test_an_export_replaces_nothing_unless_told_and_leaves_nothing_behind(published: str, tmp_path: Path) -> None:
    file = tmp_path / "ads.db"
    file.write_text("mine")
    code, said = run(published, "--sqlite", str(file))
    assert code == 1
    assert "is there already" in said
    assert "--replace" in said
    assert file.read_text() == "mine"
    code, said = run(published, "--sqlite", str(file), "--replace")
    assert (code, said.splitlines()[-1]) == (0, str(file))
    assert file.read_bytes().startswith(b"SQLite format 3")
    assert [each.name for each in tmp_path.iterdir()] == ["ads.db"]


def test_an_export_that_fails_leaves_nothing(published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_AFTERWARDS", "no SQL")
    code, said = run(published, "--sqlite", str(tmp_path / "ads.db"))
    assert code == 1
    assert "could not be written" in said
    assert list(tmp_path.iterdir()) == []


def test_errors_say_what_to_do(published: str, tmp_path: Path) -> None:
    assert run(published)[0] == 2
    assert run(published, "--sqlite", "a", "--gexf", "b")[0] == 2
    code, said = run(published, "--gexf", str(tmp_path))
    assert code == 1
    assert "is a folder" in said
    code, said = run(published, "--gexf", str(tmp_path / "none" / "x.gexf"))
    assert code == 1
    assert "No such file" in said
    assert run(published, "--sqlite", "s3://somewhere/ads.db")[0] == 1
    assert run(str(tmp_path / "nowhere"), "--sqlite", str(tmp_path / "x.db"))[0] == 1
    empty = str(tmp_path / "empty")
    corpus.make_corpus(empty, corpus.open_corpus(published))
    code, said = run(empty, "--sqlite", str(tmp_path / "x.db"))
    assert code == 1
    assert f"drugscan stats --corpus {empty}" in said


# --- the network ----------------------------------------------------------------------------------------------


def test_the_network_is_that_of_the_listings(published: str, tmp_path: Path) -> None:
    file = str(tmp_path / "ads.gexf")
    network = export_gexf.write_gexf(published, file)
    graph = read(file)
    ads = all_listings(published)
    linked = ads.join(table(published, "sellers").select("seller", "linked_seller"), on="seller")
    expected = linked.group_by("linked_seller", "peer_kind", "chat_id").len()
    assert {frozenset(edge[:2]): edge[2] for edge in graph.edges(data="weight")} == {
        frozenset((f"seller:{seller}", f"{kind}:{chat}")): ads for seller, kind, chat, ads in expected.rows()
    }
    assert network == (ads["chat_id"].n_unique(), linked["linked_seller"].n_unique(), expected.height)
    chats = {name: node for name, node in graph.nodes(data=True) if node["kind"] == "chat"}
    assert sum(node["ads"] for node in chats.values()) == ads.height
    sellers = {name.removeprefix("seller:"): node for name, node in graph.nodes(data=True) if node["kind"] == "seller"}
    rows = table(published, "linked_sellers").select("linked_seller", "messages", "labels").rows()
    assert {name: (node["ads"], node["labels"]) for name, node in sellers.items()} == {
        name: (messages, labels) for name, messages, labels in rows
    }


def read(file: str) -> "networkx.Graph":
    """By the draft that networkx reads: the elements are the same, the namespace is not."""
    text = Path(file).read_text().replace("http://gexf.net/1.3", "http://www.gexf.net/1.2draft")
    return networkx.read_gexf(io.BytesIO(text.replace('version="1.3"', 'version="1.2"').encode()))


def test_no_title_breaks_the_network() -> None:
    title = '"><script>&amp;\x00\x0b\ufffe</node>\u202e 🔥'
    nodes = pl.DataFrame({"id": ["channel:1"], "name": [title], "ads": [1], "labels": [""]})
    edges = pl.DataFrame(schema={"source": pl.String, "target": pl.String, "ads": pl.Int64})
    document = export_gexf._document({"chat": nodes}, edges)
    written = io.BytesIO()
    document.write(written, encoding="utf-8")
    (node,) = ElementTree.fromstring(written.getvalue()).iter("{http://gexf.net/1.3}node")
    assert node.attrib["label"].startswith('"><script>&amp;\ufffd\ufffd')
    assert len(list(node.iter())) == 5


# --- CSV ------------------------------------------------------------------------------------------------------

HOSTILE = [
    "=1+1",
    "+31 6",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1)",
    "  =1",
    "\t=1",
    "\r=1",
    "\n=1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    '"=1"',
    "'=1",
    "x;=cmd|'/C calc'!A0;y",
    "x; \u200b＝1",
    'x;"=1',
    "menu\n=1\n- coke",
    "x\t@1",
]
HARMLESS = ["coke 1g = 50", "3-mmc", "a@b.nl", "€ -5", "10 + 1 gratis", "2 regels\ngewoon", "a;b", "'s avonds open", ""]


def cells(text: str, separator: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]


@pytest.mark.parametrize("cell", HOSTILE)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_is_a_formula_whatever_separates_cells(cell: str, separator: str) -> None:
    written = publish.as_csv(pl.DataFrame({"id": ["x"], "text": [cell], "n": [-1]})).decode()
    signs = "=+-@＝＋－＠"
    found = [each for each in cells(written, separator) if each != "-1"]
    assert len(found) >= 1
    for each in found:
        assert not re.sub(r"^[\s\u200b\ufeff\u00a0\"]+", "", each).startswith(tuple(signs)), each


def test_other_cells_are_as_they_were() -> None:
    written = publish.as_csv(pl.DataFrame({"text": HARMLESS, "n": [-1.5] * len(HARMLESS)})).decode()
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert [row[0] for row in rows[1:]] == HARMLESS
    assert {row[1] for row in rows[1:]} == {"-1.5"}


def test_every_csv_of_a_run_is_guarded(published: str) -> None:
    files = list(Path(published, "tables", RUN).glob("*.csv"))
    assert len(files) == len(STATISTICS)
    for file in files:
        for cell in cells(file.read_text(), ","):
            assert not cell.startswith(("=", "+", "@")), (file.name, cell)
