"""The demo: what it says of itself, recounted from the exports with json and dictionaries alone."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from drugscan import demo
from drugscan.demo_texts import DemoError
from tests import conftest


def _text(text: Any) -> str:  # noqa: ANN401
    return text if isinstance(text, str) else "".join(part if isinstance(part, str) else part["text"] for part in text)


def _rows(exports: Path) -> list[tuple[str, int, int, int, str]]:
    """(type of chat, chat, message, edited, text) of every message that is no notice."""
    rows = []
    for path in sorted(exports.rglob("result.json")):
        export = json.loads(path.read_text(encoding="utf-8"))
        for chat in export["chats"]["list"] if "chats" in export else [export]:
            for message in chat["messages"]:
                if message["type"] == "message":
                    edited = int(message.get("edited_unixtime", 0))
                    rows.append((chat["type"], chat["id"], message["id"], edited, _text(message["text"])))
    return rows


def test_the_truth_is_what_a_plain_recount_finds(small_demo: conftest.Demo) -> None:
    rows = [row for row in _rows(Path(small_demo.exports)) if row[0] != "personal_chat"]
    versions: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for _, chat, number, edited, text in rows:
        versions.setdefault((chat, number), []).append((edited, text))
    winners = {key: max(each, key=lambda version: version[0])[1] for key, each in versions.items()}
    ads = set(small_demo.texts.filter("drugsad")["text"])
    summary = small_demo.summary
    assert summary.kept == len(rows)
    assert summary.current == len(winners)
    assert summary.empty == sum(not text for text in winners.values())
    assert summary.ads == sum(text in ads for text in winners.values())
    assert summary.texts == len(set(winners.values()) - {""})
    losing = Counter(text == winners[key] for key, each in versions.items() for _, text in each)
    assert summary.superseded == losing[False]
    assert summary.duplicates == len(rows) - len(winners) - losing[False]


def test_it_looks_like_the_real_thing(small_demo: conftest.Demo) -> None:
    summary = small_demo.summary
    assert summary.ads / summary.current == pytest.approx(0.5, abs=0.03)
    assert summary.empty / summary.current == pytest.approx(1 / 3, abs=0.03)
    others = small_demo.messages.join(small_demo.texts.filter(~pl.col("drugsad")), on="text_id")
    assert others["text_id"].n_unique() / others.height >= 0.6
    copies = small_demo.messages.join(small_demo.texts.filter("drugsad"), on="text_id").group_by("text_id").len()
    assert copies["len"].max() / copies["len"].sum() == pytest.approx(0.05, abs=0.02)  # type: ignore[operator]
    raw = "".join(path.read_text() for path in Path(small_demo.exports).rglob("result.json"))
    for sign in (
        '"from": null',
        '"forwarded_from"',
        '"edited_unixtime"',
        '"from_id": "channel',
        '"type": "service"',
        '"mention"',
    ):
        assert sign in raw, sign


def test_a_seed_is_a_demo_whatever_the_number_of_processes(tmp_path: Path) -> None:
    def made(name: str, **chosen: Any) -> dict[str, bytes]:  # noqa: ANN401
        demo.generate(demo.DemoOptions(3000, str(tmp_path / name), ("desktop", "telethon"), **chosen))
        files = (tmp_path / name / "exports").rglob("*.json")
        return {str(file.relative_to(tmp_path / name)): file.read_bytes() for file in files}

    assert made("a", processes=1) == made("b", processes=2)
    assert made("c", seed=1) != made("d", seed=2)


def test_several_formats_have_one_truth(tmp_path: Path) -> None:
    """All four formats at once, chats in two of them: the ledger of a scan is the truth's."""
    summary = demo.generate(demo.DemoOptions(8000, str(tmp_path / "d"), ("desktop", "telethon", "tdl", "fourcat")))
    url = str(tmp_path / "c")
    outcome = conftest.ingest([str(tmp_path / "d" / "exports")], url)
    assert outcome.failures == []
    conftest.score(url)
    ledger = conftest.tables(url).ledger
    names = ("kept", "private", "current", "duplicates", "superseded", "empty")
    assert {name: ledger[name] for name in names} == {name: getattr(summary, name) for name in names}
    assert ledger["read"] == summary.rows


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="--authored"):
        demo.generate(demo.DemoOptions(5000, str(tmp_path / "x"), authored=str(tmp_path)))
    (tmp_path / "file").write_text("x")
    with pytest.raises(DemoError, match="is not empty"):
        demo.generate(demo.DemoOptions(5000, str(tmp_path)))
    with pytest.raises(DemoError, match="formats are desktop"):
        demo.generate(demo.DemoOptions(5000, str(tmp_path / "y"), ("html",)))
