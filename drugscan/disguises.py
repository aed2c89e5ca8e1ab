"""Texts that hide their words from filters (`Zw0ll3`, `Z w o l l e`, Cyrillic letters in Latin words), and in plain.

Few texts do, so one fast pattern picks them out first, and only these pay for the folding letter by letter.
"""

import re
from typing import Final

from drugscan.models.features import folded_text

SUSPECT: Final = (
    r"(?i)[a-z][\x{250}-\x{2AF}\x{370}-\x{52F}\x{1D00}-\x{1D7F}]|"
    r"[\x{250}-\x{2AF}\x{370}-\x{52F}\x{1D00}-\x{1D7F}][a-z]|"
    r"[\x{1D00}-\x{1D7F}]{2}|[\x{1F130}-\x{1F189}]|(?:[\x{1F1E6}-\x{1F1FF}] ?){3}|"
    r"[a-z][013457@$€!]+[a-z]|[€!$][a-z]|\b[0134]+[a-z]{4}|"
    r"(?:^|[^\p{L}\p{N}])(?:\p{L} ){2,}\p{L}(?:[^\p{L}\p{N}]|$)|"
    r"(?:^|[^\p{L}\p{N}])(?:\p{L}[.\-_*•]){2,}\p{L}(?:[^\p{L}\p{N}]|$)|"
    r"aaa|eee|iii|ooo|uuu|lll|mmm|nnn|rrr|sss"
)
"""A pattern (of Polars) for texts that may hold a disguise: look-alike letters, letters in boxes, digits for letters,
spaced or stretched words."""
_SPACED: Final = re.compile(r"(?<!\w)[^\W\d_]([ .\-_*•])[^\W\d_](?:\1[^\W\d_])+(?!\w)")
_STRETCHED: Final = re.compile(r"([A-Za-z])\1\1")
_DOUBLED: Final = re.compile(r"([a-z])\1")
_AT_AN_END: Final = re.compile(r"\b[01345](?=[a-z]{4})|(?<=[a-z]{4})0\b")
"""Digits that stand for the first or the last letter of a word, which `folded_text` takes for amounts."""
_MIXED: Final = re.compile(r"\w*[A-Za-z]\w*")
_CAPITALS: Final = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕКМНОРСТХІЈЅ", "ABEZHIKMNOPTYXABEKMHOPCTXIJS")
"""Greek and Cyrillic capitals that look like Latin ones; the small letter of `Ν` looks like another."""
_SMALL_CAPITALS: Final = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz")
_FLAGS: Final = {0x1F1E6 + number: chr(ord("a") + number) for number in range(26)}
_SIGNS: Final = re.compile(r"(?<=[A-Za-z])[@$!€]+(?=[A-Za-z])|(?<!\w)[$!€]+(?=[A-Za-z])")
_SIGN_LETTERS: Final = str.maketrans("@$!€", "asie")
_DIGITS: Final = str.maketrans("01345", "oieas")


def undisguised(text: str) -> str:
    """The text in plain letters and lower case; if it stretches words, also with every double letter once."""
    plain = text.translate(_SMALL_CAPITALS).translate(_FLAGS)
    plain = _MIXED.sub(lambda word: word[0].translate(_CAPITALS), plain)
    plain = _SIGNS.sub(lambda signs: signs[0].translate(_SIGN_LETTERS), plain)
    plain = folded_text(_SPACED.sub(_joined, plain))
    plain = _AT_AN_END.sub(lambda digit: digit[0].translate(_DIGITS), plain)
    return plain + "\n" + _DOUBLED.sub(r"\1", plain) if _STRETCHED.search(text) else plain


def _joined(match: re.Match[str]) -> str:
    """The letters of a spaced word, closed up."""
    return match[0].replace(match[1], "")
