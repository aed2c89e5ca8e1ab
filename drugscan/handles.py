"""Contact handles of an ad text in one writing each: Telegram, phone, Signal, Threema, Session, Wickr, Snapchat.

Two accounts that give the same handle are one linked seller (docs/labels.md, section 4), so a handle must come out
the same however it is written, and a word that is no handle must not come out at all.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from drugscan import phones

KINDS: Final = ("telegram", "phone", "whatsapp", "signal", "threema", "session", "wickr", "snapchat")


class Contact(NamedTuple):
    """A handle in a text."""

    kind: str
    """One of `KINDS`."""
    handle: str
    """Telegram: lower case without @ (an invitation keeps its case and a +); phone: E.164; others: lower case."""
    start: int
    end: int
    """Where it stands in the text as given."""
    quoted: bool
    """It stands after a word that makes it somebody else's: escrow, admin, scammer."""


Found = tuple[str, str] | None
"""Kind and handle; null = the rule does not apply here after all."""
_NOBODY: Final = ("", "")
"""What the rule names is understood, and is no handle."""
_NAME: Final = re.compile(r"[a-z]\w{3,31}", re.A | re.I)
_NO_NAMES: Final = re.compile(
    r"admins?|all|channel|dm|everyone|gmail|here|home|hotmail|iedereen|outlook|protonmail|username"
)
_NO_PATHS: Final = re.compile(
    r"addemoji|addlist|addstickers|addtheme|auction|auth|bg|boost|c|call|confirmphone|contact|giftcode|invoice|iv|login"
    r"|m|msg|nft|proxy|setlanguage|share|socks"
)
"""First parts of links that name no account: folders, boosts, gifts, bills, stickers."""
_PLAIN_WORDS: Final = re.compile(
    r"aanvraag|above|accepted|account|alle|alleen|allemaal|allowed|also|altijd|and|app|ask|auch|available"
    r"|backup|below|bericht|beschikbaar|bestellen|beter|bio|channel|code|contact|direct|due|en|erbij|for"
    r"|gebruiken|gepind|graag|groep|group|here|hetzelfde|hieronder|ieder|iedereen|info|kan|kanaal|liever|link"
    r"|list|menu|message|mij|mogelijk|naam|name|nee|new|niet|nieuw|nieuwe|nodig|nummer|nur|oder|only|ook|open"
    r"|order|orders|per|pin|pinned|please|preferred|private|prive|privé|request|same|session|signal|sms|snap"
    r"|snapchat|staan|staat|stuur|te|telegram|threema|uit|und|user|vanaf|vast|veilig|verzoek|via|voor|vraag"
    r"|vragen|welkom|whatsapp|wickr|write|yes|zelfde"
)
"""Words that follow `signal:` and the like without being a name, also with something behind a dot."""
_QUOTED: Final = re.compile(
    r"(?i)(?:escrow|garant\w*|tussenpersoon|bemiddel\w*|middleman|\badmins?|beheer(?:der)?s?|moderators?|\bmods?|\bbot"
    r"|scam\w*|oplichter\w*|\bnep(?:account)?|\bfake|report|meld\w*|partners?|sponsor\w*|niet)"
    r"(?:\W{0,3}(?:via|bij|door|is|met|by|at|op|van|of|the|de|onze)\b)?\W{0,4}$"
)
_WEB: Final = r"(?i)(?:\bhttps?://)?(?:\bwww\.)?"
_MESSENGERS: Final = (
    r"(?i)(?:\b(signal|session|wickr(?:[ ]?me)?|snapchat|snap|sc|whatsapp|wapp|telegram|tele|tg|threema)\b|(👻))"
    r"(?:[ \-]{1,3}(?:id|me|naam|name|code|username|user)\b)?[ ]{0,3}(:|->|→|➡)?[ ]{0,3}(@)?([a-z0-9][\w.\-]{2,63})"
)


def find_all(text: str) -> list[Contact]:
    """The handles of a text, from left to right; one that stands there twice comes twice."""
    whole, offsets = folded(text)
    plain, lower, found = whole, whole.lower(), []
    for sign, pattern, read in _RULES:
        if sign not in lower:
            continue
        for match in pattern.finditer(plain):
            if (pair := read(match)) is None:
                continue
            start, end = match.span()
            plain = plain[:start] + "\n" * (end - start) + plain[end:]
            if pair is not _NOBODY:
                found.append((*pair, start, end))
    found += [("phone", *phone) for phone in phones.find(plain)]
    return [
        Contact(kind, handle, offsets[start], offsets[end - 1] + 1, _is_quoted(whole, start))
        for kind, handle, start, end in sorted(found, key=lambda each: each[2])
    ]


def _is_quoted(text: str, start: int) -> bool:
    before = text[max(0, start - 40) : start]
    return _QUOTED.search(before.rsplit("\n", 1)[-1]) is not None


def folded(text: str) -> tuple[str, Sequence[int]]:
    """The text with every look-alike sign as the plain one, without invisible signs; and where each sign stood."""
    if text.isascii():
        return text, range(len(text))
    signs = [_fold(sign) for sign in text]
    return "".join(signs), [index for index, sign in enumerate(signs) for _ in sign]


@lru_cache(maxsize=20_000)
def _fold(sign: str) -> str:
    """One sign after NFKC, digits of every script as 0 to 9; nothing for joiners, marks and keycaps."""
    category = unicodedata.category(sign)
    if category in ("Cf", "Mn", "Me"):
        return ""
    if "\u2776" <= sign <= "\u277e" or "\u278a" <= sign <= "\u2792":
        return str(int(unicodedata.numeric(sign)) % 10)  # digits in black circles, which NFKC leaves alone
    plain = unicodedata.normalize("NFKC", sign)
    if len(plain) != 1:
        return plain if plain.isdecimal() else sign
    return str(unicodedata.decimal(plain)) if plain.isdecimal() else plain


def _telegram_name(name: str) -> Found:
    name = name.rstrip("_").lower() if len(name) > 32 else name.lower()
    fits = _NAME.fullmatch(name) is not None and not _NO_NAMES.fullmatch(name)
    return ("telegram", name) if fits else _NOBODY


def _telegram_link(match: re.Match[str]) -> Found:
    """`t.me/name`, `t.me/s/name`, `t.me/+invitation`, `t.me/+316...`, `t.me/joinchat/invitation`."""
    parts = match[1].strip("/").split("/")
    if parts[0] == "s" and len(parts) > 1:
        parts = parts[1:]
    if parts[0] == "joinchat" and len(parts) > 1:
        return "telegram", f"+{parts[1]}"
    if parts[0].startswith("+"):
        number = phones.normal(parts[0]) if parts[0][1:].isdecimal() else None
        return ("phone", number) if number else ("telegram", parts[0])
    return _NOBODY if _NO_PATHS.fullmatch(parts[0].lower()) else _telegram_name(parts[0])


def _telegram_scheme(match: re.Match[str]) -> Found:
    """`tg://resolve?domain=name`, `tg://resolve?phone=316...`, `tg://join?invite=...`."""
    asked = parse_qs(urlsplit(match[0]).query)
    if "domain" in asked:
        return _telegram_name(asked["domain"][0])
    if "phone" in asked and (number := phones.normal(asked["phone"][0].strip())):
        return "phone", number
    return ("telegram", f"+{asked['invite'][0]}") if "invite" in asked else _NOBODY


def _whatsapp_link(match: re.Match[str]) -> Found:
    number = phones.normal(re.sub(r"[^\d+]", "", match[1]))
    return ("phone", number) if number else _NOBODY


def _signal_link(match: re.Match[str]) -> Found:
    """`signal.me/#p/+316...` is a number, `signal.me/#eu/...` a name in code."""
    if match[1].lower() != "p":
        return "signal", match[2]
    number = phones.normal(match[2])
    return ("phone", number) if number else _NOBODY


def _threema(match: re.Match[str]) -> Found:
    """A Threema ID: eight signs, of which no word is made (`Threema natuurlijk` has none in capitals)."""
    name = match[1]
    return ("threema", name.upper()) if name.isupper() or re.search(r"\d", name) else None


def _messenger(match: re.Match[str]) -> Found:
    """`signal: name.01`, `snap name_1`, `wickr @name`; a name without `:` or `@` needs a digit, dot or underscore.

    After `:` a name of letters alone counts where it is no common word; one that begins with a digit (`snap 3mmc`,
    `signal: 24.7`) needs `@` or an underscore.
    """
    app, mark, at, name = (match[1] or "snap").lower(), match[3], match[4], match[5].rstrip(".-_").lower()
    if re.match(r"[+0-9]", name) and phones.normal(re.sub(r"\D", "", name) or "0"):
        return None
    marked = re.search(r"[\d._]", name) is not None and not name.isdecimal()
    plain = _PLAIN_WORDS.fullmatch(name.split(".")[0]) is not None or len(name) < 4 and not at
    plain = plain or not at and (name in common_words() or name[0].isdecimal() and "_" not in name)
    if plain or name.isdecimal() or not (mark or at or marked) or (app == "sc" and not (mark or at)):
        return _NOBODY if at else None
    if app in ("telegram", "tele", "tg"):
        return _telegram_name(name)
    if app == "threema":
        return None
    kind = {"snap": "snapchat", "sc": "snapchat", "wapp": "whatsapp"}.get(app, app.split()[0])
    return kind.removesuffix("me") if kind == "wickrme" else kind, name


@cache
def common_words() -> frozenset[str]:
    """Words in ordinary use, of letters a to z alone; see scripts/build_common_words.py."""
    return frozenset((resources.files("drugscan") / "data" / "common_words.txt").read_text("utf-8").split())


def _at_name(match: re.Match[str]) -> Found:
    return _telegram_name(match[1])


_RULES: Final[tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Found]], ...]] = tuple(
    (sign, re.compile(pattern, re.A), read)
    for sign, pattern, read in (
        ("tg:", r"(?i)\btg:/{0,2}(?:resolve|join|msg|user)\?[^\s<>]*", _telegram_scheme),
        ("/", _WEB + r"(?:t\.me|telegram\.(?:me|dog))/([\w+\-/]+)(?:\?[^\s<>]*)?", _telegram_link),
        (".t.me", _WEB + r"\b([a-z]\w{3,31})\.t\.me\b/?", _telegram_link),
        ("wa.me/", _WEB + r"wa\.me/(?:message|qr)/(\w+)", lambda match: ("whatsapp", match[1])),
        ("wa.me/", _WEB + r"wa\.me/(\+?[\d\-]+)(?:\?[^\s<>]*)?", _whatsapp_link),
        (
            "/send",
            _WEB + r"(?:(?:api|web)\.)?whatsapp(?:\.com|:/)/send/?\?(?:\S{0,99}&)?phone=(\+?[\d]+)[^\s<>]*",
            _whatsapp_link,
        ),
        ("chat.", _WEB + r"chat\.whatsapp\.com/(\w+)(?:\?[^\s<>]*)?", lambda match: ("whatsapp", match[1])),
        (".me/#", r"(?i)(?:\b(?:https|sgnl)://)?\bsignal\.me/#(p|eu)/([\w+\-=]+)", _signal_link),
        ("/add/", _WEB + r"snapchat\.com/add/([\w.\-]+)(?:\?[^\s<>]*)?", lambda match: ("snapchat", match[1].lower())),
        (".id/", _WEB + r"threema\.id/(\*?\w{7,8})", lambda match: ("threema", match[1].upper())),
        ("05", r"(?i)\b(05[0-9a-f]{64})\b", lambda match: ("session", match[1].lower())),
        ("", r"(?i)\b(?:https?://|www\.)[^\s<>]+", lambda match: _NOBODY),
        (
            "@",
            r"(?<![\w.%+\-])[\w.%+\-]{1,64}+@[\w\-]{1,63}(?:\.[\w\-]{1,63}){0,5}\.[A-Za-z]{2,20}\b",
            lambda match: _NOBODY,
        ),
        ("", r"\b[Tt][Hh][Rr][Ee][Ee][Mm][Aa]\W{0,3}(?:(?i:id|me|code)\b)?\W{0,3}(\*?[A-Za-z0-9]{8})\b", _threema),
        ("", _MESSENGERS, _messenger),
        (
            "@",
            r"(?i)\b(?:insta(?:gram)?|ig|twitter|tiktok|discord|kik|facebook|fb|youtube|reddit)\b\s{0,3}[:=]?\s{0,3}@[\w.]{1,64}",
            lambda match: _NOBODY,
        ),
        ("@", r"(?<!@)@(\w{3,}+)(?!\.[a-z0-9])", _at_name),
    )
)
"""(signs that every match holds, in lower case, to skip what cannot match; pattern; what it means), in this order: what
a rule has understood, no later one sees. Repeats before something that must follow are bounded, so that no text takes
long."""
