"""The places that a text may name: GeoNames' Dutch towns, and a reviewed list of what people write for them.

Both lists and the texts are folded alike (`spaced`), so that a name with a blank at either end is a whole word.
"""

from functools import cache
from importlib import resources
from typing import Final

import polars as pl

LARGE: Final = 25_000
"""Inhabitants from which a capital alone tells a town from a common word."""
ABROAD: Final = 50_000
"""Inhabitants assumed of a town abroad: the Dutch namesakes of those on the list are villages."""

_BETWEEN: Final = r"[^\p{L}\p{N}]"
_MARKS: Final = (
    (rf"^{_BETWEEN}+|{_BETWEEN}+$", ""),
    (rf"{_BETWEEN}*[\n|]{_BETWEEN}*", "|"),
    (rf"{_BETWEEN}*:{_BETWEEN}*", ":"),
    (rf"{_BETWEEN}*[.!?;(]{_BETWEEN}*", "."),
    (r"[^\p{L}\p{N}|:.]*[^ \t\p{L}\p{N}|:.][^\p{L}\p{N}|:.]*", ","),
    (r"[ \t]+", " "),
    (r"[|:., ]", " $0"),
)
"""What may stand between two words, most telling first, and the mark that it leaves (see `marked`)."""
_PROVINCE_CODES: Final = {
    "Groningen": ("gn", "gr"),
    "Friesland": ("fr", "friesland", "fryslân"),
    "Drenthe": ("dr", "drenthe"),
    "Overijssel": ("ov", "overijssel"),
    "Flevoland": ("fl", "flevoland"),
    "Gelderland": ("gld", "gelderland"),
    "Utrecht": ("utr", "ut"),
    "Noord-Holland": ("nh", "noord-holland"),
    "Zuid-Holland": ("zh", "zuid-holland"),
    "Zeeland": ("zl", "zld", "zeeland"),
    "Noord-Brabant": ("nb", "br", "brabant", "noord-brabant"),
    "Limburg": ("l", "lb", "li", "limburg"),
}
"""What people put behind a name that more than one place has: `Bergen (NH)`."""


@cache
def provinces() -> pl.DataFrame:
    """The twelve provinces: province, code (ISO 3166-2), population on 1 January 2024 (CBS, table 70072ned)."""
    return pl.read_csv(_data("provinces.csv"))


@cache
def entries() -> pl.DataFrame:
    """Every name and what it may stand for: name (folded), place, province, latitude, longitude, population, kind.

    `kind` is town, common (a town that is also a word), region, province, foreign, code, or never. An alias takes
    the place of a town of that name, unless it is a `twin` of it: one more meaning of the name.
    """
    towns = pl.read_csv(_data("places.csv"), schema_overrides={"latitude": pl.Float64, "longitude": pl.Float64})
    kind = pl.when(pl.col("common") == 1).then(pl.lit("common")).otherwise(pl.lit("town"))
    towns = towns.with_columns(name=folded(pl.col("place")), kind=kind)
    known = _aliases(towns)
    columns = ("name", "place", "province", "latitude", "longitude", "population", "kind")
    instead = known.filter(~pl.col("beside"))
    towns = towns.join(instead.select("name"), on="name", how="anti")
    found = pl.concat([known.select(columns), towns.select(columns)])
    derived = (_told_apart(found), _reversed(found), _prefixed(found))
    return pl.concat([found, *derived]).sort("name", "population", descending=[False, True])


def _aliases(towns: pl.DataFrame) -> pl.DataFrame:
    """The reviewed list as entries; `beside` = the name keeps its other meanings too."""
    aliases = pl.read_csv(_data("place_aliases.csv")).with_columns(name=folded(pl.col("alias")))
    largest = towns.sort("population", descending=True).unique("place", keep="first").rename({"province": "of_place"})
    known = aliases.join(
        largest.select("place", "of_place", "latitude", "longitude", "population"), on="place", how="left"
    )
    abroad = pl.col("kind").str.contains("foreign")
    same = ~abroad & (pl.col("province").is_null() | (pl.col("province") == pl.col("of_place")))
    return known.with_columns(
        pl.coalesce("province", pl.when(~abroad).then("of_place")),
        *(pl.when(same).then(pl.col(name)).alias(name) for name in ("latitude", "longitude")),
        pl.when(abroad).then(ABROAD).otherwise(pl.col("population").fill_null(0)).alias("population"),
        pl.col("kind").str.replace("common-.*", "common").replace("twin", "town"),
        beside=abroad | pl.col("kind").str.contains("twin"),
    )


def _told_apart(found: pl.DataFrame) -> pl.DataFrame:
    """Names of several places, and common words, with the province behind them: these are sure."""
    codes = [(province, code) for province, written in _PROVINCE_CODES.items() for code in written]
    behind = pl.DataFrame(codes, schema=["province", "code"], orient="row").with_columns(code=folded(pl.col("code")))
    several = pl.col("name").is_duplicated() | (pl.col("kind") == "common")
    doubtful = found.filter(several & pl.col("place").is_not_null()).join(behind, on="province")
    return doubtful.with_columns(name=pl.col("name") + pl.col("code"), kind=pl.lit("town")).select(found.columns)


def _reversed(found: pl.DataFrame) -> pl.DataFrame:
    """The large towns written from right to left (`tsieZ`), which some sellers do to pass a filter."""
    plain = (pl.col("kind") == "town") & (pl.col("name").str.strip_chars() == pl.col("place").str.to_lowercase())
    long = found.filter(plain & (pl.col("population") >= LARGE) & (pl.col("name").str.len_chars() >= 7))
    return long.with_columns(pl.col("name").str.reverse())


def _prefixed(found: pl.DataFrame) -> pl.DataFrame:
    """The Arabic names with `and` or `in` before them, which are written as one word with what follows."""
    arabic = found.filter(pl.col("name").str.contains(r"^ \p{Arabic}"))
    return pl.concat([arabic.with_columns(pl.col("name").str.replace("^ ", f" {prefix}")) for prefix in "وب"])


@cache
def kinds() -> dict[str, str]:
    """How sure a name is: the kind of its largest bearer."""
    first = entries().unique("name", keep="first", maintain_order=True)
    return dict(zip(first["name"], first["kind"], strict=True))


@cache
def names() -> list[str]:
    """Every name, the longest first: the order in which Polars prefers patterns that begin at one place."""
    return sorted(entries()["name"].unique(), key=lambda name: (-len(name), name))


@cache
def large() -> list[str]:
    """Names of Dutch places from `LARGE` inhabitants."""
    itself = pl.col("name") == folded(pl.col("place"))
    dutch = entries().filter(itself & (pl.col("population") >= LARGE) & pl.col("province").is_not_null())
    return sorted(set(dutch["name"]))


def marked(text: pl.Expr) -> pl.Expr:
    """Letters and digits with two bytes for everything between: a blank, and a mark that tells what stood there.

    `|` a new line or an end of the text, `:` a colon, `.` an end of a sentence, `,` other signs, else a blank.
    """
    for pattern, mark in _MARKS:
        text = text.str.replace_all(pattern, mark)
    return pl.lit("|") + text + pl.lit(" |")


def spaced(marked_text: pl.Expr) -> pl.Expr:
    """A marked text with blanks for the marks: as many bytes, and alike whatever stood between two words."""
    return marked_text.str.replace_all(r"[|:.,]", " ")


def folded(name: pl.Expr) -> pl.Expr:
    """A name as it is looked up: in lower case, a blank at both ends, two between its words."""
    words = name.str.normalize("NFKC").str.to_lowercase().str.replace_all(f"{_BETWEEN}+", "  ")
    return pl.lit(" ") + words.str.strip_chars(" ") + pl.lit(" ")


def _data(name: str) -> str:
    return str(resources.files("drugscan") / "data" / name)
