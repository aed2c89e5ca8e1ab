"""Batching by length: every text once, within the budget, and the same scores whatever the batches."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drugscan.batching import MAX_PADDING, micro_batches, worked

LENGTHS = st.lists(st.integers(0, 600), max_size=80)


@given(lengths=LENGTHS, max_tokens=st.integers(1, 2_000))
def test_every_text_comes_once_and_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    batches = list(micro_batches(lengths, max_tokens))
    assert sorted(np.concatenate([np.empty(0, int), *batches]).tolist()) == list(range(len(lengths)))
    for batch in batches:
        sizes = [lengths[index] for index in batch]
        assert len(sizes) == 1 or max(sizes) * len(sizes) <= max_tokens
        assert min(sizes) >= max(sizes) * (1 - MAX_PADDING)
    longest = [max(lengths[index] for index in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


@given(lengths=LENGTHS, max_tokens=st.integers(1, 2_000), seed=st.integers(0, 99))
def test_the_order_of_the_texts_changes_no_result(lengths: list[int], max_tokens: int, seed: int) -> None:
    sizes = np.array(lengths, np.int64)
    order = np.random.default_rng(seed).permutation(len(sizes))

    def results(given: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        out = np.full(len(given), -1, np.int64)
        for batch, values in worked(given, max_tokens, lambda batch: given[batch] * 3):
            out[batch] = values
        return out

    assert np.array_equal(results(sizes)[order], results(sizes[order]))


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=60), room=st.integers(100, 3_000))
def test_memory_that_does_not_suffice_halves_the_batches_and_goes_on(lengths: list[int], room: int) -> None:
    """A device with room for `room` tokens is given a budget far above it."""
    failed: list[int] = []

    def work(batch: npt.NDArray[np.int64]) -> int:
        cost = max(lengths[index] for index in batch) * len(batch)
        if cost > room:
            failed.append(cost)
            raise MemoryError
        return cost

    done = list(worked(lengths, 1_000_000, work))
    assert sorted(int(index) for batch, _ in done for index in batch) == list(range(len(lengths)))
    assert all(later <= earlier / 2 for earlier, later in zip(failed, failed[1:], strict=False))


def test_a_text_that_does_not_fit_by_itself_is_an_error() -> None:
    def work(batch: npt.NDArray[np.int64]) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        list(worked([5, 5], 10, work))
