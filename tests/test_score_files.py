"""What a Hugging Face classifier leaves in a corpus: tokens, what was cut, and null labels below the gate."""

from pathlib import Path

import polars as pl

from drugscan import corpus, models, score
from drugscan.models import Choice
from drugscan.models.huggingface import GATE
from drugscan.schema import DETECTOR_LABEL, LABELS
from tests import conftest
from tests.test_huggingface import LONGEST, OURS, TEXTS, classifier, detector, spread
from tests.test_ingest import desktop, message


def scanned(tmp_path: Path, choice: Choice) -> pl.DataFrame:
    """The scores of a corpus of the texts."""
    url = str(tmp_path / "corpus")
    rows = [message(number, text) for number, text in enumerate(TEXTS, 1)]
    conftest.ingest([desktop(tmp_path / "in" / "r.json", rows)], url)
    outcome = conftest.score(url, choice=choice)
    assert outcome.failures == []
    settled = models.settled(choice, corpus.scored_models(url))
    snapshot = corpus.snapshot(url)
    parts = [score.read_scores(snapshot, bucket, str(settled.model_id)) for bucket in range(snapshot.buckets)]
    scores = pl.concat([part for part in parts if part.height])
    assert outcome.messages == scores.height
    assert outcome.work["truncated"] == scores["truncated"].sum()
    assert set(outcome.seconds) == set(score.PHASES)
    return scores


def test_score_files_tell_tokens_and_what_was_cut(tmp_path: Path) -> None:
    scores = scanned(tmp_path, Choice(classifier(tmp_path / "m", "bert", list(OURS))))
    assert scores["truncated"].sum() == 1
    assert scores.filter("truncated")["tokens"].to_list() == [LONGEST]
    assert scores["tokens"].null_count() == 0


def test_labels_below_the_gate_are_null(tmp_path: Path) -> None:
    first, second = spread(detector(tmp_path / "d")), classifier(tmp_path / "c", "bert", list(LABELS))
    scores = scanned(tmp_path, Choice(detector=first, categoriser=second))
    below = scores.filter(pl.col(DETECTOR_LABEL) < GATE)
    assert 0 < below.height < scores.height
    assert all(below[label].null_count() == below.height == scores[label].null_count() for label in LABELS)
    assert scores["tokens"].null_count() == 0
