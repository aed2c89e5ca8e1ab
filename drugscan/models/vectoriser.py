"""scikit-learn's text vectoriser, option by option: which known n-grams a text holds.

Written after `CountVectorizer` (scikit-learn 0.21 to 1.9, which agree): the same n-grams, but only those in the
vocabulary are looked for: words by numbers, a batch at once (`word_ngrams`); the pieces of a word (`char_wb`) are
remembered.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import add
from typing import Final, Literal

import msgspec
import numpy as np

from drugscan.models.errors import ModelError
from drugscan.models.token_pattern import compiled, matches_blank
from drugscan.models.word_ngrams import Found, WordNgrams

MAX_NGRAM: Final = 32
REMEMBERED_WORDS: Final = 100_000
"""Words whose n-grams are kept (`char_wb`), some 50 MB; then the memory is emptied."""
_LONGEST_REMEMBERED: Final = 40
_BLANKS: Final = re.compile(r"\s\s+")
Finder = Callable[[Sequence[str]], Found]
"""Texts -> of each known n-gram in them, in any order and with repeats: index of its text, and its column."""


class Features(msgspec.Struct, frozen=True):
    """How a text becomes counts of n-grams and those become weights: the options of `TfidfVectorizer`, by its names."""

    analyzer: Literal["word", "char", "char_wb"]
    ngram_range: tuple[int, int]
    lowercase: bool
    strip_accents: Literal["ascii", "unicode"] | None
    token_pattern: str | None
    """Of the analyzer `word`; must be a safe one (see `token_pattern`)."""
    stop_words: list[str] | None
    binary: bool
    sublinear_tf: bool
    norm: Literal["l1", "l2"] | None
    dtype: Literal["float64", "float32"]


def finder(features: Features, vocabulary: Sequence[str]) -> Finder:
    """What finds n-grams as these options say; raises `ModelError` for options that cannot be used."""
    low, high = features.ngram_range
    if not 1 <= low <= high <= MAX_NGRAM:
        raise ModelError(f"its ngram_range {low} to {high} is not between 1 and {MAX_NGRAM}")
    prepared = _preparation(features)
    if features.analyzer == "word":
        tokens = _tokeniser(features)
        if high > 1 and not matches_blank(str(features.token_pattern)):
            return WordNgrams(lambda text: tokens(prepared(text)), vocabulary, (low, high)).find
    columns = {ngram: column for column, ngram in enumerate(vocabulary)}
    if features.analyzer == "word":
        return _one_by_one(lambda text: _joined(tokens(prepared(text)), low, high), columns)
    if features.analyzer == "char":
        return _one_by_one(lambda text: _substrings(_BLANKS.sub(" ", prepared(text)), low, high), columns)
    pieces = _Pieces(low, high, columns)
    return _flat(lambda text: pieces.find(prepared(text).split()))


def _one_by_one(ngrams: Callable[[str], list[str]], columns: Mapping[str, int]) -> Finder:
    """Looks each n-gram of each text up in the vocabulary."""
    get = columns.get
    return _flat(lambda text: map(get, ngrams(text), repeat(-1)))


def _flat(find: Callable[[str], Iterable[int]]) -> Finder:
    """A finder from what gives the columns of one text, -1 for n-grams that are not in the vocabulary."""

    def find_all(texts: Sequence[str]) -> Found:
        found: list[int] = []
        sizes = []
        for text in texts:
            before = len(found)
            found.extend(find(text))
            sizes.append(len(found) - before)
        columns = np.array(found, np.int32)
        known = columns >= 0
        return np.repeat(np.arange(len(texts), dtype=np.int32), sizes)[known], columns[known]

    return find_all


def _tokeniser(features: Features) -> Callable[[str], list[str]]:
    """Cuts a prepared text into words, without the stop words."""
    if features.token_pattern is None:
        raise ModelError("it has words but no token_pattern")
    tokens, stop_words = compiled(features.token_pattern).findall, frozenset(features.stop_words or ())
    if not stop_words:
        return tokens
    return lambda text: [word for word in tokens(text) if word not in stop_words]


def _joined(words: list[str], low: int, high: int) -> list[str]:
    """Every run of `low` to `high` words, with blanks between them."""
    ngrams = list(words) if low == 1 else []
    for length in range(max(low, 2), min(high, len(words)) + 1):
        ngrams += map(" ".join, zip(*(words[begin:] for begin in range(length)), strict=False))
    return ngrams


def _preparation(features: Features) -> Callable[[str], str]:
    """Lower case first, then accents: the order matters."""
    ways: dict[str | None, Callable[[str], str]] = {"ascii": _to_ascii, "unicode": _without_accents, None: str}
    strip = ways[features.strip_accents]
    return (lambda text: strip(text.lower())) if features.lowercase else strip


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join([c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)])


def _to_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _substrings(text: str, low: int, high: int) -> list[str]:
    """Every substring of `low` to `high` characters: each length is made from the one before, without a loop."""
    found: list[str] = []
    current = list(text)
    for length in range(1, min(high, len(text)) + 1):
        if length > 1:
            current = list(map(add, current, text[length - 1 :]))
        if length >= low:
            found += current
    return found


class _Pieces:
    """The n-grams of words, each with a blank at both ends (`char_wb`), with a memory of words seen before."""

    def __init__(self, low: int, high: int, columns: Mapping[str, int]) -> None:
        self._low, self._high, self._columns = low, high, columns
        self._known: dict[str, list[int]] = {}

    def find(self, words: Iterable[str]) -> list[int]:
        found: list[int] = []
        for word in words:
            known = self._known.get(word)
            found += self._of(word) if known is None else known
        return found

    def _of(self, word: str) -> list[int]:
        padded = f" {word} "
        # a word that is shorter than any n-gram counts once, whole
        ngrams = _substrings(padded, self._low, self._high) if self._low <= len(padded) else [padded]
        known = [column for ngram in ngrams if (column := self._columns.get(ngram)) is not None]
        if len(word) <= _LONGEST_REMEMBERED:
            if len(self._known) >= REMEMBERED_WORDS:
                self._known.clear()
            self._known[word] = known
        return known
