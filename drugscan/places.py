"""Places that an ad names as where it sells or delivers: a delivery claim, not a residence.

The gazetteer is GeoNames' Dutch places and a reviewed list of aliases (dial codes, street names, regions). One
Aho-Corasick pass finds every name, longest first; what is ambiguous is settled by its neighbours, and why stands in
the column `reason`. Rules, in this order:

- names inside handles and links, and places that the ad rules out (`niet naar Lelystad`), do not count;
- a name that is also a common word (`best`, `goes`) needs a second clue: a cue before it (`in`, `regio`) together
  with a capital, or another place beside it;
- of several places with one name the one in a province that the text names too counts, else the largest.
"""

from functools import cache
from importlib import resources
from typing import Final

import polars as pl

PLACES: Final = pl.Schema(
    {
        "text_id": pl.Binary,
        "place": pl.String,
        "province": pl.String,
        "latitude": pl.Float64,
        "longitude": pl.Float64,
        "reason": pl.String,
    }
)
"""What `find` gives: one row per text, place and province."""
LARGE: Final = 25_000
"""Inhabitants from which a capital alone tells a town from a common word."""

_HANDLES: Final = r"@\w+|(?:https?://|www\.|t\.me/)\S+|#"
_INVISIBLE: Final = r"[\x{200b}-\x{200f}\x{2060}\x{feff}\x{ad}]"
_WORDS: Final = r"[^\p{L}\p{N}]+"
_CUE: Final = (
    r"(?:^| )(?:in|te|regio|omgeving|omg|rond|rondom|vanuit|naar|bezorging|bezorgen|bezorgd|afhalen|ophalen|rijden|"
    r"rijdt|locatie|loc|stad|richting|heel|hele|pu|pin|delivery|uit|around|near)(?:  de|  het)?$"
)
_GAP: Final = 4
"""Bytes between two names that stand in one list: a comma, a slash, or `en`."""
_EXCLUDED: Final = (
    r"(?:^| )(?:niet|geen|behalve|except|not|nooit|never)(?:  (?:meer|naar|in|to|te|richting|voor|aan))*$"
)
_NATIONAL: Final = (
    r"(?i)\b(?:heel|hele|door|all over|whole|entire|all of|across|in|binnen|through)\s+(?:the\s+)?"
    r"(?:nl|nederland|netherlands|holland|the netherlands)\b|\blandelijke?\b|\bhele?\s+land\b|"
    r"\bdoor het (?:hele )?land\b|"
    r"\bnederland\s*(?:&|en|\+|/)\s*belgi|\bnl\s*(?:&|en|\+|/)\s*be\b|\bnationwide\b|🇳🇱"
)


def find(texts: pl.DataFrame) -> pl.DataFrame:
    """Places of ads: in `text_id`, `text` (canonical); out `PLACES`, sorted by text. Provinces alone give no row."""
    rows = _mentions(texts).filter(pl.col("place").is_not_null())
    return rows.select(PLACES.names()).unique(["text_id", "place", "province"], keep="first", maintain_order=True)


def regions(texts: pl.DataFrame) -> pl.DataFrame:
    """One row per text: `text_id`, `provinces` (distinct, sorted; empty if none), `national` (the whole country)."""
    rows = _mentions(texts).filter(pl.col("province").is_not_null())
    named = rows.group_by("text_id").agg(pl.col("province").unique().sort().alias("provinces"))
    none = pl.lit([], dtype=pl.List(pl.String))
    return (
        texts.select("text_id", national=pl.col("text").str.contains(_NATIONAL))
        .join(named, on="text_id", how="left", maintain_order="left")
        .select("text_id", pl.col("provinces").fill_null(none), "national")
    )


@cache
def provinces() -> pl.DataFrame:
    """The twelve provinces: province, code (ISO 3166-2), population on 1 January 2024 (CBS, table 70072ned)."""
    return pl.read_csv(_data("provinces.csv"))


@cache
def gazetteer() -> pl.DataFrame:
    """Every name and what it may stand for: name (folded), place, province, latitude, longitude, population, kind.

    `kind` is town, common (a town that is also a word), region, province, foreign, code, or never.
    """
    towns = pl.read_csv(_data("places.csv"), schema_overrides={"latitude": pl.Float64, "longitude": pl.Float64})
    towns = towns.with_columns(
        name=_folded("place"), kind=pl.when(pl.col("common") == 1).then(pl.lit("common")).otherwise(pl.lit("town"))
    )
    aliases = pl.read_csv(_data("place_aliases.csv")).with_columns(name=_folded("alias"))
    largest = towns.sort("population", descending=True).unique("place", keep="first").rename({"province": "of_place"})
    known = aliases.join(
        largest.select("place", "of_place", "latitude", "longitude", "population"), on="place", how="left"
    )
    same = pl.col("province").is_null() | (pl.col("province") == pl.col("of_place"))
    known = known.with_columns(
        pl.coalesce("province", "of_place"),
        *(pl.when(same).then(pl.col(name)).alias(name) for name in ("latitude", "longitude")),
        pl.col("population").fill_null(0),
        pl.col("kind").replace("common-region", "common"),
    )
    columns = ("name", "place", "province", "latitude", "longitude", "population", "kind")
    towns = towns.join(known.select("name"), on="name", how="anti")
    return pl.concat([known.select(columns), towns.select(columns)]).sort(
        "name", "population", descending=[False, True]
    )


def _data(name: str) -> str:
    return str(resources.files("drugscan") / "data" / name)


def _spaced(text: pl.Expr) -> pl.Expr:
    """Letters and digits with two blanks for everything between: a name with a blank at either end is a whole word."""
    return pl.lit(" ") + text.str.normalize("NFKC").str.replace_all(_WORDS, "  ").str.strip_chars(" ") + pl.lit(" ")


def _ascii(text: pl.Expr) -> pl.Expr:
    """The text with every other letter as as many `x` as it has bytes: any cut of it is valid UTF-8."""
    for letters, bytes_ in (("\\x{80}-\\x{7FF}", 2), ("\\x{800}-\\x{FFFF}", 3), ("\\x{10000}-\\x{10FFFF}", 4)):
        text = text.str.replace_all(f"[{letters}]", "x" * bytes_)
    return text


def _folded(column: str) -> pl.Expr:
    return _spaced(pl.col(column)).str.to_lowercase()


def _mentions(texts: pl.DataFrame) -> pl.DataFrame:
    """Every mention that counts, with its meaning: `PLACES`; `place` is null for a bare province."""
    visible = pl.col("text").str.replace_all(_INVISIBLE, "")
    cleaned = visible.str.replace_all(_HANDLES, " ").str.replace_all("📍", " pin ")
    frame = texts.select("text_id", cased=_spaced(cleaned)).with_row_index("row")
    frame = frame.with_columns(folded=pl.col("cased").str.to_lowercase(), plain=_ascii(pl.col("cased")).cast(pl.Binary))
    names = _names()
    frame = frame.with_columns(
        name=pl.col("folded").str.extract_many(names, leftmost=True),
        at=pl.col("folded").str.find_many(names, leftmost=True),
    )
    found = frame.explode("name", "at", empty_as_null=False).filter(pl.col("name").is_not_null())
    return _meanings(_settled(_with_context(found)))


def _with_context(found: pl.DataFrame) -> pl.DataFrame:
    """What stands around each mention: capital, cue, exclusion, whether another place stands beside it."""
    end = pl.col("at") + pl.col("name").str.len_bytes()
    before = pl.col("plain").bin.slice((pl.col("at").cast(pl.Int64) - 28).clip(0), pl.min_horizontal(pl.col("at"), 28))
    known = found.with_columns(
        before=before.cast(pl.String).str.to_lowercase().str.strip_chars_end(" "),
        begins=pl.col("plain").bin.slice(pl.col("at") + 1, 1).cast(pl.String),
        after=pl.col("plain").bin.slice(end, 3).cast(pl.String),
        end=end,
        kind=pl.col("name").replace_strict(_kinds(), default=None, return_dtype=pl.String),
    )
    gap = pl.col("at") - pl.col("end").shift(1).over("row", order_by="at")
    row_ends = pl.col("row").ne_missing(pl.col("row").shift(1))
    sure = pl.col("kind").is_in(["town", "region", "province", "code", "foreign"])
    known = known.sort("row", "at").with_columns(sure=sure, run=(row_ends | (gap > _GAP).fill_null(True)).cum_sum())
    return known.with_columns(
        capital=pl.col("begins").str.contains(r"\p{Lu}").fill_null(False),
        cue=pl.col("before").str.contains(_CUE),
        excluded=pl.col("before").str.contains(_EXCLUDED),
        beside=pl.col("sure").any().over("run"),
    )


@cache
def _kinds() -> dict[str, str]:
    """How sure a name is: the kind of its largest bearer."""
    first = gazetteer().unique("name", keep="first", maintain_order=True)
    return dict(zip(first["name"], first["kind"], strict=True))


@cache
def _names() -> list[str]:
    """Every name, the longest first: the order in which Polars prefers patterns that begin at one place."""
    return sorted(gazetteer()["name"].unique(), key=lambda name: (-len(name), name))


@cache
def _large() -> set[str]:
    return set(gazetteer().filter(pl.col("population") >= LARGE)["name"])


def _settled(found: pl.DataFrame) -> pl.DataFrame:
    """The mentions that count, with the reason."""
    large = pl.col("name").is_in(sorted(_large()))
    common = (
        pl.when(pl.col("beside"))
        .then(pl.lit("beside another place"))
        .when(pl.col("capital") & pl.col("cue"))
        .then(pl.lit("cue"))
        .when(large & (pl.col("capital") | pl.col("cue")))
        .then(pl.lit("large town"))
    )
    code = pl.when(~pl.col("after").str.contains(r"^ ?\d")).then(pl.lit("dial code"))
    reason = (
        pl.when(pl.col("excluded") | (pl.col("kind") == "never"))
        .then(None)
        .when(pl.col("kind") == "common")
        .then(common)
        .when(pl.col("kind") == "code")
        .then(code)
        .otherwise(pl.lit("unique"))
    )
    return found.with_columns(reason=reason).filter(pl.col("reason").is_not_null())


def _meanings(found: pl.DataFrame) -> pl.DataFrame:
    """Each mention as one place: of several with the name, that in a province named beside it, else the largest."""
    meant = found.select("row", "text_id", "at", "name", "reason").join(gazetteer(), on="name", how="left")
    meant = meant.with_columns(choices=pl.len().over("row", "at"))
    sure = meant.filter(pl.col("choices") == 1).select("row", "province", near=pl.lit(True)).unique()
    meant = meant.join(sure, on=["row", "province"], how="left").with_columns(pl.col("near").fill_null(False))
    chosen = meant.sort("row", "at", "near", "population", descending=[False, False, True, True])
    chosen = chosen.unique(["row", "at"], keep="first", maintain_order=True)
    twin = pl.when(pl.col("near")).then(pl.lit("with ") + pl.col("province")).otherwise(pl.lit("largest"))
    return chosen.with_columns(reason=pl.when(pl.col("choices") > 1).then(twin).otherwise(pl.col("reason")))
