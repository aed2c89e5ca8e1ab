"""Fields that every format spells in its own way: times, ids, forwarded names, buttons."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from drugscan.schema import TimeQuality

_EARLIEST: Final = 1_356_998_400  # 2013-01-01: Telegram began in August of that year
_LATEST: Final = 4_102_444_800  # 2100-01-01
INT64: Final = 2**63
_MICROSECONDS: Final = 1_000_000
_CHANNEL_PREFIX: Final = 1_000_000_000_000
"""Bot-API style ids of channels are -100 followed by the bare id: -(10^12 + id)."""
_DIGITS: Final = re.compile(r"[+-]?\d{1,19}(\.0*)?")


class BadTime(ValueError):
    """A time that is missing, unreadable or impossible."""


class BadValue(ValueError):
    """A field of a type or size that cannot be meant."""


def unix_time(value: object) -> int:
    """Microseconds from seconds since 1970 (int, float or digits); raises `BadTime`."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadTime("no number of seconds") from error
    if not _EARLIEST <= seconds < _LATEST:
        raise BadTime(f"{seconds:.0f} s is not in 2013 to 2100")
    whole = int(seconds)
    return whole * _MICROSECONDS + round((seconds - whole) * _MICROSECONDS)


def any_time(value: object) -> tuple[int, TimeQuality]:
    """Microseconds and quality of a time in any spelling; a bare one stays on its local clock (`assumed`)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return unix_time(value), "unix"
    if not isinstance(value, str) or not value.strip():
        raise BadTime("no time")
    text = value.strip()
    if _DIGITS.fullmatch(text):
        return unix_time(text), "unix"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTime("not an ISO time") from error
    quality: TimeQuality = "assumed" if moment.tzinfo is None else "zoned"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        seconds = moment.timestamp()
    except (OverflowError, ValueError) as error:
        raise BadTime("not in 2013 to 2100") from error
    return unix_time(seconds), quality


def maybe_time(value: object) -> int | None:
    """As `any_time`, but null for what is missing or unreadable (times of edits)."""
    try:
        return any_time(value)[0] if value else None
    except BadTime:
        return None


def whole_number(value: object) -> int | None:
    """An integer from an int, a whole float or digits; null for anything else; `BadValue` beyond 64 bits."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        if value != value or abs(value) >= INT64 or value != int(value):
            return None
        value = int(value)
    if isinstance(value, str):
        text = value.strip()
        if not _DIGITS.fullmatch(text):
            return None
        value = int(text.split(".")[0])
    if not isinstance(value, int):
        return None
    if abs(value) >= INT64:
        raise BadValue("a number beyond 64 bits")
    return value


def small_number(value: object) -> int | None:
    """As `whole_number`, but null beyond 64 bits: for fields that a message can do without."""
    try:
        return whole_number(value)
    except BadValue:
        return None


def bare_id(number: int) -> int:
    """The bare, positive id of a chat written in any style: -100 prefix, minus, or bare."""
    if number <= -_CHANNEL_PREFIX:
        return -number - _CHANNEL_PREFIX
    return abs(number)


def chat_id(value: object) -> int | str:
    """A chat id as number (bare) or, when it is none, as the text itself; `BadValue` when there is nothing."""
    number = whole_number(value)
    if number is not None:
        return bare_id(number)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise BadValue("no chat id")


@lru_cache(maxsize=1 << 16)
def _account(text: str) -> str | None:
    """An account written as text; the same few senders come again and again."""
    number = small_number(text)
    if number is not None:
        return f"user:{number}" if number >= 0 else f"channel:{bare_id(number)}"
    for kind in ("user", "channel", "chat"):
        rest = text.removeprefix(kind).lstrip(":")
        if rest != text and rest.isdigit():
            return f"{kind}:{int(rest)}"
    return f"name:{text}" if text else None


def account(value: object) -> str | None:
    """`user:1`, `channel:2` or `chat:3` from the spellings of exports: `user1`, a number (a user), -100…, a name."""
    if isinstance(value, str):
        return _account(value.strip())
    number = small_number(value)
    return None if number is None else _account(str(number))


def named(value: object) -> str | None:
    """An account of which only a display name is known."""
    return f"name:{value.strip()}" if isinstance(value, str) and value.strip() else None


def flat_text(value: object) -> str:
    """The visible words of a text that is a string or a list of strings and entities."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return flat_text(value.get("text"))
    if isinstance(value, list):
        return "".join([part if isinstance(part, str) else flat_text(part) for part in value])
    return "" if value is None or isinstance(value, bool) else str(value)


def lines(*parts: str) -> str:
    """The parts that are not empty, one below the other."""
    return "\n".join(part for part in parts if part and part.strip())


def as_dict(value: object) -> dict[str, object]:
    """The value itself if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """The value itself if it is an array, else an empty one."""
    return value if isinstance(value, list) else []
