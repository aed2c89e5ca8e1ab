"""Check data/authored and data/held-out: what is wrong by docs/labels.md, and a list of what a person should look at.

    python scripts/check_authored.py             # errors; exit code 1 if there are any
    python scripts/check_authored.py --review    # and near-copies, and labels that the words do not suggest

An error is a contradiction that no reading can mend: a label on what is no ad, a province that is not that of the
place. The review list is made of hints: "geen coke meer, alleen wiet" names coke and rightly has no `harddrugs`.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from drugscan import gazetteer
from drugscan.models.features import folded_text
from drugscan.near_copies import groups_of
from drugscan.schema import LABELS
from drugscan.text import canonical

DATA: Final = Path(__file__).parent.parent / "data"
SURE: Final = {
    "softdrugs": r"wiet weed hash? hasj hasjiesj haze cali joints? edibles? pre-?rolls? cannabis ganja paddo'?s? "
    r"shrooms? lachgas slagroompatronen khat qat 🌿 🍁 🥦 🍄 🎈",
    "harddrugs": r"coke coca[iï]ne sos xtc mdma molly ketamine? keta speed amfetamine meth crystal hero[iï]ne? crack "
    r"ghb gbl lsd 2-?cb dmt tus[iy] tucibi ❄ 🥥",
    "designer": r"[234]-?mmc [34]-?cmc [34]-?mec 4-?fm?a [56]-?apb 2-?f-?dck dck 1c?p-?lsd 3-?meo-?pcp bromazolam "
    r"etizolam flubromazolam clonazolam designer-?drugs? spice k2 mephedrone? mefedron",
    "medicijnen": r"xanax alprazolam \w+zepam valium zolpidem zopiclone? oxycodon\w* tramadol code[iï]ne promethazine "
    r"lean ritalin methylfenidaat concerta dexamfetamine lyrica pregabaline? kamagra viagra cialis sildenafil "
    r"ozempic botox benzo'?s? testosteron steroïden fentanyl",
    "bezorging": r"bezorg\w* thuisbezorg\w* delivery deliver(?:ed)? we.rijden wij.rijden lieferung 🛵 🚗 🚚",
    "pickup": r"afhalen ophalen pick-?up meet-?up op.locatie abholung",
    "post": r"verzend\w* verstuur\w* postnl brievenbus\w* per.post track.?(?:&|and).?trace shipping worldwide "
    r"wereldwijd versand envoi pakketje 📦 ✉",
    "bulk": r"kilo'?s? \d.?kg groothandel wholesale bulk resellers? wederverkoop\w* staffel\w* "
    r"[1-9]\d\d+.?(?:gr|gram|st|stuks|pcs|pieces)",
}
"""Words (patterns) in `folded_text` that name what a label stands for: an ad with one and without the label is for a
person to look at."""
ALSO: Final = {
    "softdrugs": r"w[ie]+t h?as[hj]\w* gras grass green groen\w* paddo\w* mush\w* truffels? gas gasjes tanks? "
    r"ballon\w* brownies? (?:space)?cake\w* amnesia kush polm pollen dry zkittlez wax cart[sj]?e?s? vapes? kruid\w* "
    r"thc 🍫 🌳 🍃 🌲",
    "harddrugs": r"coco cola sos\w* wit(?:te?)? sneeuw snow md pil(?:len|letjes?|letje)? pills? k pep tina bruin brown "
    r"basis g zegels? tabs? acid trips? 🍬 💊 🐴 🚀 🐎",
    "designer": r"\d-?m+c? \d-?mma nep m?apb \w{1,3}-?lsd \w*pcp \w*lam miauw\w* poes\w* kat(?:ten)? cat rc",
    "medicijnen": r"xan(?:nies|s)? oxy\w* trama\w* dex\w* pregab\w* rivotril modafinil slaappillen",
    "bezorging": r"\w*bezorg\w* \w*br[aeiu]n?ng\w* gebracht \w*deliver\w* rij\w* ri[dt]\w* \w*lever\w* drive\w* "
    r"liefer\w* livr\w* langs aan.huis (?:aan|voor|bij).(?:de|je|jouw|uw|your).(?:voor)?deur door scooter koerier "
    r"courier thuis 🏍 🚴 🚲",
    "pickup": r"\w*af(?:ge)?ha\w* \w*op(?:ge)?ha\w* halen pick-?\w* pu meet\w* collect\w* \w*abhol\w* kom\w* come "
    r"treffpunkt loc 🚶 🤝",
    "post": r"\w*zend\w* \w*stu[ur]+\w* (?:brief)?post\w* \w*brie[fv]\w* t&t ship\w* mail\w* envelop\w* pakket\w* "
    r"\w*bus 📮 📬 💌",
    "bulk": r"kilo\w* \d+.?kg reseller\w* \w*verkop\w* plak\w* ons liters? pallets? (?:[1-5]00|1000)\w*",
}
"""Words that may stand for it too: an ad with the label and none of both is for a person to look at."""


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words.split())})(?!\w)")


_LACKING: Final = {label: _pattern(words) for label, words in SURE.items()}
_HAVING: Final = {label: _pattern(f"{words} {ALSO[label]}") for label, words in SURE.items()}
NAMESAKES: Final = {"Mechelen", "Hasselt", "Aalst", "Bergen", "Elst", "Beek", "Zuidwolde", "Zevenhuizen", "Afferden"}
"""Places of which there are several, also in Belgium; the gazetteer knows the largest, the text says which is meant."""


class Authored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line; see data/authored/README.md."""

    text: str
    drugsad: bool
    labels: list[str]
    places: list[str]
    provinces: list[str]
    national: bool
    kind: str


Line = tuple[str, Authored]
"""Where (file:line) and what."""


def read(paths: Sequence[Path]) -> tuple[list[Line], list[str]]:
    """The lines of the files, and what is wrong with those that are no `Authored`."""
    lines, wrong = [], []
    for path in paths:
        for number, raw in enumerate(path.read_bytes().splitlines(), 1):
            where = f"{path.name}:{number}"
            try:
                lines.append((where, msgspec.json.decode(raw, type=Authored)))
            except msgspec.MsgspecError as error:
                wrong.append(f"{where}: {error}")
    return lines, wrong


def errors(paths: Sequence[Path]) -> list[str]:
    """Everything that is wrong with the files, a line each as file:line: what; empty if they are right."""
    lines, wrong = read(paths)
    wrong += [f"{where}: {what}" for where, each in lines for what in _wrong(each)]
    return wrong + _twice(lines) + _provinces(lines)


def _wrong(each: Authored) -> Iterator[str]:
    """What is wrong with one line by itself."""
    if not canonical(each.text):
        yield "no text"
    if not each.kind.strip():
        yield "no kind"
    if unknown := sorted(set(each.labels) - set(LABELS)):
        yield f"no such label: {unknown}"
    for name in ("labels", "places", "provinces"):
        values = getattr(each, name)
        if len(set(values)) != len(values):
            yield f"{name} name something twice: {values}"
        if values and not each.drugsad:
            yield f"no ad, but {name}: {values}"
    if each.national and not each.drugsad:
        yield "no ad, but national"
    if unknown := sorted(set(each.provinces) - set(gazetteer.provinces()["province"])):
        yield f"no such province: {unknown}"


def _twice(lines: Sequence[Line]) -> list[str]:
    """Texts that are one text after folding."""
    seen: dict[str, str] = {}
    found = []
    for where, each in lines:
        folded = re.sub(r"\s", "", folded_text(each.text)) or each.text
        first = seen.setdefault(folded, where)
        if first != where:
            found.append(f"{where}: the same text as {first}")
    return found


def _provinces(lines: Sequence[Line]) -> list[str]:
    """Places whose province is not given, and provinces that no place and no word gives."""
    known: dict[str, set[str]] = defaultdict(set)
    for place, province in gazetteer.entries().select("place", "province").iter_rows():
        if place and province:
            known[place].add(province)
    for place in NAMESAKES:
        known.pop(place)
    found = []
    for where, each in lines:
        given = set(each.provinces)
        missing = [place for place in each.places if known[place] and not known[place] & given]
        if missing:
            found.append(f"{where}: the province of {missing} is not among {each.provinces}")
        unknown = any(not known[place] for place in each.places)
        named = {province for place in each.places for province in known[place]}
        alone = sorted(name for name in given - named if not _says(each.text, name))
        if alone and not unknown:
            found.append(f"{where}: nothing named gives {alone}; places are {each.places}")
    return found


def _says(text: str, province: str) -> bool:
    """Whether a text names a province, at least by its distinctive part."""
    stems = {"Friesland": r"fr[iy]|frl|frys", "Noord-Brabant": "brab", "Limburg": "limb|mestreech", "Zeeland": "zee|zl"}
    stem = stems.get(province, re.escape(province.lower()[:4]) if "-" not in province else "holl|[nz]h")
    return re.search(stem, folded_text(text)) is not None


def near_copies(lines: Sequence[Line]) -> list[list[str]]:
    """Groups of near-copies (`near_copies.groups_of`), each as where its texts stand."""
    numbers = groups_of([each.text for _, each in lines])
    members = (np.flatnonzero(numbers == number) for number in np.flatnonzero(np.bincount(numbers) > 1))
    return [[lines[int(index)][0] for index in group] for group in members]


def review(lines: Sequence[Line]) -> Iterator[tuple[str, str, str]]:
    """Ads whose words suggest a label that they lack, or that have one which no word suggests.

    Yields where, what (`-harddrugs: coke` lacks, `+post` has without a hint), and the text.
    """
    for where, each in lines:
        if not each.drugsad:
            continue
        folded = folded_text(each.text)
        for label in LABELS:
            hint = _LACKING[label].search(folded)
            if hint and label not in each.labels:
                yield where, f"-{label}: {hint[0]}", each.text
            elif label in each.labels and not _HAVING[label].search(folded):
                yield where, f"+{label}", each.text


def main() -> int:
    """Print the report; 1 if there are errors."""
    chosen = [Path(each) for each in sys.argv[1:] if not each.startswith("--")] or sorted(DATA.glob("*/*.jsonl"))
    wrong = errors(chosen)
    lines, _ = read(chosen)
    if "--review" in sys.argv:
        for group in near_copies(lines):
            print("near copies:", ", ".join(group))
        for where, what, text in review(lines):
            print(f"{where}  {what}  {text[:300]!r}")
    print("\n".join(wrong) or f"{len(lines)} lines in {len(chosen)} files: nothing wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
