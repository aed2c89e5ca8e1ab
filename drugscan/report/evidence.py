"""Where in an ad stands what was read from it: drugs, prices, places and contacts, as pieces of the text.

A text comes out as pieces in order, each with what it is; together they are the text, cut and with unseen characters
made visible. Nothing is ever put into HTML here: the template escapes each piece.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Final, NamedTuple

import polars as pl

from drugscan import contacts, drug_names, handles, places, prices
from drugscan.schema import LABELS

TEXT_LENGTH: Final = 600
"""Characters of a text that stand in the page."""
CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
"""Characters that cannot be seen, or that turn the direction of others."""
_COVERED: Final = re.compile(r"•••@•••|\[link\]|@•••|06•••|0•••|\+•••|•••")
_CONTACTS: Final = tuple(re.compile(pattern) for _, pattern, _ in contacts.CONTACT_PATTERNS)


class Piece(NamedTuple):
    """A part of a text: `kind` is drug, price, place or contact, or empty for the words between them."""

    kind: str
    text: str


Span = tuple[int, int]


def visible(text: str) -> str:
    """The text with a mark for every character that cannot be seen or that turns the direction of others."""
    return CONTROL.sub("\ufffd", text)


def pieces(ads: Sequence[Mapping[str, Any]]) -> list[list[Piece]]:
    """The texts of ads (`text`, `labels`: names joined by a comma) in pieces, each cut at `TEXT_LENGTH`."""
    texts = [str(ad["text"])[:TEXT_LENGTH] for ad in ads]
    rows = pl.DataFrame({"text_id": range(len(texts)), "text": texts}, schema={"text_id": pl.Int64, "text": pl.String})
    labels = [str(ad["labels"] or "").split(", ") for ad in ads]
    labelled = rows.with_columns(pl.Series(name, [name in some for some in labels], pl.Boolean) for name in LABELS)
    named = _named(rows)
    offered = _offered(labelled)
    found = []
    for number, (text, ad) in enumerate(zip(texts, ads, strict=True)):
        drugs, asked = offered.get(number, ([], []))
        # what comes later is painted over what came before
        spans = {"price": asked, "place": _written(text, named.get(number, [])), "drug": drugs, "contact": _given(text)}
        found.append(_cut(text, spans, len(str(ad["text"])) > TEXT_LENGTH))
    return found


def _cut(text: str, spans: Mapping[str, Sequence[Span]], is_longer: bool) -> list[Piece]:
    kinds = [""] * len(text)
    for kind, some in spans.items():
        for begin, end in some:
            kinds[begin:end] = [kind] * (end - begin)
    parts = [
        Piece(kind, visible("".join(text[at] for at in run)))
        for kind, run in groupby(range(len(text)), kinds.__getitem__)
    ]
    return [*parts, Piece("", " […]")] if is_longer else parts


def _given(text: str) -> list[Span]:
    """Contacts, covered or not."""
    matches = [match for pattern in (_COVERED, *_CONTACTS) for match in pattern.finditer(text)]
    # a pattern may take the blank before a name with it
    spans = [(match.end() - len(match[0].lstrip()), match.end()) for match in matches]
    return spans + [(contact.start, contact.end) for contact in handles.find_all(text)]


def _named(texts: pl.DataFrame) -> dict[int, list[str]]:
    """Number of a text -> the names of places that count in it, folded."""
    names = places.names(texts).group_by("text_id").agg("name")
    return dict(names.iter_rows())


def _written(text: str, names: Sequence[str]) -> list[Span]:
    """Where folded names stand in the text as it was written."""
    found: list[Span] = []
    for name in names:
        words = r"\W{1,3}".join(map(re.escape, name.split()))
        found += [match.span() for match in re.finditer(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE)]
    return found


def _offered(ads: pl.DataFrame) -> dict[int, tuple[list[Span], list[Span]]]:
    """Number of a text -> where its drugs and its prices stand."""
    plain = drug_names.plain_texts(ads)
    mentions = drug_names.mentions(plain).group_by("text_id", maintain_order=True).agg("begin", "end", "drug", "label")
    rows = plain.join(mentions, on="text_id").join(ads.select("text_id", "text"), on="text_id")
    found = {}
    for row in rows.to_dicts():
        columns = (row["begin"], row["end"], row["drug"], row["label"])
        drugs = [prices.Mention(*each) for each in zip(*columns, strict=True)]
        back = _Alignment(row["text"], row["folded"])
        asked = [back.span(*span) for span in prices.spans(row["plain"], drugs)]
        found[row["text_id"]] = ([back.span(each.begin, each.end) for each in drugs], asked)
    return found


class _Alignment:
    """Which part of a text became which bytes of its folded form: folding drops, doubles and replaces characters."""

    def __init__(self, text: str, folded: str) -> None:
        self.text, self.bytes = text, folded.encode()
        matcher = SequenceMatcher(None, [letter.lower() for letter in text], list(folded), autojunk=False)
        self.blocks = matcher.get_matching_blocks()

    def span(self, begin: int, end: int) -> Span:
        """Where the bytes from `begin` to `end` of the folded text stand in the text, without blanks at either end."""
        first, last = self._kept(self._letters(begin))[0], self._kept(self._letters(end) - 1)[1]
        while first < last and self.text[first].isspace():
            first += 1
        while first < last and self.text[last - 1].isspace():
            last -= 1
        return first, last

    def _letters(self, offset: int) -> int:
        return len(self.bytes[:offset].decode(errors="ignore"))

    def _kept(self, letter: int) -> Span:
        """Where the letter of the folded text stands; of one that replaced others, all that stood there."""
        gap = 0
        for block in self.blocks:
            if letter < block.b:
                return gap, block.a
            if letter < block.b + block.size:
                at = block.a + letter - block.b
                return at, at + 1
            gap = block.a + block.size
        return gap, len(self.text)
