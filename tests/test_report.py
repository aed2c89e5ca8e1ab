"""The page: whole, offline, and deaf to what criminals write. Looked at in a real browser where one is installed."""

import html
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from drugscan import publish, report, stages
from drugscan.statistics import masked
from tests import conftest
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
CHROMIUM = shutil.which("chromium")
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
    thin = "\u202f"
    assert f"<h1>{report.number(totals['messages'])} drug ads in {report.number(totals['messages_scanned'])}" in page
    assert f"{results.ledger['read']:,}".replace(",", thin) in page
    assert "not audited" in page


def test_hostile_texts_stay_text(pages: Pages) -> None:
    page = pages["hostile"][0].read_text(encoding="utf-8")
    assert page.count("<script>") == 1
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


def _chromium(arguments: list[str], page: Path, folder: Path) -> str:
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
    offline = "--disable-background-networking --disable-component-update --disable-sync --virtual-time-budget=2000"
    command = [str(CHROMIUM), *quiet.split(), *offline.split(), f"--user-data-dir={folder / 'profile'}", *arguments]
    done = subprocess.run([*command, f"file://{page}"], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_screenshot(width: int, pages: Pages, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    _chromium([f"--window-size={width},2400", f"--screenshot={picture}"], pages["demo"][0], tmp_path)
    assert picture.stat().st_size > 50_000


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_in_a_browser_hostile_texts_do_nothing(pages: Pages, tmp_path: Path) -> None:
    seen = _chromium(["--dump-dom"], pages["hostile"][0], tmp_path)
    assert "<title>Drug ads on Telegram · drugscan</title>" in seen
    assert "pwned" in seen  # it is shown, as text
    assert "<b>vet</b>" not in seen
