"""What part of a sheet is enough: its first texts are the heaviest ones, not a random part."""

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from drugscan import audit_figures, audit_frame, audit_sample, show_audit
from drugscan.audit import Audit, AuditError
from drugscan.audit_labels import Labels, Said
from drugscan.schema import LABELS

DRAWING = audit_frame.Drawing("a", "b", "m", datetime.now(UTC).isoformat(), 0, 0, 0)
Sheet = tuple[pl.DataFrame, pl.DataFrame]
"""A sample in the order of its sheet, with a column `truth`, and its strata."""


def sheet(texts: int, wanted: int, seed: int = 0) -> Sheet:
    """Texts with heavy-tailed copies, 40 % of them ads, of which the model errs on one of ten."""
    random = np.random.default_rng(seed)
    copies = np.minimum(1 + random.pareto(1.1, texts) * 4, 3000).astype(np.int64)
    truth = random.random(texts) < 0.4
    score = np.clip(np.where(truth, 0.85, 0.15) + random.normal(0, 0.27, texts), 0.001, 0.999)
    frame = pl.DataFrame({"score": score, "copies": copies, "truth": truth}).with_columns(
        *(pl.lit(False).alias(label) for label in LABELS),
        is_ad=pl.col("score") >= 0.5,
        provinces=pl.lit([], pl.List(pl.String)),
        text_id=pl.Series([number.to_bytes(16) for number in range(texts)]),
    )
    drawn = audit_sample.draw(audit_sample.Frame(score, copies, frame["is_ad"].to_numpy(), 0.5), wanted, random)
    placed = frame.with_columns(stratum=pl.Series(drawn.stratum))
    sample = placed[drawn.rows][random.permutation(len(drawn.rows))]
    sample = sample.sort(pl.col("stratum") > 0, maintain_order=True)
    strata = audit_frame._strata(placed, sample)
    chances = strata.select("stratum", probability=pl.col("drawn") / pl.col("texts"))
    return sample.join(chances, on="stratum", maintain_order="left"), strata


def apply(sample: pl.DataFrame, strata: pl.DataFrame, done: pl.DataFrame) -> tuple[Audit, Labels]:
    """The audit when one person labelled these texts rightly."""
    rows = done.select("text_id", "truth").iter_rows()
    labels = Labels({(i, "Anna"): Said(i, "Anna", frozenset(["drugsad"] if ad else []), "") for i, ad in rows})
    return audit_figures.result_of(DRAWING, sample.drop("truth"), strata, labels), labels


def heaviest(sample: pl.DataFrame) -> int:
    return sample.filter(stratum=0).height


def test_a_sheet_of_which_only_the_heaviest_texts_are_done_is_refused() -> None:
    sample, strata = sheet(1275, 1000)
    first = heaviest(sample)
    assert 300 < first < 700
    for count, words in (
        (first * 2 // 3, f"of the {first} texts that weigh most"),
        (first, f"only 0 of the {1000 - first} texts behind the heaviest ones are labelled"),
        (first + 2, f"only 2 of the {1000 - first} texts behind"),
    ):
        with pytest.raises(AuditError, match=words):
            apply(sample, strata, sample.head(count))
    found, labels = apply(sample, strata, sample.head(first + 3))
    assert "label more to publish" in show_audit.checks(found, labels, sample)
    found, labels = apply(sample, strata, sample.head(first + (1000 - first) // 3 + 1))
    assert "label more to publish" not in show_audit.checks(found, labels, sample)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.89])
def test_too_few_of_the_heaviest_texts_are_refused(share: float) -> None:
    sample, strata = sheet(1275, 1000)
    first = heaviest(sample)
    done = pl.concat([sample.head(math.floor(first * share)), sample.slice(first)])
    with pytest.raises(AuditError, match=rf"of the {first} texts that weigh most, .* label on, until"):
        apply(sample, strata, done)


@pytest.mark.parametrize(("of_first", "of_others"), [(1.0, 0.34), (0.9, 0.5), (0.95, 1.0)])
def test_parts_of_a_sheet_hold_the_truth(of_first: float, of_others: float) -> None:
    """Twenty sheets: what is labelled of the heaviest texts is no known quantity, but a random part of them."""
    held = np.zeros(2)
    for seed in range(20):
        sample, strata = sheet(1275, 1000, seed)
        first = heaviest(sample)
        done = pl.concat(
            [sample.head(math.ceil(first * of_first)), sample.slice(first, int((1000 - first) * of_others))]
        )
        true = _true(seed)
        figures = apply(sample, strata, done)[0].figures
        held += [figures[f"ads.{unit}"].lower <= true[unit] <= figures[f"ads.{unit}"].upper for unit in true]
    assert held.min() >= 16


def _true(seed: int) -> dict[str, int]:
    """Messages and texts of the ads of `sheet(1275, 1000, seed)`: all drawn, they are in the sample."""
    whole = sheet(1275, 1275, seed)[0].filter("truth")
    return {"messages": int(whole["copies"].sum()), "texts": whole.height}


def test_a_small_sample_is_labelled_whole() -> None:
    sample, strata = sheet(10, 20)
    assert apply(sample, strata, sample)[0].labelled == 10
    with pytest.raises(AuditError, match="only 9 of 10 texts are labelled; at least 10 must be"):
        apply(sample, strata, sample.head(9))
