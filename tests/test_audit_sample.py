"""The draw: as many as asked for, with the probabilities that it states, and nothing that it promises left out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drugscan import audit_sample
from drugscan.audit_sample import Frame


def frame(texts: int, seed: int, scores: tuple[float, ...] = ()) -> Frame:
    random = np.random.default_rng(seed)
    score = random.choice(scores, texts) if scores else random.random(texts)
    copies = np.minimum(random.pareto(0.9, texts) + 1, 50_000).astype(np.int64)
    return Frame(score, copies, score >= 0.5, 0.5)


@settings(deadline=None, max_examples=80)
@given(
    texts=st.integers(1, 3000),
    wanted=st.integers(20, 800),
    seed=st.integers(0, 99),
    scores=st.sampled_from([(), (0.1, 0.9), (0.1,), (0.9,), (0.5,)]),
)
def test_the_draw_keeps_its_promises(texts: int, wanted: int, seed: int, scores: tuple[float, ...]) -> None:
    known = frame(texts, seed, scores)
    drawn = audit_sample.draw(known, wanted, np.random.default_rng(seed))
    assert len(set(drawn.rows.tolist())) == len(drawn.rows) == min(wanted, texts)
    sizes = np.bincount(drawn.stratum)
    numbers = np.bincount(drawn.stratum[drawn.rows], minlength=len(sizes))
    assert (numbers <= sizes).all()
    assert numbers[0] == sizes[0]  # taken for certain
    assert (numbers[1:] >= np.minimum(sizes[1:], 2)).all()
    for stratum in range(1, len(sizes)):
        assert len(set(known.is_ad[drawn.stratum == stratum].tolist())) <= 1


def test_every_text_of_a_stratum_is_drawn_as_often_as_stated() -> None:
    known, times = frame(400, 3), np.zeros(400)
    for seed in range(600):
        drawn = audit_sample.draw(known, 100, np.random.default_rng(seed))
        times[drawn.rows] += 1
    sizes, numbers = np.bincount(drawn.stratum), np.bincount(drawn.stratum[drawn.rows])
    stated = (numbers / np.maximum(sizes, 1))[drawn.stratum]
    error = np.sqrt(np.maximum(stated * (1 - stated), 1e-9) / 600)
    assert np.abs(times / 600 - stated).max() < 4.5 * error.max()
    assert (times[stated == 1] == 600).all()


def test_texts_that_carry_most_messages_and_doubt_are_preferred() -> None:
    copies = np.array([1] * 5000 + [60_000, 40] + [1] * 1000)
    score = np.array([0.001] * 5000 + [0.95, 0.95] + [0.45] * 1000)
    known = Frame(score, copies, score >= 0.5, 0.5)
    drawn = audit_sample.draw(known, 200, np.random.default_rng(0))
    sure, doubtful = (drawn.rows < 5000).sum(), (drawn.rows > 5001).sum()
    assert 5000 in drawn.rows
    assert doubtful / 1000 > 2 * sure / 5000


def test_allocation_by_hand() -> None:
    """12 draws by pulls 6:3:1 are 7.2, 3.6, 1.2. The third must have its three, the first has only five; 4 are left."""
    found = audit_sample.allocated(np.array([5, 100, 100]), np.array([6.0, 3.0, 1.0]), 12)
    assert found.tolist() == [5, 4, 3]


def test_small_strata_are_taken_whole() -> None:
    assert audit_sample.allocated(np.array([2, 1, 1000]), np.array([0.1, 0.1, 9.0]), 50).tolist() == [2, 1, 47]
