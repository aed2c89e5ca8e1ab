"""The canonical text of a message and its id: what makes copies of an ad ONE text.

Canonical = NFC, newlines unified, control characters and trailing blanks removed; nothing else. Case, digits,
emoji, zero-width characters and handles stay, since prices, places, contacts and evidence are read from it.
What a model folds further is its own feature text.
"""

import re
import unicodedata
from hashlib import blake2b
from typing import Final

TEXT_VERSION: Final = 1
"""Recorded in every corpus; raised whenever `canonical` gives another result for any text."""

# Cc without tab and newline. Surrogates cannot be encoded (JSON may hold half a pair): they go too.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NEWLINES = re.compile("\r\n?|\u2028|\u2029")


def canonical(text: str) -> str:
    """The canonical form of `text`; an empty string when nothing visible is left. Applying it twice changes nothing."""
    if text.isascii() and text.isprintable():
        return text.rstrip()
    text = _CONTROL.sub("", _NEWLINES.sub("\n", text))
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return "\n".join([line.rstrip() for line in text.split("\n")]).rstrip()


def text_id(canonical_text: str) -> bytes:
    """16-byte BLAKE2b of a canonical text: the same everywhere and for ever (RFC 7693)."""
    return blake2b(canonical_text.encode(), digest_size=16).digest()
