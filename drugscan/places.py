"""Places that an ad names as where it sells or delivers: a delivery claim, not a residence.

One Aho-Corasick pass finds every name of the gazetteer, longest first, in the text and, where it hides its words, in
its plain form too. What is ambiguous is settled by what stands around it; why stands in the column `reason`:

- names inside handles and links, and places that the ad rules out (`niet naar Lelystad`), do not count;
- a name that is also a common word (`best`, `goes`) needs a second clue: another place beside it that is not written
  larger (`Lelystad echt`), a line of its own, `centrum` or `e.o.` behind it, or a cue before it (`in`, `regio`)
  together with a capital;
- of several places with one name the one in a province that the text names too counts, else the largest.
"""

from typing import Final

import polars as pl

from drugscan import disguises, gazetteer
from drugscan.national import NATIONAL

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

_HANDLES: Final = r"(^|[^\p{L}\p{N}_])@\w+|[\w.]+@\w{6,}|(?:https?://|www\.|t\.me/)\S+"
_INVISIBLE: Final = r"[\x{200b}-\x{200f}\x{2060}\x{feff}\x{ad}\x{300}-\x{36f}\x{20d0}-\x{20ff}]"
"""Characters of no width, and the strokes that are laid over letters."""
_CUT: Final = r"(\p{L})-\n(\p{L})"
"""A word cut at the end of a line."""
_CUE: Final = (
    r"(?:^|[ |:.,])(?:in|te|regio|omgeving|omg|rond|rondom|vanuit|naar|bezorging|bezorgen|bezorgd|afhalen|ophalen|"
    r"rijden|rijdt|locatie|loc|stad|richting|heel|hele|pu|pin|delivery|uit|around|near)(?:  de|  het)?$"
)
_GAP: Final = 4
"""Bytes between two names that stand in one list: a comma, a slash, or `en`."""
_NAMED_BEHIND: Final = (
    r"^[ ,:.](?:e[ ,.]{1,2}o|eo|en {1,2}omstreken|omstreken|en {1,2}omgeving|centrum|station|cs|stad)[ |]"
)
"""What makes a place of a common word that stands before it: `centrum`, `e.o.`."""
_EXCLUDED: Final = (
    r"(?:^|[ |:.,])(?:terug  uit|niet|geen|gxxxxn|behalve|uitgezonderd|except|not|nooit|never|sauf|"
    r"auxer|auxxer|ausser|nicht)"
    r"(?:  (?:meer|naar|in|to|te|richting|voor|aan|xx|nach))*[ :]*$"
)
"""Before a place: it is ruled out, as is the rest of the list."""
_REFUSED: Final = (
    r"^(?:[ ,]{1,2}(?:zelf|stad|centrum))?(?:[ ,]{1,2}(?:doen|doe|bezorgen|rijden|rijd|komen|leveren)  (?:we|wij|ik))?"
    r"[ ,]{1,2}(?:niet|nie|nee|no|nxxo|nao|nicht|hayxxr|(?:is  )?te  ver|zu  weit)(?: [|:.,]|  meer|  je|  want|$)"
)
"""Behind a place: the seller does not come there."""
_PRODUCT: Final = r"^ (?:Haze|Cheese|Diesel|Kush|Skunk|[Ff]lavou?r|[Ss]maak|[Ss]tyle|[Bb]luf|[Bb]ier|[Kk]aas|FC|Ajax)\b"
"""Behind a place: it is part of the name of what is sold."""
_GUESTS: Final = r"(?:^|[ |:.,])(?:uit|from|aus|van)(?:  de)?$"
"""Before a place abroad: where the buyers come from, or the drugs."""
_ORIGIN: Final = (
    r"(?:^|[ |:.,])(?:(?:neef(?:je)?|nicht(?:je)?|zwager|broer(?:tje)?|zus(?:je)?|oom|ome|tante|opa|oma|ma|pa|moeder|"
    r"vader|zoon|dochter|mannetje|collega|cousin|brother|sister|uncle)  (?:uit|in|van|from|aus)|"
    r"(?:ik  kom|weg|niemand|i  am)  (?:uit|from))(?:  de|  het)?$"
)
"""Before a place: a relative lives there, or the seller is from there."""
_AMOUNT: Final = r"^(?:[ ,:.][1-9]\d\d|  ?(?:g|gr|gram|st|stuks|ml|mg)\b)"
"""Behind three digits: no dial code but a telephone number, or an amount."""


def find(texts: pl.DataFrame) -> pl.DataFrame:
    """Places of ads: in `text_id`, `text` (canonical); out `PLACES`, sorted by text. Provinces alone give no row."""
    return _places(_mentions(_readings(texts)))


def regions(texts: pl.DataFrame) -> pl.DataFrame:
    """One row per text: `text_id`, `provinces` (distinct, sorted; empty if none), `national` (the whole country)."""
    return claims(texts)[1]


def claims(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `find` and `regions` give, from one reading of the texts."""
    readings = _readings(texts)
    mentions = _mentions(readings)
    return _places(mentions), _regions(texts, readings, mentions)


def _places(mentions: pl.DataFrame) -> pl.DataFrame:
    rows = mentions.filter(pl.col("place").is_not_null())
    return rows.select(PLACES.names()).unique(["text_id", "place", "province"], keep="first", maintain_order=True)


def _regions(texts: pl.DataFrame, readings: pl.DataFrame, mentions: pl.DataFrame) -> pl.DataFrame:
    rows = mentions.filter(pl.col("province").is_not_null())
    named = rows.group_by("text_id").agg(pl.col("province").unique().sort().alias("provinces"))
    none = pl.lit([], dtype=pl.List(pl.String))
    national = readings.group_by("number", maintain_order=True).agg(pl.col("text").str.contains(NATIONAL).any())
    return (
        texts.select("text_id", national=national["text"])
        .join(named, on="text_id", how="left", maintain_order="left")
        .select("text_id", pl.col("provinces").fill_null(none), "national")
    )


def names(texts: pl.DataFrame) -> pl.DataFrame:
    """What each text calls the places and provinces that count: `text_id`, `name` (lower case, blanks around)."""
    return _mentions(_readings(texts)).select("text_id", "name").unique(maintain_order=True)


def _readings(texts: pl.DataFrame) -> pl.DataFrame:
    """The texts as they can be read, one or two rows each, in their order: `number`, `text_id`, `text`."""
    visible = pl.col("text").str.normalize("NFKC").str.replace_all(_INVISIBLE, "").str.replace_all(_HANDLES, "$1 @ ")
    visible = visible.str.replace_all(_CUT, "$1$2")
    seen = texts.select("text_id", text=visible).with_row_index("number")
    hidden = seen.filter(pl.col("text").str.contains(disguises.SUSPECT))
    plain = pl.Series("text", [disguises.undisguised(text) for text in hidden["text"]], pl.String)
    return pl.concat([seen, hidden.with_columns(plain)]).sort("number", maintain_order=True)


def _ascii(text: pl.Expr) -> pl.Expr:
    """The text with every other letter as as many `x` as it has bytes: any cut of it is valid UTF-8."""
    for letters, bytes_ in (("\\x{80}-\\x{7FF}", 2), ("\\x{800}-\\x{FFFF}", 3), ("\\x{10000}-\\x{10FFFF}", 4)):
        text = text.str.replace_all(f"[{letters}]", "x" * bytes_)
    return text


def _mentions(readings: pl.DataFrame) -> pl.DataFrame:
    """Every mention that counts, with its meaning: `PLACES`; `place` is null for a bare province."""
    # a red light before a town: not there today
    pinned = pl.col("text").str.replace_all("📍", " pin ").str.replace_all("[🔴🚫⛔]", " niet ")
    frame = readings.with_columns(marked=gazetteer.marked(pinned)).with_row_index("row")
    frame = frame.with_columns(
        folded=gazetteer.spaced(pl.col("marked")).str.to_lowercase(), plain=_ascii(pl.col("marked")).cast(pl.Binary)
    )
    names = gazetteer.names()
    frame = frame.with_columns(
        name=pl.col("folded").str.extract_many(names, leftmost=True),
        at=pl.col("folded").str.find_many(names, leftmost=True),
    )
    found = frame.drop("text").explode("name", "at", empty_as_null=False).filter(pl.col("name").is_not_null())
    return _meanings(_settled(_in_lists(_with_context(found))))


def _with_context(found: pl.DataFrame) -> pl.DataFrame:
    """What stands around each mention: `before` and `after` it, in lower case, and whether it has a capital."""
    end = pl.col("at") + pl.col("name").str.len_bytes()
    before = pl.col("plain").bin.slice((pl.col("at").cast(pl.Int64) - 28).clip(0), pl.min_horizontal(pl.col("at"), 28))
    kinds = gazetteer.kinds()
    return found.with_columns(
        before=before.cast(pl.String).str.to_lowercase().str.strip_chars_end(" "),
        mark=pl.col("plain").bin.slice(pl.col("at"), 1).cast(pl.String),
        capital=pl.col("plain").bin.slice(pl.col("at") + 1, 1).cast(pl.String).str.contains(r"\p{Lu}").fill_null(False),
        after=pl.col("plain").bin.slice(end, 32).cast(pl.String),
        end=end,
        kind=pl.col("name").replace_strict(kinds, default=None, return_dtype=pl.String),
    )


def _in_lists(found: pl.DataFrame) -> pl.DataFrame:
    """Mentions with what their list tells: `beside` a sure place, `excluded` with it, only `provinces` in it."""
    found = found.sort("row", "at")
    gap = pl.when(pl.col("row") == pl.col("row").shift(1)).then(pl.col("at") - pl.col("end").shift(1))
    begins = (gap > _GAP).fill_null(True) | ((gap > 0) & pl.col("before").str.ends_with("  in"))
    sentence = begins | pl.col("mark").is_in([".", "|", ":"])
    sure = pl.col("kind").is_in(["town", "region", "province", "code", "foreign"])
    known = found.with_columns(sure=sure, gap=gap, begins=begins, run=begins.cum_sum(), sentence=sentence.cum_sum())
    before = pl.col("before") + pl.col("mark").str.strip_chars()
    guests = (pl.col("kind") == "foreign") & before.str.contains(_GUESTS)
    nearby = pl.col("before").str.contains(r"[ ,.]bij$") & (pl.col("gap") < 9)
    province = pl.col("kind") == "province"
    small = pl.col("sure") & ~pl.col("capital")
    same_name = pl.col("name").is_in([" groningen ", " utrecht "])
    return known.with_columns(
        beside=pl.when("capital").then(pl.col("sure").any().over("run")).otherwise(small.any().over("run")),
        named=pl.col("sure").any().over("row"),
        excluded=(guests | before.str.contains(_EXCLUDED)).cum_max().over("sentence", order_by="at")
        | pl.col("after").str.to_lowercase().str.contains(_REFUSED)
        | pl.col("after").str.contains(_PRODUCT)
        | nearby.fill_null(False)
        | before.str.contains(_ORIGIN),
        provinces=same_name & province.any().over("run") & (province | same_name).all().over("run"),
    )


def _settled(found: pl.DataFrame) -> pl.DataFrame:
    """The mentions that count, with the reason."""
    code = pl.when(
        ~pl.col("after").str.contains(_AMOUNT) & ~((pl.col("mark") == ".") & pl.col("before").str.contains(r"\d$"))
    ).then(pl.lit("dial code"))
    reason = (
        pl.when(pl.col("excluded") | (pl.col("kind") == "never"))
        .then(None)
        .when(pl.col("kind") == "common")
        .then(_clue())
        .when(pl.col("kind") == "code")
        .then(code)
        .otherwise(pl.lit("unique"))
    )
    return found.with_columns(reason=reason).filter(pl.col("reason").is_not_null())


def _clue() -> pl.Expr:
    """What tells a place from the common word; null if nothing does."""
    large = pl.col("name").is_in(gazetteer.large())
    capital = pl.col("capital") | large
    cue = pl.col("before").str.contains(_CUE) & pl.col("mark").is_in([" ", ","])
    own_line = (pl.col("mark") == "|") & pl.col("after").str.contains(r"^[|:]")
    return (
        pl.when(pl.col("beside"))
        .then(pl.lit("beside another place"))
        .when(pl.col("capital") & (cue | (pl.col("named") & (pl.col("mark") == ","))))
        .then(pl.lit("cue"))
        .when(large & (pl.col("capital") | cue))
        .then(pl.lit("large town"))
        .when(capital & own_line)
        .then(pl.lit("own line"))
        .when(capital & pl.col("after").str.to_lowercase().str.contains(_NAMED_BEHIND))
        .then(pl.lit("centre or surroundings"))
    )


def _meanings(found: pl.DataFrame) -> pl.DataFrame:
    """Each mention as one place: of several with the name, that in a province named beside it, else the largest."""
    meant = found.select("row", "number", "text_id", "at", "name", "reason", "provinces").join(
        gazetteer.entries(), on="name", how="left", maintain_order="left"
    )
    meant = meant.with_columns(choices=pl.len().over("row", "at"), land=pl.col("province").fill_null("abroad"))
    sure = meant.filter(pl.col("choices") == 1).select("number", "land", near=pl.lit(True)).unique()
    meant = meant.join(sure, on=["number", "land"], how="left").with_columns(pl.col("near").fill_null(False))
    chosen = meant.sort("row", "at", "near", "population", descending=[False, False, True, True])
    chosen = chosen.unique(["row", "at"], keep="first", maintain_order=True)
    chosen = chosen.with_columns(pl.when(~pl.col("provinces")).then("place"))
    twin = (pl.when(pl.col("near")).then(pl.lit("with ") + pl.col("province").fill_null("a place abroad"))).otherwise(
        pl.lit("largest")
    )
    return chosen.with_columns(reason=pl.when(pl.col("choices") > 1).then(twin).otherwise(pl.col("reason")))
