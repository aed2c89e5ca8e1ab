"""Near-copies of texts: those that share most of their letters in a row once disguise, contacts and amounts are off.

MinHash (Broder 1997), by rensa: the share of equal values of two signatures estimates the Jaccard similarity of the
sets of three characters in a row. Candidates agree in a band of four values (locality-sensitive hashing; Indyk &
Motwani 1998); near-copies agree in `NEAR_COPY` of all values.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from rensa import RMinHash
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from drugscan.models.features import folded_text

NEAR_COPY: Final = 0.55
"""Least similarity (estimated) of two texts that are near-copies."""
OF_A_GROUP: Final = 0.4
"""Least similarity of the texts of a group to its first: two changed copies of one text are less alike than each
is to that text, but a chain of small changes that ends in another ad is more than one group."""
VALUES: Final = 64
"""Of a signature: the estimate is off by 0.06 (standard deviation) at a similarity of 0.55."""
_BAND: Final = 4
"""16 bands of 4: texts of similarity 0.7 agree in one with probability 0.99, of 0.55 with 0.78, of 0.2 with 0.03."""
_SEED: Final = 42
_CODE_POINT: Final = np.uint64(21)
"""Bits of a code point: three in a row are one number, exactly."""
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
Signatures = npt.NDArray[np.uint32]
"""A row of `VALUES` for each text."""
Rows = npt.NDArray[np.int64]
"""Numbers of rows."""


def groups_of(texts: Sequence[str]) -> Rows:
    """For each text the row of the first text of its group of near-copies."""
    return groups(signatures(pl.Series(texts, dtype=pl.String)))


def plain(texts: pl.Series) -> pl.Series:
    """What is compared: disguises undone, lower case, links, handles and numbers masked, blanks made equal."""
    folded = pl.Series(texts.name, [folded_text(text) for text in texts], pl.String)
    return (
        folded.str.replace_all(r"(?:https?://|www\.|\bt\.me/|\bwa\.me/)\S+", "@")
        .str.replace_all(r"@\w+", "@")
        .str.replace_all(r"\d+", "0")
        .str.replace_all(r"\s+", " ")
    )


def signatures(texts: pl.Series) -> Signatures:
    """The MinHash signature of every text, shape [texts, `VALUES`]."""
    padded = [f"  {text} " for text in plain(texts)]
    lengths = np.array([len(text) for text in padded], np.int64)
    points = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32).astype(np.uint64)
    triples = points[:-2] << 2 * _CODE_POINT | points[1:-1] << _CODE_POINT | points[2:]
    ends = np.cumsum(lengths)
    within = np.delete(triples, np.concatenate([ends[:-1] - 2, ends[:-1] - 1]))
    bounds = np.concatenate([[0], np.cumsum(lengths - 2)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(within, bounds, VALUES, _SEED)
    return np.array(matrix.to_rows(), np.uint32).reshape(-1, VALUES)


def groups(signed: Signatures) -> Rows:
    """For each text the row of the first text of its group.

    Near-copies, and those linked through others, are one group, except those that are less than `OF_A_GROUP` like
    its first text: these are grouped again among themselves.
    """
    links = _near_copies(signed)
    group = np.arange(len(signed))
    rest = group
    while len(rest):
        first = _first_linked(links, len(signed))[rest]
        fits = _similarity(signed, rest, first) >= OF_A_GROUP
        group[rest[fits]] = first[fits]
        rest = rest[~fits]
        links = links[:, np.isin(links, rest).all(axis=0)]
    return group


def _first_linked(links: Rows, rows: int) -> Rows:
    """For each row the first of those that links (shape [2, links]) connect it with."""
    graph = coo_array((np.ones(links.shape[1], np.int8), (links[0], links[1])), shape=(rows, rows))
    _, part = connected_components(graph, directed=False)
    _, first = np.unique(part, return_index=True)
    return np.asarray(first[part], np.int64)


def _near_copies(signed: Signatures) -> Rows:
    """Pairs of rows, shape [2, pairs].

    Of the rows that agree in a band each is compared with the first and with the one before it: a thousand copies
    cost two thousand comparisons, not a million, and what one band misses another finds.
    """
    found = [_candidates(signed[:, begin : begin + _BAND]) for begin in range(0, VALUES, _BAND)]
    coded = np.sort(np.concatenate(found))
    one, other = np.divmod(coded[np.flatnonzero(np.diff(coded, prepend=-1))], max(1, len(signed)))
    near = _similarity(signed, one, other) >= NEAR_COPY
    return np.stack([one[near], other[near]])


def _candidates(band: Signatures) -> Rows:
    """Pairs of rows that agree in a band, each as smaller row × rows + larger row."""
    halves = np.ascontiguousarray(band).view(np.uint64)
    keys = halves[:, 0] * _GOLDEN ^ halves[:, 1]
    order = np.argsort(keys, kind="stable")
    again = np.concatenate([[False], np.diff(keys[order]) == 0])[: len(order)]
    place = np.arange(len(order))
    first = np.maximum.accumulate(np.where(again, 0, place))[again]
    rows = order[place[again]]
    return np.concatenate([order[first] * len(band) + rows, order[place[again] - 1] * len(band) + rows])


def _similarity(signed: Signatures, one: Rows, other: Rows) -> npt.NDArray[np.float64]:
    """Share of equal values of pairs of rows."""
    equal = np.zeros(len(one), np.int64)
    for values in signed.T:
        equal += values[one] == values[other]
    return equal / VALUES
