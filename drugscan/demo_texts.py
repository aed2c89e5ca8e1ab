"""Texts of the demo: the authored messages with places, prices and handles exchanged, and small talk recombined."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from drugscan.text import canonical

PLACES: Final = {
    "Groningen": ("Groningen", "Hoogezand", "Veendam", "Winschoten", "Delfzijl", "Appingedam"),
    "Friesland": ("Leeuwarden", "Drachten", "Heerenveen", "Sneek", "Harlingen", "Franeker"),
    "Drenthe": ("Emmen", "Hoogeveen", "Meppel", "Coevorden", "Beilen"),
    "Overijssel": ("Enschede", "Zwolle", "Deventer", "Almelo", "Oldenzaal", "Hardenberg", "Raalte"),
    "Flevoland": ("Lelystad", "Dronten", "Emmeloord", "Zeewolde"),
    "Gelderland": (
        "Arnhem",
        "Nijmegen",
        "Apeldoorn",
        "Doetinchem",
        "Zutphen",
        "Harderwijk",
        "Winterswijk",
        "Barneveld",
    ),
    "Utrecht": ("Utrecht", "Amersfoort", "Nieuwegein", "Veenendaal", "Woerden", "Maarssen"),
    "Noord-Holland": (
        "Amsterdam",
        "Haarlem",
        "Alkmaar",
        "Hilversum",
        "Purmerend",
        "Den Helder",
        "Amstelveen",
        "Zaandam",
    ),
    "Zuid-Holland": (
        "Rotterdam",
        "Den Haag",
        "Delft",
        "Dordrecht",
        "Zoetermeer",
        "Schiedam",
        "Vlaardingen",
        "Spijkenisse",
    ),
    "Zeeland": ("Vlissingen", "Terneuzen", "Zierikzee", "Oostburg"),
    "Noord-Brabant": ("Eindhoven", "Tilburg", "Breda", "Den Bosch", "Helmond", "Oss", "Roosendaal", "Waalwijk"),
    "Limburg": ("Maastricht", "Venlo", "Heerlen", "Roermond", "Sittard", "Kerkrade", "Weert"),
}
"""Towns whose names are no common words and occur once, by province: what the demo puts in the place of others."""
_PROVINCE: Final = {place: province for province, places in PLACES.items() for place in places}
_HANDLE: Final = re.compile(r"@\w{4,}")
_PRICE: Final = re.compile(r"(?<=€)(\s?)(\d{2,3})\b|\b(\d{2,3})(?=\s?(?:€|euro|eur\b))")
_CLOSINGS: Final = ("dm", "stuur dm", "app", "bericht", "pb", "contact", "bestellen via", "vragen?", "info")
_MARKS: Final = "🔥✅⭐🚀💯📲🔌⚡🌟🎯🕐🏁💥🆕🔔📣"


class DemoError(ValueError):
    """The demo cannot be made; the message says what to do."""


class Template(msgspec.Struct, frozen=True):
    """One authored message."""

    text: str
    drugsad: bool
    labels: list[str] = []
    places: list[str] = []
    provinces: list[str] = []
    national: bool = False


PUZZLES: Final = frozenset({"allusions", "masks", "passage", "shops", "turns", "voices", "wanted", "woven"})
"""Authored files that were written to mislead: no channel consists of such messages, so the demo is made without."""


def read_authored(folder: str, without: Collection[str] = ()) -> list[Template]:
    """The authored messages of a folder but for `authored-NAME.jsonl`; raises `DemoError` when there are none."""
    left_out = {f"authored-{name}.jsonl" for name in without}
    files = [file for file in sorted(Path(folder).glob("*.jsonl")) if file.name not in left_out]
    if not files:
        raise DemoError(f"no authored messages (*.jsonl) in {folder}; name their folder with --authored")
    return [template for file in files for template in _read(file)]


def make_ads(templates: Sequence[Template], handles: Sequence[str], seed: int) -> list[Template]:
    """One ad per handle (of its seller), all different, from the ads among the templates."""
    ads = [template for template in templates if template.drugsad]
    random = np.random.default_rng([seed, 1])
    seen: set[str] = set()
    made = []
    for handle in handles:
        ad = _varied(ads[int(random.integers(len(ads)))], handle, random)
        while ad.text in seen:
            mark = _MARKS[int(random.integers(len(_MARKS)))]
            ad = msgspec.structs.replace(ad, text=f"{mark} {ad.text}")
        seen.add(ad.text)
        made.append(ad)
    return made


def _varied(template: Template, handle: str, random: np.random.Generator) -> Template:
    """The template with other places of the same provinces, other prices and the seller's handle; places follow.

    Other provinces would contradict what else the text says of them: dial codes, regions, dialect.
    """
    text, places = template.text, list(template.places)
    for index, old in enumerate(places):
        if old in _PROVINCE and text.count(old) == 1:
            others = PLACES[_PROVINCE[old]]
            new = others[int(random.integers(len(others)))]
            if new not in places and new not in text:
                text, places[index] = text.replace(old, new), new
    factor = random.choice((0.8, 0.9, 1.0, 1.1, 1.2))
    text = _PRICE.sub(lambda m: f"{m[1] or ''}{max(5, round(int(m[2] or m[3]) * factor / 5) * 5)}", text)
    if _HANDLE.search(text):
        text = _HANDLE.sub(f"@{handle}", text)
    else:
        text = f"{text}\n{_CLOSINGS[int(random.integers(len(_CLOSINGS)))]} @{handle}"
    return msgspec.structs.replace(template, text=canonical(text), places=places)


class SmallTalk:
    """Other texts without end: sentences of the authored non-ads, alone (often the same) or put together (new)."""

    DISTINCT: Final = 0.68
    """Share that is put together; what is drawn alone repeats."""

    def __init__(self, templates: Sequence[Template]) -> None:
        texts = [template.text for template in templates if not template.drugsad]
        pieces = {piece.strip() for text in texts for piece in re.split(r"\n+|(?<=[.!?])\s+", text)}
        self._pieces = sorted(piece for piece in pieces if 8 <= len(piece) <= 160)
        self._short = sorted(canonical(text) for text in texts if len(text) <= 60)

    def draw(self, count: int, random: np.random.Generator) -> list[str]:
        """So many texts, canonical."""
        new = random.random(count) < self.DISTINCT
        pieces = random.integers(len(self._pieces), size=(count, 2))
        alone = np.minimum(random.zipf(1.3, count) - 1, len(self._short) - 1)
        return [
            canonical(f"{self._pieces[first]} {self._pieces[second]}") if is_new else self._short[short]
            for is_new, (first, second), short in zip(new.tolist(), pieces.tolist(), alone.tolist(), strict=True)
        ]


def mixed(paths: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts as the demo makes them from files of authored messages: half ads, half other texts, canonical."""
    templates = [template for path in paths for template in _read(Path(path))]
    handles = [f"verkoper_{number}" for number in range(count // 2)]
    ads = [ad.text for ad in make_ads(templates, handles, seed)]
    return ads + SmallTalk(templates).draw(count - len(ads), np.random.default_rng([seed, 2]))


def _read(file: Path) -> list[Template]:
    return [msgspec.json.decode(line, type=Template) for line in file.read_bytes().splitlines() if line.strip()]
