"""The page to label on: offline, blind, deaf to what the texts say, and driven by keys in a real browser."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from drugscan import audit_labels, audit_sheet, report
from drugscan.audit_frame import Drawing
from drugscan.schema import LABELS
from tests.test_report import HOSTILE

CHROMIUM = shutil.which("chromium")
DRAWING = Drawing("test", "basis", "model", "2026-11-25T10:00:00+00:00", 0, 100, len(HOSTILE) + 3)
TEXTS = [*HOSTILE, "eerste", "tweede", "derde"]
IDS = [bytes([number]) * 16 for number in range(len(TEXTS))]


@pytest.fixture
def sample() -> pl.DataFrame:
    return pl.DataFrame(
        {"number": range(1, len(TEXTS) + 1), "text_id": IDS, "text": TEXTS, "score": [0.987] * len(TEXTS)}
    )


def test_the_page_loads_nothing_and_runs_only_its_own_script(sample: pl.DataFrame) -> None:
    page = audit_sheet.page(DRAWING, sample).decode()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert report.allowed(scripts[0]) in policy
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="', page)
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "0.987" not in page


def test_help_names_every_label_in_order(sample: pl.DataFrame) -> None:
    page = audit_sheet.page(DRAWING, sample).decode()
    assert re.findall(r'<input type="checkbox" value="(\w+)"', page) == list(LABELS)
    for meaning in audit_sheet.MEANINGS.values():
        assert html.escape(meaning, quote=False).replace("&#x27;", "'") in page.replace("&#39;", "'")


def test_label_studio_is_asked_the_same(sample: pl.DataFrame) -> None:
    configuration = audit_sheet.configuration().decode()
    assert re.findall(r'Choice value="([^"]*)"', configuration) == ["ad", "no ad", *LABELS]
    tasks = json.loads(audit_sheet.tasks(DRAWING, sample))
    assert [task["data"]["text_id"] for task in tasks] == ["t" + text_id.hex() for text_id in IDS]
    assert "0.987" not in json.dumps(tasks)


DRIVER = """
const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const keys = ["y", "2", "5", "8", "8", "Enter", "n", "y", "3", "n", "ArrowLeft", "ArrowLeft", "1"];
URL.createObjectURL = (blob) => { blob.text().then((text) => { document.title = "saved " + text; }); return "#"; };
keys.forEach(press);
document.getElementById("save").click();
const without = document.getElementById("status").textContent;
document.getElementById("labeller").value = "Zoë";
document.getElementById("save").click();
document.getElementById("status").textContent += " first: " + without;
"""
"""First text: an ad, 2, 5 and 8 on, 8 off, next. Second: none (goes on). Third: an ad, 3, then none (goes on).
Back twice, to the second, where 1 does nothing."""


def _seen(page: Path, folder: Path, *arguments: str) -> str:
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
    offline = "--disable-background-networking --disable-component-update --disable-sync --virtual-time-budget=3000"
    command = [str(CHROMIUM), *quiet.split(), *offline.split(), f"--user-data-dir={folder / 'profile'}", *arguments]
    done = subprocess.run([*command, f"file://{page}"], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_labelling_by_keys_in_a_browser(sample: pl.DataFrame, tmp_path: Path) -> None:
    """The page as it is, with one more script that presses keys and whose hash the policy allows."""
    page = audit_sheet.page(DRAWING, sample).decode()
    page = page.replace("script-src ", f"script-src {html.escape(report.allowed(DRIVER))} ", 1)
    page = page.replace("</body>", f"<script>{DRIVER}</script></body>")
    (tmp_path / "sheet.html").write_text(page, encoding="utf-8")
    seen = _seen(tmp_path / "sheet.html", tmp_path, "--dump-dom")
    title = html.unescape(re.search(r"<title>(.*?)</title>", seen, re.DOTALL)[1])  # type: ignore[index]
    assert title.startswith("saved {"), seen[-2000:]
    (tmp_path / "labels.json").write_text(title.removeprefix("saved "), encoding="utf-8")
    labels = audit_labels.read([str(tmp_path / "labels.json")], IDS)
    assert {key: set(said.outputs) for key, said in labels.said.items()} == {
        (IDS[0], "Zoë"): {"drugsad", "harddrugs", "bezorging"},
        (IDS[1], "Zoë"): set(),
        (IDS[2], "Zoë"): set(),
    }
    assert f"3 of {len(TEXTS)} labelled" in seen
    assert "Write your name first" in seen
    assert "3 labels saved as labels-test-Zo_.json." in seen


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_hostile_texts_stay_text_in_a_browser(sample: pl.DataFrame, tmp_path: Path) -> None:
    for number in range(len(HOSTILE)):
        (tmp_path / "sheet.html").write_bytes(audit_sheet.page(DRAWING, sample[number:]))
        seen = _seen(tmp_path / "sheet.html", tmp_path, "--dump-dom")
        assert "<title>Audit test · drugscan</title>" in seen
        shown = re.search(r'<p id="text"[^>]*>(.*?)</p>', seen, re.DOTALL)[1]  # type: ignore[index]
        assert "<" not in shown
        assert html.unescape(shown)[:20] == HOSTILE[number].replace("\u202e", "\ufffd").replace("\u202c", "\ufffd")[:20]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_screenshot(width: int, sample: pl.DataFrame, tmp_path: Path) -> None:
    picture, page = tmp_path / "page.png", tmp_path / "sheet.html"
    page.write_bytes(audit_sheet.page(DRAWING, sample[-3:]))
    _seen(page, tmp_path, f"--window-size={width},1400", f"--screenshot={picture}")
    assert picture.stat().st_size > 20_000
