"""Handles, links, phone numbers and messenger ids in a text: found, so that they can be covered.

Patterns are kept simple enough for both Python and Polars (no look-around), so that both give the same result.
"""

import re
from typing import Final

import polars as pl

from drugscan import handles

_MESSENGERS: Final = (
    r"signal|threema|session|wickr ?me|wickr|snapchat|snap|whatsapp|wapp|kik|tg|telegram|tele|insta|instagram|ig|wire"
    r"|discord|element|matrix|simplex|viber|skype|tiktok|facebook|fb|twitter|icq|briar|jabber|xmpp|linktree|onlyfans"
)
_ENDS: Final = (
    r"app|be|bio|chat|club|co|com|de|dog|ee|eu|fm|fr|gd|gg|gl|group|im|info|io|link|live|ly|me|net|nl|online|onion|org"
    r"|page|ru|sh|shop|site|social|store|to|tv|uk|us|xyz"
)
"""Last parts of the names of hosts: a list, so that `gram.hasj/wiet` is none."""
_BEGIN: Final = r"(?:^|[^a-z0-9])"
"""Where a word begins; a word boundary makes Polars four times as slow on texts that are not ASCII."""
_LABEL: Final = r"(?:\s+(?:id|me|naam|name|code|user|username|account|acc|is)){0,2}"
CONTACT_PATTERNS: Final = (
    # (name, pattern, what it becomes); applied in this order
    ("email", r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}", "•••@•••"),
    ("link", r"(?i)(?:https?://|www\.|\bt\.me/|\btelegram\.me/|\bwa\.me/)[^\s<>]+", "[link]"),
    ("link", rf"(?i)[a-z][a-z0-9.\-]{{0,63}}\.(?:{_ENDS})/[^\s<>]{{2,}}", "[link]"),
    (
        "handle",
        r"@(?:[0-9]*[A-Za-z_][A-Za-z0-9_]{2,}|[0-9]{5,}|[0-9]{1,2}[A-Za-z_]{2})"
        r"(?:\.[A-Za-z0-9_]+)*(?::[A-Za-z0-9\-]+\.[A-Za-z]{2,})?",
        "@•••",
    ),
    ("mobile", r"(?:\+31|\b0031|\b31)[\s.\-]?(?:\(0\))?[\s.\-]?[1-9](?:[\s.\-]?[0-9]){8}\b", "06•••"),
    ("mobile", r"\b06(?:[\s.\-]?[0-9]){8}\b", "06•••"),
    ("phone", r"\b0[1-9][0-9]{1,2}[\s.\-][0-9](?:[\s.\-]?[0-9]){5,6}\b", "0•••"),
    ("phone", r"\+[1-9][0-9]{0,2}(?:[\s.\-]?[0-9]){7,12}\b", "+•••"),
    (
        "messenger",
        rf"(?i)({_BEGIN}(?:{_MESSENGERS})){_LABEL}\s*(?:[:=]|->|→|➡)\s*@?[A-Za-z0-9_.\-#]{{3,}}",
        "${1}: •••",
    ),
    ("messenger", r"\b([Tt]hreema)\s+[A-Za-z]*[0-9][A-Za-z0-9]{2,}", "${1} •••"),
    (
        "messenger",
        rf"(?i)({_BEGIN}(?:signal|session|wickr|snapchat|snap|telegram|tg|insta|instagram|ig|kik|wire|discord|viber"
        rf"|skype|tiktok|facebook|fb|twitter)){_LABEL}[\s/\-]+@?[a-z_][a-z\-]{{0,63}}(?:[0-9_]|\.[a-z0-9_])[a-z0-9_.\-#]*",
        "${1} •••",
    ),
    ("session", r"\b05[0-9a-f]{64}\b", "•••"),
)
"""(name, regular expression, replacement) of each kind of contact; the order is that of masking."""

_COMPILED: Final = tuple(
    (re.compile(pattern), replacement.replace("${1}", r"\1")) for _, pattern, replacement in CONTACT_PATTERNS
)


def mask(text: str) -> str:
    """The text with the contacts covered that patterns find; prices, weights and product names stay."""
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text


def mask_expression(column: str) -> pl.Expr:
    """As `mask`, for a whole column of strings; keeps the column's name."""
    masked = pl.col(column)
    for _, pattern, replacement in CONTACT_PATTERNS:
        masked = masked.str.replace_all(pattern, replacement)
    return masked.alias(column)


def cover(texts: pl.Series) -> pl.Series:
    """Texts with every contact covered, also what only `find` reads: digits of other scripts, an id without colon."""
    patterned = texts.to_frame("text").select(mask_expression("text")).to_series()
    return pl.Series(texts.name, [None if text is None else _covered(text) for text in patterned], pl.String)


def cover_one(text: str) -> str:
    """As `cover`, for one text."""
    return _covered(mask(text))


def _covered(text: str) -> str:
    for contact in reversed(handles.find_all(text)):
        text = f"{text[: contact.start]}•••{text[contact.end :]}"
    return text


def find(texts: pl.DataFrame) -> pl.DataFrame:
    """The handles of texts (`text_id`, `text`), each once per text: text_id, kind, handle, quoted.

    `kind` and `handle` are those of `handles.Contact`: the same handle is the same string however it is written.
    `quoted` = everywhere in the text it stands after a word that makes it somebody else's (escrow, admin, scammer).
    """
    rows = [
        (text_id, each.kind, each.handle, each.quoted)
        for text_id, text in texts.select("text_id", "text").iter_rows()
        for each in handles.find_all(text)
    ]
    types = (texts.schema["text_id"], pl.String(), pl.String(), pl.Boolean())
    schema = dict(zip(("text_id", "kind", "handle", "quoted"), types, strict=True))
    found = pl.DataFrame(rows, schema=schema, orient="row")
    keys = ["text_id", "kind", "handle"]
    return found.group_by(keys).agg(pl.col("quoted").all()).sort(keys)
