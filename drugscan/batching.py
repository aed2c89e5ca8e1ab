"""Dynamic batching: texts of like length together, as many as a budget of tokens allows. Numbers only, no torch."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

MAX_PADDING: Final = 0.05
"""Share of a text in a batch that may be padding: large budgets would pad much more, and need no larger batches."""
Result = TypeVar("Result")
_Indices = npt.NDArray[np.int64]


def micro_batches(lengths: Sequence[int] | _Indices, max_tokens: int) -> Iterator[_Indices]:
    """Indices of the texts of each batch, longest first; every index comes once.

    A batch costs its count times its longest length, at most `max_tokens` (a single text may cost more). The longest
    come first, so that memory that does not suffice shows at once.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable")
    begin = 0
    while begin < len(order):
        longest = int(sizes[order[begin]])
        count = max(1, max_tokens // max(1, longest))
        part = order[begin : begin + count]
        part = part[sizes[part] >= longest * (1 - MAX_PADDING)]
        yield part
        begin += len(part)


def worked(
    lengths: Sequence[int] | _Indices, max_tokens: int, work: Callable[[_Indices], Result]
) -> Iterator[tuple[_Indices, Result]]:
    """What `work` makes of each batch.

    A batch that raises `MemoryError` halves the budget, and what is left is cut anew; a single text raises it on.
    """
    sizes = np.asarray(lengths, np.int64)
    todo = deque(micro_batches(sizes, max_tokens))
    while todo:
        batch = todo.popleft()
        try:
            result = work(batch)
        except MemoryError:
            if len(batch) == 1:
                raise
        else:
            yield batch, result
            continue
        # batches of the old size would fail one by one
        max_tokens = max(1, int(sizes[batch[0]]) * len(batch) // 2)
        left = np.concatenate([batch, *todo])
        todo = deque(left[part] for part in micro_batches(sizes[left], max_tokens))
