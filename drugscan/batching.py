"""Dynamic batching: texts of like length together, as many as a budget of tokens allows."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

MAX_PADDING: Final = 0.15
"""Share of a text in a batch that may be padding: more costs more than a batch of its own."""


def micro_batches(lengths: Sequence[int], max_tokens: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of the texts of each batch, longest first; every index comes once.

    A batch costs its count times its longest length, at most `max_tokens` (a single text may cost more). The longest
    come first, so that memory that does not suffice shows at once.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable")
    begin = 0
    while begin < len(order):
        longest = max(1, int(sizes[order[begin]]))
        count = max(1, max_tokens // longest)
        part = order[begin : begin + count]
        part = part[sizes[part] >= longest * (1 - MAX_PADDING)]
        yield part
        begin += max(1, len(part))
