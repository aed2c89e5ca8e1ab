"""The authored messages keep what a machine can check of docs/labels.md, and the checker finds what does not."""

import json
from pathlib import Path

import pytest

from scripts import check_authored

GOOD = {
    "text": "wiet in Zwolle, ik breng het", "drugsad": True, "labels": ["softdrugs", "bezorging"], "places": ["Zwolle"],
    "provinces": ["Overijssel"], "national": False, "kind": "short",
}  # fmt: skip


def test_nothing_is_wrong_with_the_authored_messages() -> None:
    assert check_authored.errors(sorted(check_authored.DATA.glob("*/*.jsonl"))) == []


def test_no_model_has_seen_a_near_copy_of_a_held_out_message() -> None:
    lines, _ = check_authored.read(sorted(check_authored.DATA.glob("*/*.jsonl")))
    mixed = [group for group in check_authored.near_copies(lines) if len({where[:8] for where in group}) > 1]
    assert mixed == []


def _file(folder: Path, *lines: dict[str, object]) -> Path:
    path = folder / "x.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"labels": ["cola"]}, "no such label: ['cola']"),
        ({"labels": ["post", "post"]}, "labels name something twice"),
        ({"drugsad": False}, "no ad, but labels"),
        ({"drugsad": False, "labels": [], "places": [], "provinces": [], "national": True}, "no ad, but national"),
        ({"provinces": ["Gelderland"]}, "the province of ['Zwolle'] is not among ['Gelderland']"),
        ({"provinces": ["Overijssel", "Drenthe"]}, "nothing named gives ['Drenthe']"),
        ({"provinces": ["Overijsel"]}, "no such province: ['Overijsel']"),
        ({"text": " "}, "no text"),
        ({"kind": ""}, "no kind"),
        ({"extra": 1}, "unknown field"),
        ({"national": "no"}, "Expected `bool`"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], said: str | None, tmp_path: Path) -> None:
    found = check_authored.errors([_file(tmp_path, GOOD | change)])
    assert (found == []) if said is None else any(said in each and each.startswith("x.jsonl:1: ") for each in found)


def test_one_text_in_two_disguises_is_found(tmp_path: Path) -> None:
    path = _file(tmp_path, GOOD, GOOD | {"text": "W\u0456\u0435t in Zwolle,  ik breng HET"})
    assert check_authored.errors([path]) == ["x.jsonl:2: the same text as x.jsonl:1"]


def test_labels_that_words_do_not_suggest_are_for_review(tmp_path: Path) -> None:
    lines, _ = check_authored.read([_file(tmp_path, GOOD | {"text": "wiet en coke", "places": [], "provinces": []})])
    assert [what for _, what, _ in check_authored.review(lines)] == ["-harddrugs: coke", "+bezorging"]


def test_near_copies_are_listed(tmp_path: Path) -> None:
    base = "Vandaag weer vers binnen in de hele stad, stuur een bericht voor de lijst en de prijzen van deze week"
    lines, _ = check_authored.read([_file(tmp_path, GOOD, *(GOOD | {"text": f"{base} @naam{i}"} for i in range(2)))])
    assert check_authored.near_copies(lines) == [["x.jsonl:2", "x.jsonl:3"]]
