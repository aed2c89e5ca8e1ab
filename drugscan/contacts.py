"""Handles, links, phone numbers and messenger ids in a text: found, so that they can be covered.

Patterns are kept simple enough for both Python and Polars (no look-around), so that both give the same result.
"""

import re
from typing import Final

import polars as pl

CONTACT_PATTERNS: Final = (
    # (name, pattern, what it becomes); applied in this order
    ("email", r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}", "•••@•••"),
    ("link", r"(?i)(?:https?://|www\.|\bt\.me/|\btelegram\.me/|\bwa\.me/)[^\s<>]+", "[link]"),
    ("handle", r"@[A-Za-z0-9_]{3,}", "@•••"),
    ("mobile", r"(?:\+31|\b0031|\b31)[\s.\-]?(?:\(0\))?[\s.\-]?[1-9](?:[\s.\-]?[0-9]){8}\b", "06•••"),
    ("mobile", r"\b06(?:[\s.\-]?[0-9]){8}\b", "06•••"),
    ("phone", r"\b0[1-9][0-9]{1,2}[\s.\-][0-9](?:[\s.\-]?[0-9]){5,6}\b", "0•••"),
    ("phone", r"\+[1-9][0-9]{0,2}(?:[\s.\-]?[0-9]){7,12}\b", "+•••"),
    (
        "messenger",
        r"(?i)\b(signal|threema|session|wickr|wickrme|snapchat|snap|whatsapp|wapp|kik|tg|telegram)"
        r"(?:\s+(?:id|me|naam|name|code))?\s*[:=]\s*@?[A-Za-z0-9_.\-]{3,}",
        "${1}: •••",
    ),
    (
        "messenger",
        r"\b([Ss]ignal|[Tt]hreema|[Ss]ession|[Ww]ickr|[Ss]napchat|[Ss]nap)\s+@?[A-Za-z_.\-]*[0-9_][A-Za-z0-9_.\-]{2,}",
        "${1} •••",
    ),
    ("session", r"\b05[0-9a-f]{64}\b", "•••"),
)
"""(name, regular expression, replacement) of each kind of contact; the order is that of masking."""

_COMPILED: Final = tuple(
    (re.compile(pattern), replacement.replace("${1}", r"\1")) for _, pattern, replacement in CONTACT_PATTERNS
)


def mask(text: str) -> str:
    """The text with every contact covered; prices, weights and product names stay."""
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text


def mask_expression(column: str) -> pl.Expr:
    """As `mask`, for a whole column of strings; keeps the column's name."""
    masked = pl.col(column)
    for _, pattern, replacement in CONTACT_PATTERNS:
        masked = masked.str.replace_all(pattern, replacement)
    return masked.alias(column)
