"""The report's words, numbers and colours in both languages and both schemes, and the marks in its texts."""

import re
import string
from datetime import date
from importlib import resources

import pytest

from drugscan import report
from drugscan.report import dutch, english, evidence
from drugscan.report.drawings import nice_top
from drugscan.report.language import DUTCH, ENGLISH

FOLDER = resources.files("drugscan") / "report"


def _placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


def test_both_languages_have_the_same_keys_and_values_to_put_in() -> None:
    assert list(english.WORDS) == list(dutch.WORDS)
    for key, words in english.WORDS.items():
        assert _placeholders(words) == _placeholders(dutch.WORDS[key]), key


def test_every_key_is_used() -> None:
    files = [file for file in FOLDER.iterdir() if file.name.endswith((".py", ".html")) and "measured" not in file.name]
    used = "\n".join(file.read_text() for file in files if file.name not in ("english.py", "dutch.py"))
    quoted = set(re.findall(r'"([a-z0-9_]+)"', used))
    families = ("nav_", "label_", "ledger_", "dimension_", "mark_")
    assert [key for key in english.WORDS if key not in quoted and not key.startswith(families)] == []


def test_numbers_and_dates_are_written_as_the_language_does() -> None:
    day = date(2023, 3, 1)
    assert (ENGLISH.number(2_549_045), DUTCH.number(2_549_045)) == ("2,549,045", "2.549.045")
    assert (ENGLISH.euro(1234.5), DUTCH.euro(1234.5)) == ("1,234.50", "1.234,50")
    assert (ENGLISH.percent(0.5071), DUTCH.percent(0.5071)) == ("50.7%", "50,7%")
    assert (ENGLISH.day(day), DUTCH.day(day)) == ("1 March 2023", "1 maart 2023")
    assert (ENGLISH.short_day(day), DUTCH.short_day(day)) == ("1 Mar 2023", "1 mrt. 2023")
    assert (DUTCH.number(None), DUTCH.day(None), DUTCH.rate(0.345), DUTCH.rate(12.3)) == ("–", "–", "0,34", "12")
    axis = [ENGLISH.exact(top * quarter / 4) for top in (6, 10, 5, 50, 4000) for quarter in range(1, 4)]
    assert axis == [
        "1.5",
        "3",
        "4.5",
        "2.5",
        "5",
        "7.5",
        "1.25",
        "2.5",
        "3.75",
        "12.5",
        "25",
        "37.5",
        "1,000",
        "2,000",
        "3,000",
    ]
    assert DUTCH.exact(1_250.5) == "1.250,5"


def _colours(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{([^}]*)\}", report.asset("style.css"))
    block = blocks[("light", "dark", "print").index(scheme)]
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{3,6})", block))


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_words_stand_out_from_what_is_behind_them(scheme: str) -> None:
    colours = _colours(scheme)
    assert _contrast("#ffffff", "#000000") == pytest.approx(21)
    for words in ("ink", "soft", "accent", "link"):
        for behind in ("paper", "card"):
            assert _contrast(colours[words], colours[behind]) >= 4.5, (words, behind)
    for mark in ("drug", "price", "place", "contact"):
        assert _contrast(colours["ink"], colours[mark]) >= 4.5, mark
    for line in ("k0", "k1", "k2", "k3"):
        assert _contrast(colours[line], colours["paper"]) >= 3, line


def _marked(text: str, labels: str = "") -> list[tuple[str, str]]:
    (found,) = evidence.pieces([{"text": text, "labels": labels}])
    assert "".join(piece.text for piece in found) == evidence.visible(text)
    return [(piece.kind, piece.text) for piece in found if piece.kind]


def test_drugs_prices_places_and_contacts_are_marked_where_they_stand() -> None:
    text = "Cocaïne 1g 50, ook XTC\nBezorging in Den Haag\ninfo @••• of 06•••"
    assert _marked(text, "harddrugs, bezorging") == [
        ("drug", "Cocaïne"),
        ("price", "1g 50"),
        ("drug", "XTC"),
        ("place", "Den Haag"),
        ("contact", "@•••"),
        ("contact", "06•••"),
    ]


def test_a_disguised_name_is_marked_as_it_was_written() -> None:
    assert _marked("te koop: c o c a i n e €50 p/g", "harddrugs")[0] == ("drug", "c o c a i n e")


def test_contacts_that_are_not_covered_are_marked_too() -> None:
    assert ("contact", "@piet_1") in _marked("coke via @piet_1", "harddrugs")


def test_long_and_hostile_texts_are_cut_and_kept_whole() -> None:
    (found,) = evidence.pieces([{"text": "</mark>\u202e" + "x" * 5_000, "labels": None}])
    assert found[0].text.startswith("</mark>\ufffdxxx")
    assert sum(len(piece.text) for piece in found) == evidence.TEXT_LENGTH + len(" […]")


def test_json_in_a_script_element_cannot_end_it() -> None:
    encoded = str(report.safe_json({"a": "</script><!--\u2028&"}))
    assert not set("<>&\u2028") & set(encoded)


@pytest.mark.parametrize(("greatest", "top"), [(0, 1), (1, 1), (3520, 4000), (4000, 4000), (622, 800), (0.03, 0.032)])
def test_axes_end_at_round_numbers(greatest: float, top: float) -> None:
    assert nice_top(greatest) == pytest.approx(top)
