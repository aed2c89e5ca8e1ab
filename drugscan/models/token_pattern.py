"""Regular expressions from files of others: only those that cannot run for ever.

Python's `re` tries alternatives by going back, so a pattern such as `(a+)+b` takes longer than the universe lasts on
a text of fifty letters. Accepted is a small language of token patterns in which that cannot happen: up to four
alternatives without groups, each of them characters, classes and boundaries, with at most ONE of them repeated (and
two that may be missing). The worst case is then a scan of the rest of the text from every character of it.
"""

import re
from typing import Final

from drugscan.models.errors import ModelError

MAX_CHARACTERS: Final = 200
_ITEM: Final = r"(?:\\[wWsSdDbB]|\\[^\w\s]|\[\^?(?:\\[wWsSdD]|\\[^\w\s]|[^\\\[\]])+\]|[^\\\[\](){}*+?|^$])"
"""One character, class or boundary."""
_REPEAT: Final = r"(?:[*+]|\{\d{1,3}(?:,\d{0,3})?\})"
_PIECE: Final = re.compile(rf"(?P<item>{_ITEM})(?P<repeat>{_REPEAT})?(?P<maybe>\?)?")
_FLAGS: Final = re.compile(r"\(\?[aui]{1,2}\)")


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to find tokens; raises `ModelError` if it is not one of the safe ones (see above)."""
    flags = _FLAGS.match(pattern)
    alternatives = _alternatives(pattern[flags.end() if flags else 0 :])
    repeats = [sum(bool(piece["repeat"]) for piece in alternative) for alternative in alternatives]
    maybes = [sum(bool(piece["maybe"]) for piece in alternative) for alternative in alternatives]
    if len(alternatives) > 4 or max(repeats) > 1 or max(maybes) > 2:
        raise _refused(pattern)
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ModelError(f"its token_pattern {ascii(pattern)} is no regular expression: {error}") from error


def matches_blank(pattern: str) -> bool:
    """Whether a token may hold a blank; true when in doubt."""
    flags = _FLAGS.match(pattern)
    pieces = [piece for each in _alternatives(pattern[flags.end() if flags else 0 :]) for piece in each]
    items = [piece["item"] for piece in pieces if piece["item"] not in (r"\b", r"\B")]
    return any(re.match(item, " ") for item in items)


def _alternatives(pattern: str) -> list[list[re.Match[str]]]:
    """The pieces of each alternative."""
    if len(pattern) > MAX_CHARACTERS:
        raise _refused(pattern)
    found: list[list[re.Match[str]]] = [[]]
    at = 0
    while at < len(pattern):
        if pattern[at] == "|":
            found.append([])
            at += 1
            continue
        piece = _PIECE.match(pattern, at)
        if piece is None:
            raise _refused(pattern)
        found[-1].append(piece)
        at = piece.end()
    return found


def _refused(pattern: str) -> ModelError:
    return ModelError(
        f"its token_pattern {ascii(pattern[:MAX_CHARACTERS])} is not one of those that are safe to run on any text: "
        "no groups, one repeat in each alternative (scikit-learn's own is)"
    )
