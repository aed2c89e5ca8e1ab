"""The feature text of the linear pair, and its n-grams as 64-bit hashes, computed for a whole batch at once.

One front end serves training and scoring, so there is no skew between them. A batch becomes one array of code
points; a polynomial prefix sum over it gives the hash of any substring by one subtraction and one multiplication
(Rabin & Karp 1987), so all n-grams of a batch cost a few passes of numpy and no Python per n-gram.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FEATURE_VERSION: Final = 2
"""Part of a model's id; raised whenever the same text gets other features."""
FOLDING_VERSION: Final = 2
"""Of `folded_text`; raised whenever the same text gets another folding."""
CHAR_LENGTHS: Final = (2, 3, 4, 5)
WORD_LENGTHS: Final = (1, 2)
MAX_CHARACTERS: Final = 8_192
"""Telegram's limit is 4,096; what is behind this is not looked at."""

INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
ACCENTS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_URL: Final = re.compile(r"(?:https?://|www\.|\bt\.me/|\bwa\.me/)\S+")
_HANDLE: Final = re.compile(r"(?<![a-z])@\w{3,}|(?<=[a-z])@\w{8,}")
_PHONE: Final = re.compile(r"(?<![\w+])(?:\+|00)?\d[\d\s\-]{7,14}\d(?!\w)")
_SPACED: Final = re.compile(r"\b(?:\w[\s.\-_*]{1,2}){3,}\w\b")
_NUMBER: Final = re.compile(r"(?<![a-z0-9])\d{2,}(?![a-z0-9]*[a-z]{3})")
_MIXED: Final = re.compile(r"\w*[a-z]\w*")
_LEET: Final = re.compile(r"(?<![a-z0-9])(?:[a-z]+[013457]|[013457](?=[a-z]+[013457]+[a-z]))[a-z0-9]*")
_LEET_INSIDE: Final = re.compile(r"[a-z][013457]+[a-z]")
LEET_SIGNS: Final = re.compile(r"(?<=[a-z])[@$!€](?=[a-z])")
_CHEMICAL: Final = re.compile(r"\d{1,2}[a-z]{1,3}\d*|\d(?:p|cp|b)lsd|\d(?:ho|aco|meo|fd|ma|ap|br|me)[a-z]{2,4}")
"""Names that begin with a digit which is one: 3mmc, 2cb, 1plsd, 4homet."""
_BLANKS: Final = re.compile(r"\s+")
_REPEATED: Final = re.compile(r"([a-z])\1{2,}")
LEET_LETTERS: Final = str.maketrans("013457@$!€", "oieastasie")
FANCY: Final = {first + number: chr(ord("a") + number) for first in (0x1F150, 0x1F170, 0x1F1E6) for number in range(26)}
"""Letters in black circles, black squares and flags, which NFKC leaves alone."""
_MASKS: Final = {"url": "\ue000", "handle": "\ue001", "phone": "\ue002"}
"""Private-use characters stand for what is masked: no message can hold a word that looks like them by chance."""

LOOKALIKES: Final = str.maketrans(
    "аеорсухіјѕԁӏɡһνκατιοερυηωхвмнткɑɩʟʀɪɴʙʜɢᴀᴄᴅᴇꜰᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡʏᴢøłđıßƒ€",
    "aeopcyxijsdlghvkatioepyhwxbmhtkailrinbhgacdefjkmopstuvwyzoldisfe",
)
"""Letters that pass for Latin ones (a part of Unicode TS 39's confusables); applied to lower case."""


def feature_text(text: str) -> str:
    """What the linear pair sees of a canonical text: folded, and with contacts and amounts masked."""
    folded = _undressed(text)
    if not folded.isascii():
        folded = ACCENTS.sub("", unicodedata.normalize("NFD", folded)).translate(LOOKALIKES)
    folded = _HANDLE.sub(_MASKS["handle"], _URL.sub(_MASKS["url"], folded))
    folded = _PHONE.sub(_MASKS["phone"], folded)
    folded = _LEET.sub(_unleeted, _SPACED.sub(_joined, folded))
    folded = _NUMBER.sub(_masked_number, folded)
    return _BLANKS.sub(" ", _REPEATED.sub(r"\1\1", folded)).strip()


def folded_text(text: str) -> str:
    """What an encoder sees of a canonical text: disguises undone, contacts and amounts left, lower case.

    Look-alike letters become Latin only in words that also hold Latin ones, so Cyrillic and Greek stay readable.
    """
    folded = _undressed(text)
    if not folded.isascii():
        folded = _MIXED.sub(lambda word: word[0].translate(LOOKALIKES), ACCENTS.sub("", folded))
    return _REPEATED.sub(r"\1\1", _LEET.sub(_unleeted, _SPACED.sub(_joined, folded))).strip()


def _undressed(text: str) -> str:
    """Plain letters in lower case, without what cannot be seen."""
    plain = unicodedata.normalize("NFKC", INVISIBLE.sub("", text[:MAX_CHARACTERS]).translate(FANCY)).lower()
    return LEET_SIGNS.sub(lambda sign: sign[0].translate(LEET_LETTERS), plain)


def _unleeted(match: re.Match[str]) -> str:
    """A word with digits for letters (`h4sj`, `sp33d`), spelled out; `10st`, `3mmc` and `covid19` are left alone."""
    word = match[0]
    hidden = _LEET_INSIDE.search(word) and not _CHEMICAL.fullmatch(word)
    return word.translate(LEET_LETTERS) if hidden else word


def _joined(match: re.Match[str]) -> str:
    """A word written with a blank, dot or dash between its letters, closed up; amounts are left alone."""
    word = re.sub(r"[\s.\-_*]", "", match[0])
    return match[0] if sum(c.isdigit() for c in word) * 2 > len(word) else word


def _masked_number(match: re.Match[str]) -> str:
    """The number of digits is kept, the digits are not: 25 and 35 are one feature, 250 is another."""
    return "0" * min(len(match[0]), 4)


# --- hashes ---------------------------------------------------------------------------------------------------

_Hashes = npt.NDArray[np.uint64]
_BASE: Final = 0x9E3779B97F4A7C15 | 1
_INVERSE: Final = pow(_BASE, -1, 2**64)
_CLASS: Final = np.zeros(0x110000, np.uint8)
"""Per code point: 0 blank or punctuation, 1 part of a word, 2 a word by itself (emoji, symbols, masks)."""


def _fill_classes() -> None:
    table = _CLASS
    for point in range(0x30000):
        category = unicodedata.category(chr(point))
        table[point] = 1 if category[0] in "LNM" else 2 if category in ("So", "Sk", "Sc", "Co") else 0


_fill_classes()


def _mix(values: _Hashes) -> _Hashes:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _powers(length: int, base: int) -> _Hashes:
    powers = np.full(length, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


class _Tables:
    """Powers of the base and of its inverse, grown as needed."""

    def __init__(self) -> None:
        self._up = _powers(1, _BASE)
        self._down = _powers(1, _INVERSE)

    def get(self, length: int) -> tuple[_Hashes, _Hashes]:
        if len(self._up) < length:
            self._up, self._down = _powers(length * 2, _BASE), _powers(length * 2, _INVERSE)
        return self._up[:length], self._down[:length]


_TABLES: Final = _Tables()


def ngrams(texts: Sequence[str]) -> tuple[_Hashes, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Every n-gram of every feature text: hash, index of its text, and whether it is of words (else of characters).

    Character n-grams run over the text with a blank at both ends; word n-grams over runs of letters and digits,
    each emoji or symbol being a word. None crosses from one text into the next.
    """
    joined = "".join(f" {text} " for text in texts)
    points = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    lengths = np.array([len(text) + 2 for text in texts], np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    up, down = _TABLES.get(len(points) + 1)
    coded = _mix((points.astype(np.uint64) + np.uint64(1)) * np.uint64(_BASE))
    prefix = np.zeros(len(points) + 1, np.uint64)
    np.cumsum(coded * up[:-1], out=prefix[1:])

    def hashed(begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], salt: int) -> _Hashes:
        return _mix((prefix[ends] - prefix[begins]) * down[begins] + np.uint64(salt * 0x632BE59BD9B4E019 % 2**64))

    hashes, owners, of_words = [], [], []
    place = np.arange(len(points), dtype=np.int64)
    for n in CHAR_LENGTHS:
        begins = place[: max(0, len(points) - n + 1)]
        begins = begins[owner[begins] == owner[begins + n - 1]]
        hashes.append(hashed(begins, begins + n, n))
        owners.append(owner[begins])
        of_words.append(np.zeros(len(begins), bool))
    starts, ends = _words(points)
    for n in WORD_LENGTHS:
        first, last = starts[: max(0, len(starts) - n + 1)], ends[n - 1 :]
        same = owner[first] == owner[last - 1]
        first, last = first[same], last[same]
        words = hashed(first, ends[: len(starts) - n + 1][same], 16) if n > 1 else None
        tail = hashed(starts[n - 1 :][same], last, 16 + n)
        hashes.append(tail if words is None else _mix(words * np.uint64(3) + tail))
        owners.append(owner[first])
        of_words.append(np.ones(len(first), bool))
    return np.concatenate(hashes), np.concatenate(owners), np.concatenate(of_words)


def _words(points: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each word begins and ends."""
    kinds = _CLASS[points]
    before = np.concatenate([[0], kinds[:-1]])
    after = np.concatenate([kinds[1:], [0]])
    starts = np.flatnonzero((kinds == 2) | ((kinds == 1) & (before != 1)))
    ends = np.flatnonzero((kinds == 2) | ((kinds == 1) & (after != 1))) + 1
    return starts, ends
