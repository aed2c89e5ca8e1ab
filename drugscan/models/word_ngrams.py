"""Word n-grams of a batch, found by numbers: a tree of words in sorted arrays, walked by all words at once.

Exact, not hashed: a node of the tree is the pair (node of the words before, word), and each pair has a key of its own.
Making and looking up the joined text of every pair of words, as scikit-learn does, costs twice as much.
"""

from collections.abc import Callable, Sequence
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

_Numbers = npt.NDArray[np.int64]
Found = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
"""Of each n-gram that was found: index of its text, and its column."""


class WordNgrams:
    """The n-grams of a vocabulary. `words` cuts a text into words, none of which may hold a blank."""

    def __init__(self, words: Callable[[str], list[str]], vocabulary: Sequence[str], lengths: tuple[int, int]) -> None:
        self._words = words
        self._low, high = lengths
        split = [ngram.split(" ") for ngram in vocabulary]
        self._ids = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(split)))}
        self._levels = self._tree(split, high)

    def _tree(self, split: list[list[str]], high: int) -> list[tuple[_Numbers, npt.NDArray[np.int32]]]:
        """Per length: the sorted keys of its nodes, and the column of each (-1 for one that is only on the way)."""
        columns = np.array([column for column, words in enumerate(split) if len(words) <= high], np.int32)
        paths = [[self._ids[word] for word in split[column]] for column in columns]
        sizes = np.array([len(path) for path in paths], np.int64)
        nodes = np.zeros(len(paths), np.int64)
        levels = []
        for length in range(1, int(sizes.max(initial=0)) + 1):
            there = sizes >= length
            last = np.array([path[length - 1] for path in paths if len(path) >= length], np.int64)
            keys, nodes[there] = np.unique(nodes[there] * len(self._ids) + last, return_inverse=True)
            column = np.full(len(keys), -1, np.int32)
            column[nodes[sizes == length]] = columns[sizes == length]
            levels.append((keys, column))
        return levels

    def find(self, texts: Sequence[str]) -> Found:
        """The known n-grams in the texts."""
        cut = [self._words(text) for text in texts]
        sizes = np.array([len(words) for words in cut], np.int64)
        flat = chain.from_iterable(cut)
        ids = np.fromiter(map(self._ids.get, flat, repeat(-1)), np.int64, int(sizes.sum()))
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), sizes)
        rows, columns = [owners[:0]], [owners[:0]]
        places = np.flatnonzero(ids >= 0)
        nodes = np.zeros(len(places), np.int64)
        for length, (keys, column) in enumerate(self._levels, 1):
            last = places + (length - 1)
            inside = last < len(ids)
            places, nodes, last = places[inside], nodes[inside], last[inside]
            inside = (owners[last] == owners[places]) & (ids[last] >= 0)
            places, wanted = places[inside], nodes[inside] * len(self._ids) + ids[last[inside]]
            nodes = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            hit = keys[nodes] == wanted
            places, nodes = places[hit], nodes[hit]
            known = column[nodes] >= 0
            if length >= self._low:
                rows.append(owners[places[known]])
                columns.append(column[nodes[known]])
        return np.concatenate(rows), np.concatenate(columns)
