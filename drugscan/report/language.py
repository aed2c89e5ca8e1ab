"""What the page says and how it writes numbers and dates, by language: every word a reader sees goes through here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from drugscan.report import dutch, english

NOTHING: Final = "–"


@dataclass(frozen=True)
class Language:
    """One language: its code, its words by key, and its marks in numbers."""

    code: str
    """BCP 47, as in `<html lang>`."""
    words: Mapping[str, str]
    names: Mapping[str, str]
    """Names of drugs, units and kinds of chat that differ from those in the tables."""
    months: tuple[str, ...]
    short_months: tuple[str, ...]
    thousands: str
    decimal: str

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key, with the values put in. Raises `KeyError` for a key that does not exist."""
        return self.words[key].format(**values)

    @property
    def marks(self) -> dict[str, Any]:
        """Its marks in numbers for Vega (d3-format)."""
        return {"thousands": self.thousands, "decimal": self.decimal, "grouping": [3], "currency": ["€", ""]}

    def name(self, name: str) -> str:
        """A drug, unit or kind of chat as this language has it."""
        return self.names.get(name, name)

    def number(self, value: float | None, decimals: int = 0) -> str:
        """A number with its thousands marked; a dash for nothing."""
        if value is None:
            return NOTHING
        return f"{value:,.{decimals}f}".translate(str.maketrans(",.", self.thousands + self.decimal))

    def rate(self, value: float | None) -> str:
        """A number of any size: with decimals only where they matter."""
        decimals = 0 if value is None or value >= 10 or value == int(value) else 1 if value >= 1 else 2
        return self.number(value, decimals)

    def exact(self, value: float) -> str:
        """A number on an axis: with the decimals, at most two, that it has."""
        return self.number(value, next((decimals for decimals in (0, 1) if round(value, decimals) == value), 2))

    def percent(self, value: float | None) -> str:
        """A share as a percentage."""
        return NOTHING if value is None else f"{self.number(100 * value, 1)}%"

    def euro(self, value: float | None) -> str:
        """A price with its cents."""
        return self.number(value, 2)

    def day(self, value: date | datetime | None) -> str:
        """A day in full: 31 January 2023."""
        return NOTHING if value is None else f"{value.day} {self.months[value.month - 1]} {value.year}"

    def short_day(self, value: date | datetime | None) -> str:
        """A day as it stands in a table: 31 Jan 2023."""
        return NOTHING if value is None else f"{value.day} {self.short_months[value.month - 1]} {value.year}"

    def month(self, value: date) -> str:
        """A month in full: January 2023."""
        return f"{self.months[value.month - 1]} {value.year}"


ENGLISH: Final = Language(
    "en", english.WORDS, {}, english.MONTHS, tuple(month[:3] for month in english.MONTHS), ",", "."
)
DUTCH: Final = Language("nl", dutch.WORDS, dutch.NAMES, dutch.MONTHS, dutch.SHORT_MONTHS, ".", ",")
LANGUAGES: Final = {language.code: language for language in (ENGLISH, DUTCH)}
"""Code -> language, for `--language`."""
