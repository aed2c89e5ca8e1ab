"""Prices that an ad asks: amount, unit and price in euro, each tied to the one drug that the ad names for it.

Read line by line from `drug_names.plain_texts`. What is no price is blanked first: times, dates, phone numbers,
strengths (`10 mg`), offers such as `3 halen 2 betalen`. Then, in this order: a price per unit (`50 p/g`), a price of
an amount (`1g 50`, `10 st €25`), an amount for a price (`€ 30 voor 20 st`), a ladder without units (`5 voor 20`).

The drug is the one named last before the amount on its line (or within it); on a line without a name it is that of
the last line that names drugs, if that names exactly one; else the only drug of the ad. A price of several drugs at
once (`3-MMC / 4-MMC 5g 60`, a box of two) belongs to none, and a price without an amount (`haze 9`) is no offer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import polars as pl

from drugscan import drug_names

OFFERS: Final = pl.Schema(
    {
        "text_id": pl.Binary,
        "drug": pl.String,
        "amount": pl.Float64,
        "unit": pl.String,
        "price_eur": pl.Float64,
        "per_unit": pl.Float64,
    }
)
"""What `find` gives: one row per text and offer; `unit` is gram, piece or ml, `per_unit` euro per unit."""
PLAUSIBLE: Final = {
    "gram": (0.3, 200.0),
    "piece": (0.1, 300.0),
    "ml": (0.05, 60.0),
    "gas": (0.02, 0.5),
    "packet": (1.0, 150.0),
}
"""Euro per unit that can be meant; what lies outside was misread, or is no price of a drug.

`gas` is nitrous oxide by the gram, `packet` a piece of what is weighed (a wrap, a joint)."""

_GRAM: Final = r"grammetjes|grammetje|grammes|gramme|gramm|grams|gram|gr|g"
_KILO: Final = r"kilogram|kilo's|kilos|kilo|kgs|kg"
_PIECE: Final = (
    r"stuks|stuk|stk|stck|szt|st|pcs|pc|pieces|piece|pastillas|pillen|pilletjes|pills|pill|pil|tabletten|tabletter|"
    r"tablets|tablet|tabl|tabs|tab|capsules|capsule|caps|zegels|zegel|trips|tripjes|pellets|blotters|blotter|pennen|"
    r"pens|pen|bollen|bolletjes|bol|kapsels|zakjes|sachets|each|unidades|'?lu|'?lx|er"
)
_UNITS: Final = {"gram": (_GRAM, 1.0), "kilo": (_KILO, 1000.0), "ounce": (r"ons", 100.0), "piece": (_PIECE, 1.0),
                 "liter": (r"liter|litre|ltr|l", 1000.0), "ml": (r"ml", 1.0), "thousand": (r"k", 1000.0)}  # fmt: skip
_UNIT_NAMES: Final = {"kilo": "gram", "ounce": "gram", "liter": "ml"}
_UNIT: Final = "(?:" + "|".join(pattern for pattern, _ in _UNITS.values()) + r")(?![a-z0-9])"
_PLAIN: Final = r"(?:[1-9]\d{0,2}(?:[.,]\d{3})+(?!\d)|[1-9]\d? \d{3}(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d))"
_FRACTION: Final = r"[1-9](?:(?<=1)/[248]|(?<=3)/4|///\d\d?| (?:1/[248]|3/4)| ?[1-9]///\d\d?)(?![\d/]|[.,]\d)"
"""`1/2`, `1 1/2`, and `///` for the bar of ½; other numbers with a slash between (`1/2/5 gram`) are a list."""
_NUMBER: Final = rf"(?<![\d.,]){_PLAIN}"
_AMOUNT: Final = rf"(?:(?<![\d.,])(?:(?<!/){_FRACTION}|{_PLAIN})|\b(?:een )?(?:halve|halbe|half)\b)"
_PRICE: Final = rf"(?:eur(?:o)? ?)?(?!{_FRACTION} ?{_UNIT})(?P<price>{_NUMBER}k?)(?:,-|,=| ?(?:euros?|eur|e)\b)?"
_NOT_AN_AMOUNT: Final = (
    rf"(?![\d%:])(?![.,]\d)(?! ?(?:=|x|{_UNIT}|mg|mic|min|uur|u\b|dagen|%|/ ?\d+ ?mg|mee\b|gratis|extra|orders))"
)
_FILLER: Final = (
    r"(?:fles(?:je|sen)?|tanks?|cil[iy]nders?|bottle|koud|kleine?|vers|prijs|kost|voor|for|v|fur|za|a|je|samen)\b"
)
_GAP: Final = rf"(?:[\s\x01:=~.>|()@,/\-]|{_FILLER})*?"
_OF_ONE: Final = rf"{_GRAM}|{_KILO}|(?!er\b)(?:{_PIECE})|s|ballon|bundle|bundel"
_EACH: Final = (
    rf"(?: ?(?:eur|euro|e))? ?(?:(?:per|de|a|the|le|la|pa|d'r|'t|za) (?P<each>{_OF_ONE})|"
    rf"(?:per|p|/) ?[./]? ?(?P<short>{_GRAM}|{_KILO}|stuk|stk|st|s|pc)|(?P<bare>each|pst|p\.s|ps))(?![a-z0-9])"
)
_RULES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:(?P<amount>{_AMOUNT}) ?(?P<unit>{_UNIT})[\s,:]*)?{_PRICE}{_EACH}",
        rf"\b(?:per|p ?/|p\.) ?(?P<amount>{_AMOUNT})? ?(?P<unit>{_UNIT}){_GAP}{_PRICE}{_NOT_AN_AMOUNT}",
        rf"(?P<amount>{_AMOUNT}) ?(?P<unit>{_UNIT}){_GAP}{_PRICE}{_NOT_AN_AMOUNT}",
        rf"(?P<unit>\b(?:kilo|kg|gram))\b{_GAP}{_PRICE}{_NOT_AN_AMOUNT}",
        rf"(?<!\d/){_PRICE} ?(?:voor|for|per|/) ?(?P<amount>{_AMOUNT}) ?(?P<unit>{_UNIT})",
        rf"(?P<amount>{_AMOUNT}) ?(?:x ?)?(?:=|:|>|\||\bvoor\b|\bfor\b|\bv\b|\bpa\b)[ =>~]*{_PRICE}{_NOT_AN_AMOUNT}",
        rf"^[^a-z0-9]*(?P<amount>{_NUMBER})(?: - |[ /=>|x\x01.])+{_PRICE}\W*$",
        rf"^[\W\x01]*\x01+\s+(?P<amount>{_NUMBER}) {{2,}}{_PRICE}\W*$",
    )
)
_LADDERS: Final = _RULES[5:]
"""Rules without a unit: on the line of a drug's name or at the beginning of a line, and never strengths of tablets."""
_NOISE: Final = re.compile(
    r"\d+ ?(?:halen|kopen)\b[^\n]*?(?:betalen|gratis)|= ?\d+e gratis"
    r"|\b\d{1,2}[:.]\d{2} ?(?:-|tot|t/m|~) ?\d{1,2}[:.]\d{2}|\b\d{1,2}:\d{2}\b"
    r"|\b\d{1,2}[.]\d{2} ?(?:uur|u)\b|\b24 ?/ ?7\b|\b\d{1,2} ?(?:-|tot) ?\d{1,2} ?(?:uur|u|h)\b"
    r"|\b(?:na|tot|voor|vanaf|till?|om) \d{1,2} ?(?:uur|u|h)\b|\b\d+ ?(?:min|minuten|dagen|days|uur|weken|jaar)\b"
    r"|(?<![\w.,])(?:\+|00|0)\d[\d \-.]{7,}\d"
    r"|\d+(?:[.,]\d+)?(?: ?[/\-] ?\d+(?:[.,]\d+)?)* ?(?:mg|mcg|ug|mic|microgram|%)"
    r"|\b\d{1,2}[/\-]\d{1,2}[/\-]\d{2,4}\b"
    r"|(?:tot|max|maximaal|vanaf|boven|min\.?|minimaal|minimum|from|order) (?:eur ?)?"
    r"\d+(?:,-)?(?: ?(?:eur|euro|e)\b| gratis| free)"
)
_DELIVERY: Final = re.compile(
    r"\b(?:brief|pakket|verzend\w*|aangetekend|shipping|porto|bezorgkosten|zone|bezorging|minimum|min order)\b"
)
_LETTER_O: Final = re.compile(r"(?<=\d)o(?![a-z])")
_DIGIT: Final = re.compile(r"\d")
_WORD: Final = re.compile(r"[a-z]{3,}|~{4,}")
_PACKED: Final = re.compile(
    rf"(?:{_AMOUNT}) ?(?:{_UNIT}|x|\x01)[ \x01]*[a-z]*[ \x01]*(?:[,+&]|en|and)\s*$|(?:[+]|\bplus)\s*$"
)
_KEPT: Final = re.compile(rf"(?:{_PIECE})\b")
_NEVER_WEIGHED: Final = frozenset({"xtc", "edibles"})


class Mention(NamedTuple):
    """A drug's name within one line: offsets in the line."""

    begin: int
    end: int
    drug: str
    label: str


class Offer(NamedTuple):
    """One price: `unit` is gram, piece or ml."""

    drug: str
    amount: float
    unit: str
    price: float


def find(ads: pl.DataFrame, mentions: pl.DataFrame) -> pl.DataFrame:
    """Offers of ads: in `text_id`, `plain` (`drug_names.plain_texts`) and `drug_names.mentions`; out `OFFERS`."""
    named = mentions.group_by("text_id", maintain_order=True).agg("begin", "end", "drug", "label")
    rows = []
    for text_id, plain, *spans in ads.select("text_id", "plain").join(named, on="text_id").iter_rows():
        for offer in dict.fromkeys(offers(plain, [Mention(*span) for span in zip(*spans, strict=True)])):
            rows.append((text_id, *offer, offer.price / offer.amount))
    return pl.DataFrame(rows, schema=OFFERS, orient="row")


def offers(plain: str, mentions: Sequence[Mention]) -> Iterator[Offer]:
    """Every offer of one ad, in reading order; copies within an ad may repeat."""
    only = {(mention.drug, mention.label) for mention in mentions}
    heading: set[tuple[str, str]] = set()
    last: set[tuple[str, str]] = set()
    begin = 0
    for line in plain.split("\n"):
        here = [
            Mention(m.begin - begin, m.end - begin, m.drug, m.label)
            for m in mentions
            if begin <= m.begin < begin + len(line)
        ]
        begin += len(line) + 1
        read = _Line(line, here)
        if not here and _DELIVERY.search(line):
            continue
        inherited = last if not here and not _WORD.search(_left(read)) else heading
        yield from read.offers(inherited if inherited or not only else only if len(only) == 1 else set())
        if here:
            last = {(mention.drug, mention.label) for mention in here}
            heading = heading if read.found else last


def spans(plain: str, mentions: Sequence[Mention]) -> Iterator[tuple[int, int]]:
    """Where in an ad stands what reads as a price, with its amount; also of what `offers` leaves out."""
    begin = 0
    for line in plain.split("\n"):
        here = [Mention(m.begin - begin, m.end - begin, m.drug, m.label) for m in mentions if m.begin >= begin]
        here = [mention for mention in here if mention.begin < len(line)]
        for _, match in _Line(line, here).found:
            yield begin + match.start(), begin + match.end()
        begin += len(line) + 1


class _Line:
    """One line: its names hidden and its noise blanked, and the prices that the rules find, left to right."""

    def __init__(self, line: str, mentions: Sequence[Mention]) -> None:
        self.mentions = mentions
        for mention in mentions:
            if not _KEPT.fullmatch(line[mention.begin : mention.end]):
                line = line[: mention.begin] + "\x01" * (mention.end - mention.begin) + line[mention.end :]
        # all noise and every price has a digit, and most lines have none
        has_digit = _DIGIT.search(line) is not None
        self.text = _NOISE.sub(lambda noise: " " * len(noise[0]), _LETTER_O.sub("0", line)) if has_digit else line
        self.found = list(self._matches()) if has_digit else []

    def _matches(self) -> Iterable[tuple[re.Pattern[str], re.Match[str]]]:
        """Matches of the rules, each rule on what those before it left."""
        rest, matches = self.text, []
        for rule in _RULES:
            matches += [(rule, match) for match in rule.finditer(rest)]
            for _, match in matches:
                rest = rest[: match.start()] + "\x02" * len(match[0]) + rest[match.end() :]
        alone = [found for found in matches if not self._of_several(found[1])]
        return sorted(alone, key=lambda found: found[1].start())

    def _of_several(self, match: re.Match[str]) -> bool:
        """Whether the price is that of a box (`2 g wit, 5 pil = 60`), or no price but the next amount of one."""
        listed = ", " in match[0] and self.text[match.end() :].lstrip().startswith("\x01")
        return listed or _PACKED.search(self.text[: match.start()]) is not None

    def offers(self, inherited: set[tuple[str, str]]) -> Iterator[Offer]:
        """The offers of the line that belong to one drug; `inherited` are the drugs of the lines above."""
        for rule, match in self.found:
            drugs = self._drugs(match) if self.mentions else inherited
            if len(drugs) != 1:
                continue
            ((drug, label),) = drugs
            is_strength = label == "medicijnen" and (rule in _LADDERS[1:] or (rule is _LADDERS[0] and ":" in match[0]))
            offer = None if is_strength else _offer(drug, label, rule, match)
            if offer is not None:
                yield offer

    def _drugs(self, match: re.Match[str]) -> set[tuple[str, str]]:
        """The drug named last before the end of the amount and price, with those that stand beside it in one list."""
        before = [mention for mention in self.mentions if mention.begin < match.end()]
        if not before:
            return {(mention.drug, mention.label) for mention in self.mentions}
        drugs = {(before[-1].drug, before[-1].label)}
        for left, right in zip(before[-2::-1], before[:0:-1], strict=True):
            between = self.text[left.end : right.begin]
            if re.search(r"\d", between) or len(between) > 5:
                break
            drugs.add((left.drug, left.label))
        return drugs


def _left(line: _Line) -> str:
    """What no price and no unit explains of a line."""
    text = line.text
    for _, match in line.found:
        text = text[: match.start()] + " " * len(match[0]) + text[match.end() :]
    return text


def _offer(drug: str, label: str, rule: re.Pattern[str], match: re.Match[str]) -> Offer | None:
    """The match as an offer; null where the price per unit cannot be meant."""
    parts = match.groupdict()
    kind, factor = _unit(parts.get("unit"), drug, label)
    amount = _number(parts.get("amount") or "1") * factor
    price = _number(parts["price"])
    if rule is _RULES[0]:
        each, each_factor = _unit(parts["each"] or parts["short"] or "st", drug, label)
        amount = amount if parts["amount"] and each == kind else each_factor
        kind, price = each, price * amount / each_factor
    if not amount or (kind == "gram" and (label == "medicijnen" or drug in _NEVER_WEIGHED)):
        return None
    low, high = PLAUSIBLE[_range(kind, drug, label)]
    return Offer(drug, amount, kind, round(price, 2)) if low <= price / amount <= high else None


def _range(unit: str, drug: str, label: str) -> str:
    """The key of the plausible range."""
    if unit == "gram" and drug == "nitrous oxide":
        return "gas"
    return "packet" if unit == "piece" and _usual(drug, label) == "gram" else unit


def _usual(drug: str, label: str) -> str:
    """The unit that a ladder without units means."""
    return "piece" if drug in drug_names.PIECES or drug.endswith("lsd") or label == "medicijnen" else "gram"


def _unit(written: str | None, drug: str, label: str) -> tuple[str, float]:
    """The unit and how many of it one of the written unit is."""
    usual = _usual(drug, label)
    if written is None:
        return usual, 1.0
    for name, (pattern, factor) in _UNITS.items():
        if re.fullmatch(pattern, written):
            return (usual if name == "thousand" else _UNIT_NAMES.get(name, name)), factor
    return "piece", 1.0


def _number(written: str) -> float:
    """A number as Dutch and English ads write it: 1.000, 1 000 and 1,000 are a thousand, 2,5, 2.5 and 1 1/2 are not."""
    if "/" in written and (parts := re.fullmatch(r"(?:(\d) ?)?(\d)/+(\d+)", written)):
        return int(parts[1] or 0) + int(parts[2]) / int(parts[3])
    if re.search("hal[fvb]", written):
        return 0.5
    factor = 1000.0 if written.endswith("k") else 1.0
    plain = written.rstrip("k").replace(" ", "")
    if re.fullmatch(r"\d+(?:[.,]\d{3})+", plain):
        return float(re.sub("[.,]", "", plain))
    return float(plain.replace(",", ".")) * factor
