"""Other versions of labelled texts for training: what sellers vary, and disguises, for ads and other texts alike.

Disguise must not be a sign of an ad, so the same share of both classes gets it.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from drugscan.demo_texts import PLACES
from drugscan.evaluation import Labelled

Random = np.random.Generator
_PLACES: Final = tuple(place for places in PLACES.values() for place in places)
_PLACE: Final = re.compile(rf"\b({'|'.join(map(re.escape, _PLACES))})\b", re.IGNORECASE)
_AMOUNT: Final = re.compile(r"\b\d{2,4}\b")
_HANDLE: Final = re.compile(r"@\w{4,}")
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_PRODUCTS: Final = (
    ("cocaïne", "cocaine", "mdma", "xtc", "ketamine", "amfetamine", "ghb", "lsd", "2cb", "2c-b", "crack", "heroïne"),
    (
        "3mmc",
        "3-mmc",
        "4mmc",
        "4-mmc",
        "2mmc",
        "2-mmc",
        "3cmc",
        "3-cmc",
        "4fa",
        "4-fa",
        "nep",
        "2fdck",
        "6apb",
        "6-apb",
    ),
    (
        "xanax",
        "diazepam",
        "oxazepam",
        "temazepam",
        "lorazepam",
        "tramadol",
        "oxycodon",
        "ritalin",
        "lyrica",
        "zolpidem",
    ),
    ("wiet", "hasj"),
)
"""Names of one label that mean nothing else, so that an exchange leaves every label right, in ads and elsewhere."""
_ALIKE: Final = {name: names for names in _PRODUCTS for name in names}
_PRODUCT: Final = re.compile(rf"(?<![\w-])({'|'.join(sorted(_ALIKE, key=len, reverse=True))})(?![\w-])", re.IGNORECASE)
_LEET: Final = str.maketrans("aeiot", "43107")
_TWINS: Final = str.maketrans("aceopxyiAEOPCTHKMB", "асеорхуіАЕОРСТНКМВ")
_SMALL: Final = str.maketrans("abcdeghijklmnopqrtuvwyz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘǫʀᴛᴜᴠᴡʏᴢ")
_EMOJI: Final = "🔥✅⭐🚀💯📲🔌⚡🌟🎯🏁💥🆕🔔📣💶🚗📦📍🕐😎👀🙏🎉❤️"


def varied(labelled: Labelled, random: Random) -> Labelled:
    """The same message as another sender might have written it; labels stay."""
    text = _PLACE.sub(lambda match: _other(match[0], random), labelled.text) if random.random() < 0.5 else labelled.text
    if random.random() < 0.5:
        text = _AMOUNT.sub(lambda match: str(max(1, round(int(match[0]) * random.choice((0.8, 0.9, 1.1, 1.2))))), text)
    if random.random() < 0.4:
        text = _PRODUCT.sub(lambda match: _cased(str(random.choice(_alike(match[0]))), match[0]), text)
    text = _HANDLE.sub(lambda match: f"@{''.join(random.permutation(list(match[0][1:])))}", text)
    text = _LAYOUTS[int(random.integers(len(_LAYOUTS)))](text, random)
    if random.random() < 0.2:
        text = _DISGUISES[int(random.integers(len(_DISGUISES)))](text, random)
    return msgspec.structs.replace(labelled, text=text)


def _alike(product: str) -> Sequence[str]:
    """Names of the same label; a name with a dotless i or a long s is found like its plain form, but stands alone."""
    return _ALIKE.get(product.lower(), [product])


def _other(place: str, random: Random) -> str:
    return _cased(_PLACES[int(random.integers(len(_PLACES)))], place)


def _cased(new: str, old: str) -> str:
    """The new word in the capitals of the old one."""
    return new.lower() if old.islower() else new.upper() if old.isupper() else new


def _as_it_is(text: str, _: Random) -> str:
    return text


def _upper(text: str, random: Random) -> str:
    return text.upper() if random.random() < 0.5 else text.lower()


def _marked(text: str, random: Random) -> str:
    marks = random.choice(list(_EMOJI), 2)
    return f"{marks[0]} {text} {marks[1]}"


def _plain(text: str, _: Random) -> str:
    """Without emoji, unless nothing else is left."""
    bare = "".join(char for char in text if unicodedata.category(char) != "So")
    return bare if len(bare.strip()) > 12 else text


def _flat(text: str, _: Random) -> str:
    return " ".join(text.split())


def _shorter(text: str, random: Random) -> str:
    """A line less, of long texts; one line rarely carries a label alone."""
    lines = text.split("\n")
    if len(lines) > 6:
        del lines[int(random.integers(len(lines)))]
    return "\n".join(lines)


def _words(change: Callable[[str], str], share: float) -> Callable[[str, Random], str]:
    """Some words changed."""
    return lambda text, random: _WORD.sub(lambda word: change(word[0]) if random.random() < share else word[0], text)


def _bold(word: str) -> str:
    return "".join(chr(0x1D5D4 + ord(c) - 65) if "A" <= c <= "Z" else _bold_small(c) for c in word)


def _bold_small(char: str) -> str:
    return chr(0x1D5EE + ord(char) - 97) if "a" <= char <= "z" else char


_LAYOUTS: Final = (_as_it_is, _as_it_is, _upper, _marked, _plain, _flat, _shorter)
_DISGUISES: Final = (
    _words(lambda word: word.lower().translate(_LEET), 0.6),
    _words(lambda word: word.translate(_TWINS), 0.7),
    _words(lambda word: word.lower().translate(_SMALL), 1.0),
    _words(_bold, 1.0),
    _words(lambda word: "\u200b".join(word), 0.7),
    _words(lambda word: ".".join(word), 0.4),
    _words(lambda word: " ".join(word), 0.3),
    _words(lambda word: word[0] + "*" + word[2:], 0.4),
)
