"""Names of the drugs that an ad offers: chemical names, brands, street names and emoji, as one canonical name each.

For NAMING ONLY: the lexicon never decides whether a message is an ad (that is the model's affair), it is read after
the fact, on ads alone. One Aho-Corasick pass finds every name in the folded text (disguises undone), longest first.
What counts, in this order:

- a name is a whole word, and not a part of a handle or a link;
- a name of kind `ambiguous` (also a common word: `wit`, `poes`, `speed`) or `emoji` counts only where the ad has the
  label of the drug, and not at all where two drugs fit;
- a colour or a form right beside the name of another drug (`roze xtc`, `lsd zegels`) describes that drug;
- a word for pills or trips that after a number counts a drug sold by the piece (`Viagra 10 pillen`) is its unit;
- what is ruled out (`geen coke`, `UIT: 4-FA`) or gone (`coke op`) is not offered, as far as a cue beside it tells.
"""

from functools import cache
from importlib import resources
from typing import Final

import polars as pl

from drugscan.models.features import folded_text
from drugscan.schema import KIND_LABELS

DRUGS: Final = pl.Schema({"text_id": pl.Binary, "drug": pl.String, "label": pl.String})
"""What `find` gives: one row per text and drug; `label` is the drug's own among the eight."""
MENTIONS: Final = pl.Schema(
    {"text_id": pl.Binary, "drug": pl.String, "label": pl.String, "begin": pl.Int64, "end": pl.Int64}
)
"""What `mentions` gives: one row per name that counts; `begin` and `end` are offsets in `plain`."""

_HANDLES: Final = r"(?:^|[^a-z0-9])(?:@\w+|(?:https?://|www\.|t\.me/)\S+)"
_BEFORE_BYTES: Final = 36
_RULED_OUT: Final = (
    r"\b(?:(?:geen|kein|keine|without|zonder|pas de|nee geen|no|niet)(?: (?:meer|echte|losse|any|more|een))?"
    r"|zoek|zoeken|gezocht|look for|looking for|stead of|in plaats van|ruilen voor|liever dan|deed ik|voor wie)"
    r"[ ~'\"*]*$"
)
_LINE_OUT: Final = (
    r"(?:^|\n)[ ~*\-]*(?:uit|out|op|uitverkocht|sold out|verwacht|expected|coming soon|binnenkort) ?:[^\n]*$"
)
PIECES: Final = ("xtc", "lsd", "2c-b", "4-fa", "edibles", "crack", "khat", "2c-b-fly")
"""Drugs counted in pieces; kin of LSD, and all medicines, are counted in pieces too."""
_GONE: Final = (
    r"^[ ~'\"]*(?:is |zijn |are )?(?:(?:helaas|nu|even|weer|tijdelijk) )?"
    r"(?:op|weg|uitverkocht|sold out|out of stock|gestopt|gone|finished|niet meer|nee|ausverkauft|brak)"
    r" *(?:[,.;:!)~\n]|$)"
)
_DESCRIBING: Final = (
    "wit", "witte", "white", "bruin", "bruine", "brown", "groen", "groene", "green", "snelle", "pil", "pillen", "pills",
    "pilletje", "pilletjes", "tabs", "zegel", "zegels", "blotter", "blotters", "trips", "druppels", "pasta", "paste",
    "ice", "base", "bar", "bars", "stuff", "dry", "natte", "vape", "vapes", "carts", "gummies", "naalden", "ballonnen",
    "tank", "tanks", "cilinder", "champagne", "kristal", "snoepjes", "chocolade", "flakes", "poeier", "afghaan",
)  # fmt: skip
"""Ambiguous names that, right beside another drug's name, say how that drug looks or comes."""
_UNITS_NAMED: Final = (
    "pil", "pillas", "pillekes", "pillen", "piller", "pilletje", "pilletjes", "pilletjs", "pillies", "pillle", "pilln",
    "pills", "pilltjes", "tabs", "zegel", "zegels", "zegeltjes", "blotter", "blotters", "tripje", "tripjes", "trips",
)  # fmt: skip
"""Ambiguous names that, after a number, count pieces of the drug named before (`Viagra 10 pillen`)."""
_PIECE: Final = rf"(?:{'|'.join(_UNITS_NAMED)})"
_BETWEEN: Final = r"[^a-z\n,+&]|[0-9],[0-9]|\n[^a-z\s]|mg,?|eur|euros?|voor|for|x|st|stuks?|strips?"
_COUNTED: Final = rf"^(?:{_BETWEEN})*(?:{_PIECE}(?:{_BETWEEN}|[,+&]|{_PIECE})*)?[^a-z0-9.,\-][0-9]+ ?(?:x )?$"
"""What stands between a drug and such a word: numbers and units, a number last, no empty line; a comma or plus only in
a ladder (`Xanax 10 pillen 15, 20 pillen 25`), as another name may begin there (`oxy 40, 5x pil`)."""


@cache
def lexicon() -> pl.DataFrame:
    """The reviewed lexicon: name (as written), drug (canonical), label (one of the four kinds), kind.

    `kind` is word (counts on every ad), ambiguous or emoji (count only with the label).
    """
    return pl.read_csv(str(resources.files("drugscan") / "data" / "drug_names.csv"))


def plain_texts(texts: pl.DataFrame) -> pl.DataFrame:
    """Ads as they are read here: the columns but `text`, with `folded` and `plain`.

    `folded` has disguises undone and handles and links blanked. `plain` is as long in bytes, but ASCII: € is `eur`,
    a dash ` - `, the bar of ½ `///`, another letter `x` for each of its bytes, an emoji `~` for each.
    """
    folded = pl.Series("folded", [folded_text(text) for text in texts["text"]], dtype=pl.String)
    frame = texts.drop("text").with_columns(folded.str.replace_all(_HANDLES, " "))
    return frame.with_columns(plain=_plain(pl.col("folded")))


def mentions(ads: pl.DataFrame) -> pl.DataFrame:
    """Every name that counts: in `plain_texts` with the eight labels; out `MENTIONS`, in the order of the texts."""
    frame = ads.with_row_index("row").with_columns(keyed=pl.lit(" ") + _keyed(pl.col("folded")))
    names = _patterns()["pattern"].to_list()
    frame = frame.with_columns(
        pattern=pl.col("keyed").str.extract_many(names, leftmost=True),
        at=pl.col("keyed").str.find_many(names, leftmost=True),
    )
    found = frame.explode("pattern", "at", empty_as_null=False).filter(pl.col("pattern").is_not_null())
    known = _with_context(found.join(_patterns(), on="pattern", how="left", maintain_order="left"))
    meant = known.explode("meanings", empty_as_null=False).unnest("meanings")
    fits = pl.concat_list([pl.when(pl.col(label)).then(pl.lit(label)) for label in KIND_LABELS])
    meant = meant.filter(
        pl.col("whole") & ~pl.col("out") & ((pl.col("kind") == "word") | fits.list.contains(pl.col("label")))
    )
    clear = meant.filter(pl.col("drug").n_unique().over("row", "begin") == 1)
    return _without_units(_without_descriptions(clear)).select(MENTIONS.names())


def drugs_of(found: pl.DataFrame) -> pl.DataFrame:
    """The distinct drugs of texts: in `MENTIONS`, out `DRUGS`."""
    return found.select(DRUGS.names()).unique(["text_id", "drug"], keep="first", maintain_order=True)


def find(texts: pl.DataFrame) -> pl.DataFrame:
    """Drugs that ads offer by name: in `text_id`, `text` (canonical) and the eight labels; out `DRUGS`."""
    return drugs_of(mentions(plain_texts(texts)))


def _with_context(found: pl.DataFrame) -> pl.DataFrame:
    """Where each name begins and ends, whether it is a whole word, and whether a cue beside it rules it out."""
    begin = pl.col("at").cast(pl.Int64) - pl.when(pl.col("pattern").str.starts_with(" ")).then(0).otherwise(1)
    size = pl.col("pattern").str.strip_chars(" ").str.len_bytes().cast(pl.Int64)
    found = found.with_columns(begin=begin, end=begin + size, bytes=pl.col("plain").cast(pl.Binary))
    start = (pl.col("begin") - _BEFORE_BYTES).clip(0)
    before = pl.col("bytes").bin.slice(start, pl.min_horizontal(pl.col("begin"), _BEFORE_BYTES)).cast(pl.String)
    after = pl.col("bytes").bin.slice(pl.col("end"), 24).cast(pl.String)
    digits_may_follow = (size >= 3) & pl.col("pattern").str.contains("[a-z]$")
    inside = after.str.contains("^[a-z]") | (after.str.contains(r"^\d") & ~digits_may_follow)
    return found.with_columns(
        whole=pl.col("pattern").str.starts_with(" ").not_() | ~inside,
        out=before.str.contains(_RULED_OUT) | before.str.contains(_LINE_OUT) | after.str.contains(_GONE),
    )


def _sold_by_piece() -> pl.Expr:
    """Whether the drug (`drug`, `label`) is a medicine, or one that is counted in pieces."""
    drug = pl.col("drug")
    return (pl.col("label") == "medicijnen") | drug.is_in(PIECES) | drug.str.ends_with("lsd")


def _without_units(clear: pl.DataFrame) -> pl.DataFrame:
    """The mentions but those that count pieces of the drug before them: `Viagra 10 pillen 15` names no xtc."""
    rows = clear.sort("row", "begin")
    is_unit = (pl.col("kind") == "ambiguous") & pl.col("name").is_in(_UNITS_NAMED)
    held = [pl.when(~is_unit).then(each).forward_fill().over("row") for each in (pl.col("end"), _sold_by_piece())]
    rows = rows.with_columns(since=held[0], pieces=held[1])
    size = pl.when(is_unit).then(pl.col("begin") - pl.col("since")).otherwise(0)
    between = pl.col("bytes").bin.slice(pl.col("since"), size).cast(pl.String)
    counts = is_unit & pl.col("pieces") & between.str.contains(_COUNTED)
    return rows.filter(~counts.fill_null(False))


def _without_descriptions(clear: pl.DataFrame) -> pl.DataFrame:
    """The mentions but those that describe a drug named right beside them (one blank or hyphen between)."""
    rows = clear.sort("row", "begin").unique(["row", "begin"], keep="first", maintain_order=True)
    joint = (pl.col("begin") - pl.col("end").shift(1).over("row") <= 1).fill_null(False)
    describes = (pl.col("kind") == "ambiguous") & pl.col("name").is_in(_DESCRIBING)
    between = pl.col("bytes").bin.slice((pl.col("begin") - 1).clip(0), 1).cast(pl.String)
    rows = rows.with_columns(describes=describes, joint=joint & between.is_in([" ", "-"]))
    rows = rows.with_columns(run=(~pl.col("joint")).cum_sum())
    return rows.filter(~pl.col("describes") | pl.col("describes").all().over("run"))


@cache
def _patterns() -> pl.DataFrame:
    """What is looked for: pattern (a word with a blank before it; an emoji bare), name, meanings; the longest first."""
    rows: dict[str, dict[str, dict[str, str]]] = {}
    names: dict[str, str] = {}
    for patterns, (name, drug, label, kind) in zip(_spellings(lexicon()), lexicon().iter_rows(), strict=True):
        for pattern in patterns:
            rows.setdefault(pattern, {})[drug] = {"drug": drug, "label": label, "kind": kind}
            names.setdefault(pattern, name)
    ordered = sorted(rows, key=lambda pattern: (-len(pattern.encode()), pattern))
    return pl.DataFrame(
        {
            "pattern": ordered,
            "name": [names[pattern] for pattern in ordered],
            "meanings": [list(rows[pattern].values()) for pattern in ordered],
        }
    )


def _spellings(names: pl.DataFrame) -> list[set[str]]:
    """Each name as it may stand in a folded text: with and without accents, and closed up."""
    accents = str.maketrans("áàâäéèêëíìîïóòôöúùûüçñıłşğ", "aaaaeeeeiiiioooouuuucnilsg")
    forms = [(folded := folded_text(name), folded.translate(accents), name.lower()) for name in names["name"]]
    # one expression over all names: one for each of them takes five times as long, in every worker
    spaced = pl.Series("spaced", forms, pl.List(pl.String)).list.eval(_keyed(pl.element()))
    each = []
    for name, kind, keyed in names.select("name", "kind", spaced).iter_rows():
        closed = {form.replace(" ", "") for form in keyed if kind == "word" and len(form.replace(" ", "")) > 3}
        each.append({name} if kind == "emoji" else {f" {form}" for form in {*keyed, *closed}})
    return each


def _keyed(text: pl.Expr) -> pl.Expr:
    """The text with a blank for every byte that is of no letter, digit, mark or symbol: lengths in bytes stay."""
    text = text.str.replace_all(r"[\x00-\x7f&&[^a-z0-9]]", " ")
    for size, letters in ((2, r"\x{80}-\x{7ff}"), (3, r"\x{800}-\x{ffff}")):
        text = text.str.replace_all(rf"[{letters}&&[\p{{P}}\p{{Z}}\p{{Sm}}\p{{Sc}}]]", " " * size)
    return text


def _plain(text: pl.Expr) -> pl.Expr:
    """ASCII of the same length in bytes; see `plain_texts`."""
    text = text.str.replace_all("€", "eur", literal=True).str.replace_all("[‐-―−➔→➡]", " - ")
    text = text.str.replace_all("[·•▪▫]", " / ").str.replace_all("⁄", "///")
    for size, letters in ((2, r"\x{80}-\x{7ff}"), (3, r"\x{800}-\x{ffff}"), (4, r"\x{10000}-\x{10ffff}")):
        text = text.str.replace_all(rf"[{letters}&&[\p{{L}}\p{{M}}\p{{N}}]]", "x" * size)
        text = text.str.replace_all(rf"[{letters}]", "~" * size)
    return text
