"""Phone numbers in all the ways in which ads write them, as E.164 (ITU-T): `+31612345678`.

Own rules for the Netherlands, Belgium and Germany and for numbers with `+` or `00` of any country; the package
phonenumbers is not used. Texts are folded before (`contacts.folded`), so that every kind of digit is one of 0 to 9.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_START: Final = re.compile(
    r"(?<![A-Za-z0-9_,])(?:\(?\+|\(?[0oO]|(?:31|32|49)(?=[\s.\-()0-9])"
    r"|(?:(?<=\bapp )|(?<=\bbel )|(?<=\btel )|(?<=tel: )|(?<=app: )|(?<=bel: )|(?<=signal: ))6)"
)
"""Where a number can begin; nine digits from a 6 are one only after a word that announces it."""
_SEPARATORS: Final = frozenset(" \t\u00a0.-\u2010\u2011\u2012\u2013\u2014/()*_~\u00b7\u2022|")
_SEPARATORS_TOGETHER: Final = 4
_LETTERS: Final = {"o": "0", "O": "0", "l": "1", "I": "1"}
"""Letters that stand for digits inside a number."""
_LEAST_TRUE_DIGITS: Final = 7
_MOST_DIGITS: Final = 17
_HOME: Final = ("31", "32", "49")
_LENGTHS: Final = {"1": 10, "31": 9, "33": 9, "34": 9, "39": 10, "40": 9, "44": 10, "48": 9, "90": 10, "212": 9}
"""Country code -> digits of a national number, where it is one length for every mobile phone."""
_COUNTRY: Final = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-689]|35|37|38|42|50|59|6[789]|80|85|87|88|96|97|99)\d"
)
"""Country codes that are assigned (ITU-T E.164 list)."""
_DUTCH: Final = re.compile(
    r"0(?:1[035]|2[0346]|3[03568]|4[0356]|5[0358]|7[0-9]|8[58])[2-9]|0(?:1[146-8]|2[257-9]|3[124]|4[1479]|5[1249]|48|57)[0-9][2-9]"
)
"""Area codes of three and of four digits; a subscriber's number begins with 2 to 9, unlike a list of dial codes."""
_BELGIAN_MOBILE: Final = re.compile(r"04(?:5[56]|[6-9][0-9])")
_GERMAN_MOBILE: Final = re.compile(r"01(?:5|6[023]|7)")


class Phone(NamedTuple):
    """A phone number in a text."""

    number: str
    """E.164."""
    start: int
    end: int


class _Run(NamedTuple):
    """The digits from one place on: as digits, where each stands, and whether another sign follows each."""

    digits: str
    at: list[int]
    closed: list[bool]
    plus: bool
    shape: str
    """Lengths of the groups between separators, such as 2-2-2-2-2; a slash stays a slash."""


def find(text: str) -> Iterator[Phone]:
    """The phone numbers of a folded text, from left to right, none of them overlapping."""
    position = 0
    while start := _START.search(text, position):
        run = _read(text, start.start())
        found = _number(run)
        if found is None:
            position = start.end()
            continue
        number, used = found
        position = run.at[used - 1] + 1
        yield Phone(number, start.start(), position)


def normal(number: str) -> str | None:
    """A whole number, as in `wa.me/31612345678` or `signal.me/#p/+31612345678`, as E.164; null when it is none."""
    plain = number if number[:1] in "+0" else f"+{number}"
    found = _number(_read(plain, 0))
    return found[0] if found else None


def _read(text: str, start: int) -> _Run:
    """Digits and separators from `start` on, as long as they can be one number."""
    at: list[int] = []
    digits, shape, blanks, true_digits, plus, position = "", "", 0, 0, False, start
    while position < len(text) and len(digits) < _MOST_DIGITS:
        sign = text[position]
        digit = sign if "0" <= sign <= "9" else _LETTERS.get(sign)
        if digit is not None:
            shape += ("/" if "/" in text[at[-1] : position] else "-") if blanks and digits else ""
            digits, shape, blanks = digits + digit, shape + "n", 0
            true_digits += digit == sign
            at.append(position)
        elif sign == "+" and not digits and not plus:
            plus = True
        elif sign in _SEPARATORS and blanks < _SEPARATORS_TOGETHER:
            blanks += 1
        else:
            break
        position += 1
    closed = [not text[place + 1 : place + 2].isalnum() for place in at]
    enough = digits if true_digits >= _LEAST_TRUE_DIGITS else ""
    return _Run(enough, at, closed, plus, re.sub("n+", lambda match: str(len(match[0])), shape))


def _number(run: _Run) -> tuple[str, int] | None:
    """E.164 and how many digits of the run it takes; null when no rule fits."""
    if run.plus:
        return _international(run, 0)
    if run.digits.startswith("00"):
        return _international(run, 2)
    if run.digits.startswith("0"):
        return _national(run)
    if run.digits.startswith("6"):
        return _taken(run, 0, 9, "31")
    return _international(run, 0) if re.match(r"310?6|320?4|490?1[5-7]", run.digits) else None


def _taken(run: _Run, skipped: int, length: int, country: str) -> tuple[str, int] | None:
    """`length` digits after the first `skipped`, if they end where the writing pauses."""
    used = skipped + length
    if len(run.digits) < used or not run.closed[used - 1]:
        return None
    return f"+{country}{run.digits[skipped:used]}", used


def _international(run: _Run, skipped: int) -> tuple[str, int] | None:
    code = _COUNTRY.match(run.digits, skipped)
    if code is None:
        return None
    country, begin = code[0], code.end()
    if country not in _HOME and _groups(run)[0] < begin - skipped:
        return None  # +25 110 is a surcharge, not Ethiopia
    if run.digits[begin : begin + 1] == "0" and country != "39":
        begin += 1  # the (0) of +31 (0)6; an Italian zero belongs to the number
    if country == "32":
        return _taken(run, begin, 9 if run.digits[begin : begin + 1] == "4" else 8, country)
    if country in _LENGTHS:
        return _taken(run, begin, _LENGTHS[country], country)
    if country == "49" and run.digits[begin : begin + 1] == "1":
        return _taken(run, begin, 11, country) or _taken(run, begin, 10, country)
    rest = len(run.digits) - begin
    return _taken(run, begin, rest, country) if 8 <= len(country) + rest <= 15 and rest >= 6 else None


def _national(run: _Run) -> tuple[str, int] | None:
    digits = run.digits
    if digits.startswith("06"):
        return _taken(run, 1, 9, "31")
    if _BELGIAN_MOBILE.match(digits) and run.shape not in ("4-6", "4-3-3"):
        return _taken(run, 1, 9, "32")
    if _GERMAN_MOBILE.match(digits) and len(digits) in (11, 12):
        return _taken(run, 1, len(digits) - 1, "49")
    if _DUTCH.match(digits) and (found := _taken(run, 1, 9, "31")):
        return found
    spread = "/" in run.shape or run.shape in ("2-3-2-2", "3-2-2-2")
    return _taken(run, 1, 8, "32") if len(digits) == 9 and digits[1] != "0" and spread else None


def _groups(run: _Run) -> list[int]:
    """How many digits stand together, from the left."""
    return [int(length) for length in re.split(r"[-/]", run.shape)]
