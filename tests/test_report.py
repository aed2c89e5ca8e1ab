"""The page: whole, offline, and deaf to what criminals write. Looked at in a real browser where one is installed."""

import html
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from drugscan import publish, report, stages
from drugscan.audit import Agreement, Audit, Figure, Rate
from drugscan.schema import LABELS
from drugscan.statistics import masked
from tests import conftest
from tests.browser import CHROMIUM, Browser, browser
from tests.fake_model import FakeModel
from tests.test_ingest import desktop, message

HOSTILE = (
    "</script><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "{{ 7 * 7 }} {% raw %}",
    "\u202eevil\u202c <b>vet</b> ' onmouseover='x'",
    "=HYPERLINK(\"http://x\")",
    "x" * 100_000,
)  # fmt: skip
Pages = Mapping[str, tuple[Path, stages.Tables]]


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, small_demo: conftest.Demo
) -> Mapping[str, tuple[Path, stages.Tables]]:
    """Two published corpora: the demo, and one whose ads, names and chats are hostile."""
    monkeypatch = pytest.MonkeyPatch()
    found = {}
    for name in ("demo", "hostile"):
        url = str(tmp_path_factory.mktemp(name) / "corpus")
        model = small_demo.oracle()
        exports = small_demo.exports
        if name == "hostile":
            model = FakeModel({text.rstrip(): ["drugsad", "harddrugs"] for text in HOSTILE})
            texts = [message(i, text, **{"from": text[:50]}) for i, text in enumerate(HOSTILE, 1)]
            exports = desktop(Path(url).parent / "in" / "result.json", texts, name=HOSTILE[0])
        monkeypatch.setattr("drugscan.models.load", lambda name="default", model=model: model)
        conftest.ingest([exports], url)
        conftest.score(url)
        results = conftest.tables(url, model)
        done = publish.publish(url, "run", results, {"basis": "x", "drugscan": "0", "note": HOSTILE[0]}, False)
        found[name] = (Path(done.report), results)
    monkeypatch.undo()
    return found


def test_the_page_is_one_file_under_a_megabyte_that_loads_nothing(pages: Pages) -> None:
    page = pages["demo"][0].read_text(encoding="utf-8")
    assert len(page.encode()) < 1_000_000
    assert "default-src 'none'" in html.unescape(page)
    assert "unsafe" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)


def test_the_page_tells_the_figures_of_the_tables(pages: Pages) -> None:
    page, results = pages["demo"][0].read_text(encoding="utf-8"), pages["demo"][1]
    totals = results.tables["totals"].row(0, named=True)
    assert f"<h1>{totals['messages']:,} drug ads in {totals['messages_scanned']:,} messages</h1>" in page
    assert f">{results.ledger['read']:,}<" in page
    # the headline twice, eight labels and twelve provinces
    assert page.count(">not audited<") == 2 + 8 + 12


def test_every_count_of_an_audited_corpus_has_its_interval(pages: Pages) -> None:
    results = pages["demo"][1]
    labels = [f"label.{label}.messages" for label in LABELS]
    provinces = [f"province.{province}.messages" for province in results.tables["provinces"]["province"]]
    keys = ["ads.messages", "ads.texts", *labels, *provinces]
    figures = {key: Figure(7.0, 70_001.0 + n, 60_001.0 + n, 80_001.0 + n) for n, key in enumerate(keys)}
    found = Audit(
        name="first", basis="x", date="2026-11-25", model="m", drawn=400, labelled=390, disputed=2,
        labellers=["a", "b"], figures=figures, rates={"ads.messages.precision": Rate(0.9, 0.8, 0.95)},
        rogan_gladen={}, agreement={"drugsad": Agreement(0.8, 0.7, 0.9, 100)},
    )  # fmt: skip
    page = report.render(report.Report(masked(results.tables), results.ledger, {"language": "nl"}, found))
    assert "niet gecontroleerd" not in page.lower()
    for n in range(2):
        assert f"na controle {70_001 + n:,} ({60_001 + n:,}–{80_001 + n:,})".replace(",", ".") in page
    for n in range(2, len(keys)):
        assert f"{60_001 + n:,}–{80_001 + n:,}</span></td>".replace(",", ".") in page
    assert "90,0%" in page
    assert "70,0%–90,0%" in page


def test_results_of_an_earlier_version_lack_tables(pages: Pages) -> None:
    results = pages["demo"][1]
    kept = ("totals", "chats", "sellers", "provinces", "places", "labels", "combinations", "texts")
    months = _months(results.tables).select("messages", "texts", "sellers", "complete", month="start")
    labels = {label: pl.lit(3, pl.Int64) for label in LABELS}
    tables = {name: masked(results.tables)[name] for name in kept} | {"months": months.with_columns(**labels)}
    page = report.render(report.Report(tables, results.ledger, {}))
    assert 'id="who"' in page
    assert '<polyline class="kind k3"' in page
    for section in ('id="drugs"', ">Families of ads<", ">What may be missing<", ">By year<", '<optgroup label="chat">'):
        assert section not in page


def test_how_long_sellers_last_is_told_as_far_as_it_is_known(pages: Pages) -> None:
    """No seller stopped: no curve and no median. Some did, but not half: the curve alone."""
    results = pages["demo"][1]
    tables = masked(results.tables)
    curve, summary = tables["lifetimes"], tables["lifetime_summary"]
    median = pl.when(pl.col("figure") != "median_days").then("value").alias("value")
    short = summary.with_columns(median)
    for lifetimes, figures, told, drawn in (
        (curve, summary, True, True),
        (curve, short, False, True),
        (curve.head(1), short, False, False),
    ):
        changed = {**tables, "lifetimes": lifetimes, "lifetime_summary": figures}
        page = report.render(report.Report(changed, results.ledger, {}))
        assert ("Half of them are gone after" in page, "Curve: share of sellers" in page) == (told, drawn)
        assert ("How long sellers last" in page) == drawn


def test_quarters_of_a_small_axis_are_not_rounded(pages: Pages) -> None:
    results = pages["demo"][1]
    tables = masked(results.tables)
    few = {**tables, "timeline": tables["timeline"].with_columns(messages=pl.lit(6, pl.Int64))}
    page = report.render(report.Report(few, results.ledger, {}))
    ticks = re.findall(r'<text class="tick"[^>]*>([^<]*)</text>', page)
    assert ticks[:5] == ["0", "1.5", "3", "4.5", "6"]


def test_a_chat_without_a_title_is_its_id(pages: Pages) -> None:
    results = pages["demo"][1]
    tables = masked(results.tables)
    bare = {**tables, "chats": tables["chats"].with_columns(chat_title=pl.lit(None, pl.String))}
    page = report.render(report.Report(bare, results.ledger, {}))
    section = page.split(">What may be missing</h3>")[1].split("</table>")[0]
    names = re.findall(r'<tr><td class="long">([^<]*)</td>', section)
    assert len(names) > 3
    assert set(names[1:]) <= {str(number) for number in tables["chats"]["chat_id"]}


def test_every_table_has_its_section(pages: Pages) -> None:
    page, tables = pages["demo"][0].read_text(encoding="utf-8"), pages["demo"][1].tables
    assert ">By year</h3>" in page
    assert f"{tables['texts'].height:,} texts make {tables['families'].height:,} families" in page
    assert ">What may be missing</h3>" in page
    assert '<optgroup label="province">' in page
    assert '<optgroup label="chat">' in page


def test_hostile_texts_stay_text(pages: Pages) -> None:
    page = pages["hostile"][0].read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "<img src=x" not in page
    assert "{{ 7 * 7 }}" in page
    assert "\u202e" not in page
    assert len(page) < 300_000


def test_csv_cells_are_no_formulas(pages: Pages) -> None:
    folder = pages["hostile"][0].parent.parent.parent / "tables" / "run"
    texts = pl.read_csv(folder / "texts.csv")["text"].to_list()
    assert sum(text.startswith("'=HYPERLINK(") for text in texts) == 1
    assert not any(text.startswith("=") for text in texts)


def test_contacts_are_covered_unless_asked(pages: Pages) -> None:
    texts = pages["demo"][1].tables["texts"]
    assert texts["text"].str.contains("@demo_").any()
    assert not masked(pages["demo"][1].tables)["texts"]["text"].str.contains("@demo_").any()
    assert "@demo_" not in pages["demo"][0].read_text(encoding="utf-8")


def test_a_corpus_without_ads_has_a_page(tmp_path: Path, one_model: list[FakeModel]) -> None:
    one_model.append(FakeModel({}))
    url = str(tmp_path / "c")
    conftest.ingest([desktop(tmp_path / "in" / "result.json", [message(1, "hallo")])], url)
    conftest.score(url)
    done = publish.publish(url, "run", conftest.tables(url, one_model[0]), {"basis": "x"}, False)
    assert "No message of this corpus scores as a drug ad" in Path(done.report).read_text(encoding="utf-8")


def _months(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    return tables["timeline"].filter(period="month", dimension="all").sort("start")


def test_a_page_of_giant_tables_stays_under_a_megabyte(pages: Pages) -> None:
    rows = 100_000
    small = masked(pages["demo"][1].tables)
    giant = dict(small)
    for name in ("texts", "families", "chats", "sellers", "linked_sellers", "places", "completeness", "drugs"):
        source = small[name]
        giant[name] = source.head(1).join(pl.DataFrame({"row": range(rows)}), how="cross").drop("row")
    long = pl.lit("<&'\"😀" * 800)
    giant["texts"] = giant["texts"].with_columns(text=long, places=long, labels=long)
    giant["families"] = giant["families"].with_columns(text=long)
    giant["chats"] = giant["chats"].with_columns(chat_title=long, chat_id=pl.int_range(rows, dtype=pl.Int64))
    giant["linked_sellers"] = giant["linked_sellers"].with_columns(handles=long, labels=long)
    start = date(1950, 1, 1)
    months = pl.date_range(start, start + timedelta(days=36_000), "1mo", eager=True)
    one = small["timeline"].filter(dimension="all").head(1).drop("start", "dimension", "value")
    cells = [("all", ""), *(("chat", f"channel:{n}") for n in range(200))]
    names = pl.DataFrame(cells, schema=["dimension", "value"], orient="row")
    giant["timeline"] = one.join(months.alias("start").to_frame(), how="cross").join(names, how="cross")
    inputs = {f"/in/{n}.json": {"format": "desktop", "identity": "x" * 32} for n in range(rows)}
    page = report.render(report.Report(giant, pages["demo"][1].ledger, {"inputs": inputs}))
    assert len(page.encode()) < 1_000_000
    assert "99,960 more" in page
    assert page.count('<td class="text"') >= 25


BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def _choose(opened: Browser, menu: str, value: str) -> None:
    opened.run(f"document.getElementById('{menu}').value = '{value}'")
    opened.run(f"document.getElementById('{menu}').dispatchEvent(new Event('change'))")


def _written(pages: Pages, folder: Path, language: str) -> Path:
    """The demo's page with all sections, in a language."""
    results = pages["demo"][1]
    path = folder / f"{language}.html"
    path.write_text(
        report.render(report.Report(masked(results.tables), results.ledger, {"language": language})), encoding="utf-8"
    )
    return path


@BROWSER
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_page_fits_its_window(width: int, language: str, pages: Pages, tmp_path: Path, opened: Browser) -> None:
    opened.open(_written(pages, tmp_path, language), width)
    assert opened.run("document.documentElement.scrollWidth <= innerWidth")
    assert opened.run("document.documentElement.lang") == language
    shown = opened.run("[...document.querySelectorAll('svg.timeline')].filter((e) => e.clientHeight > 100).length")
    assert shown == 1
    assert opened.run("document.querySelector('svg.map').getBoundingClientRect().height > 250")
    opened.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000


@BROWSER
def test_in_a_browser_hostile_texts_do_nothing(pages: Pages, opened: Browser) -> None:
    opened.noticed.clear()
    opened.open(pages["hostile"][0])
    opened.run("new Promise((done) => setTimeout(done, 300))")
    assert opened.run("document.title") == "Drug ads on Telegram · drugscan"
    assert "pwned" in opened.run("document.body.textContent")  # it is shown, as text
    assert opened.run("document.querySelectorAll('main b b, img[src=x], [onmouseover], [onerror]').length") == 0
    assert opened.noticed == [("Network.requestWillBeSent", pages["hostile"][0].as_uri())]


@BROWSER
def test_the_timeline_tells_a_month_and_shows_another_series(pages: Pages, tmp_path: Path, opened: Browser) -> None:
    months = _months(pages["demo"][1].tables)
    opened.open(_written(pages, tmp_path, "nl"))
    readout = "document.querySelector('#timeline .readout').textContent"
    assert opened.run(readout) == "Wijs een maand aan, of verschuif de schuif."
    opened.run("document.getElementById('month').focus()")
    opened.press("Home", 36)
    first = months.row(0, named=True)
    assert first["start"] == date(2019, 1, 1)
    wanted = f"januari 2019: advertenties {first['messages']}, teksten {first['texts']}, accounts {first['sellers']}"
    assert opened.run(readout).startswith(wanted)
    opened.press("ArrowRight", 39)
    assert opened.run(readout).startswith(f"februari 2019: advertenties {months['messages'][1]},")
    assert opened.run("document.getElementById('month').getAttribute('aria-valuetext')") == opened.run(readout)
    opened.point("svg.wide", (46 + 11.5 * (1016 - 46 - 4) / months.height) / 1016)
    assert opened.run(readout).startswith("december 2019: ")
    lines = "document.querySelector('svg.wide .kinds').classList.contains('off')"
    assert not opened.run(lines)
    _choose(opened, "series", "2")
    assert opened.run(lines)
    assert opened.run(readout).startswith("december 2019: ")


@BROWSER
def test_the_map_tells_a_province_and_takes_another_measure(pages: Pages, tmp_path: Path, opened: Browser) -> None:
    row = pages["demo"][1].tables["provinces"].filter(province="Drenthe").row(0, named=True)
    opened.open(_written(pages, tmp_path, "en"))
    opened.point("[data-province=Drenthe]")
    readout = "document.querySelector('#map .readout').textContent"
    assert opened.run(readout).startswith(f"Drenthe: ads {row['messages']:,}, texts {row['texts']:,}, ")
    before = opened.run("document.querySelector('.range').textContent")
    _choose(opened, "measure", "messages")
    assert opened.run("document.querySelector('.range').textContent") != before
    opened.run("document.querySelector('[data-province=Limburg]').focus()")
    assert opened.run(readout).startswith("Limburg: ads ")


@BROWSER
def test_tables_are_found_in_and_sorted(pages: Pages, tmp_path: Path, opened: Browser) -> None:
    opened.open(_written(pages, tmp_path, "nl"))
    opened.run("document.querySelector('#places ~ .table input').focus()")
    opened.type("ROTTERDAM")
    seen = "[...document.querySelectorAll('#places ~ .table tbody tr')].filter((row) => row.offsetParent)"
    rows = f"{seen}.map((row) => row.cells[0].textContent)"
    assert opened.run(rows) == ["Rotterdam"]
    assert opened.run("document.querySelector('#places ~ .table .found').textContent").startswith("1 van ")
    opened.run("document.querySelectorAll('#map ~ div th button')[1].click()")
    column = "[...document.querySelectorAll('#map ~ div tbody tr')].map((row) => row.cells[1].textContent)"
    found = [int(cell.replace(".", "")) for cell in opened.run(column)]
    assert found == sorted(found, reverse=True)
    opened.run("document.querySelectorAll('#map ~ div th button')[1].click()")
    assert [int(cell.replace(".", "")) for cell in opened.run(column)] == sorted(found)


@BROWSER
def test_the_keyboard_reaches_the_controls(pages: Pages, tmp_path: Path, opened: Browser) -> None:
    opened.open(_written(pages, tmp_path, "en"))
    reached = set()
    for _ in range(60):
        opened.press("Tab", 9)
        reached.add(opened.run("document.activeElement.id || document.activeElement.dataset.province || ''"))
    assert {"measure", "series", "month", "Utrecht", "Zeeland"} <= reached


@BROWSER
def test_every_control_has_a_name_and_headings_are_in_order(pages: Pages, tmp_path: Path, opened: Browser) -> None:
    opened.open(_written(pages, tmp_path, "nl"))
    controls = "[...document.querySelectorAll('button, select, input, a, [role=region], svg:not([aria-hidden]), img')]"
    named = "e.getAttribute('aria-label') || e.alt || e.textContent.trim() || (e.labels && e.labels[0].textContent)"
    nameless = f"{controls}.filter((e) => !({named})).map((e) => e.outerHTML.slice(0, 80))"
    assert opened.run(nameless) == []
    assert opened.run("[...document.querySelectorAll('path[role=img]')].every((e) => e.querySelector('title'))")
    levels = opened.run("[...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
