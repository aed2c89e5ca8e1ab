"""How sure a figure is: the bootstrap over groups of near-copies.

Copies and near-copies of a text are one piece of evidence, so groups of them are drawn, not texts (a cluster
bootstrap: Davison & Hinkley 1997, section 3.8). A figure that is a function of sums over texts needs no resampled
texts: the sums of a draw are the sums of each group times how often it was drawn, so all draws are one product of
two matrices.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

DRAWS: Final = 1000
"""Bootstrap resamples; the interval is their 2.5th to 97.5th percentile (Efron 1979)."""
_AT_ONCE: Final = 4_000_000
"""Entries of the matrix of draws and groups that is held at once: 32 MB."""
Interval = tuple[float, float]
_Floats = npt.NDArray[np.float64]
_Groups = npt.NDArray[np.int64]


def drawn_sums(per_text: _Floats, groups: _Groups, seed: int = 0) -> _Floats:
    """Sums over the texts of each draw, shape [`DRAWS`, ...], of quantities of each text, shape [texts, ...].

    The same groups and seed give the same draws, whatever is summed: so two models are compared on equal draws.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    flat = per_text.reshape(len(per_text), -1)
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(numbers.max(initial=-1) + 1))
    per_group = np.add.reduceat(flat[order], starts, axis=0) if len(flat) else flat
    parts = [drawn @ per_group for drawn in _times_drawn(len(per_group), seed)]
    return np.concatenate(parts).reshape(DRAWS, *per_text.shape[1:])


def _times_drawn(groups: int, seed: int) -> Iterator[_Floats]:
    """How often each group is in each draw, shape [draws of this part, groups]."""
    random = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // max(1, groups))
    for begin in range(0, DRAWS, step):
        rows = [
            np.bincount(random.integers(0, groups, groups), minlength=groups) if groups else np.zeros(0)
            for _ in range(min(step, DRAWS - begin))
        ]
        yield np.array(rows, np.float64)


def intervals(drawn: Mapping[str, _Floats]) -> dict[str, Interval]:
    """95 % percentile interval of each figure from its values over the draws; NaN draws are left out.

    A figure that has no value in any draw gets no interval.
    """
    found = {}
    for name, values in drawn.items():
        known = values[~np.isnan(values)]
        if len(known):
            low, high = np.percentile(known, [2.5, 97.5]).tolist()
            found[name] = (low, high)
    return found


def bootstrap(figure: Callable[[_Groups], dict[str, float | None]], groups: _Groups, seed: int) -> dict[str, Interval]:
    """Intervals of figures of any kind: `figure` gets the row numbers of each draw. The same draws as `drawn_sums`.

    Slow (it calls `figure` a thousand times); what is made from sums goes through `drawn_sums`.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        rows = np.concatenate([members[group] for group in random.integers(0, len(members), len(members))])
        for name, value in figure(rows).items():
            drawn.setdefault(name, []).append(np.nan if value is None else value)
    return intervals({name: np.array(values) for name, values in drawn.items()})
