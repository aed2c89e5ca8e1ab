"""The cascade: the pair settles what is plainly no ad, the encoder is asked of the rest, and both speak together."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing

from drugscan import estimates, models, stacking, training
from drugscan.evaluation import read_labelled, read_sample
from drugscan.models import encoder, linear
from drugscan.models.cascade import Cascade, CascadeConfig
from drugscan.models.encoder import OUTPUTS, MergedConfig
from drugscan.models.errors import ModelError
from drugscan.models.features import FOLDING_VERSION
from tests.conftest import score, tables
from tests.test_ingest import desktop, message
from tests.test_models import _lines as lines

TEXTS = ["kaas plof bus", "kaas boom raam", "fiets regen plof", "weg zon lamp stoel", ""]


def _encoder(folder: Path) -> None:
    """A merged encoder with random weights."""
    torch.manual_seed(5)
    config = {
        "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 64, "num_labels": 9, "problem_type": "multi_label_classification", "pad_token_id": 0,
    }  # fmt: skip
    pieces = [("<pad>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz ▁")]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="<unk> $A", special_tokens=[("<unk>", 1)])
    arrays = {name: value.numpy() for name, value in encoder.module_of(config).state_dict().items()}
    made = MergedConfig("merged", config, FOLDING_VERSION, 32, dict.fromkeys(OUTPUTS, 0.5))
    encoder.save(str(folder), arrays, tokenizer.to_str().encode(), made)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained linear pair, a random encoder with scores out of fold, and the files that both are of."""
    folder = tmp_path_factory.mktemp("cascade")
    files = [lines(folder / f"{i}.jsonl", 120, i) for i in range(3)]
    training.train_linear(files, str(folder / "linear"))
    _encoder(folder / "small")
    sample = read_sample(files)
    random = np.random.default_rng(0)
    logits = np.where(sample.right, 1.0, -1.0) + random.normal(0, 2, sample.right.shape)
    estimates.keep(str(folder / "small"), logits, sample.labelled)
    return folder


def _files(folder: Path) -> list[str]:
    return [str(folder / f"{i}.jsonl") for i in range(3)]


def _cascade(folder: Path, gate: float) -> Cascade:
    blend = {output: (0.7, 0.4, 0.1) for output in OUTPUTS}
    config = CascadeConfig("cascade", "../linear", "../small", gate, blend, dict.fromkeys(OUTPUTS, 0.5))
    read = [(folder / name / "config.json").read_bytes() for name in ("linear", "small")]
    first = linear.load(str(folder / "linear"), read[0])
    return Cascade(config, first, encoder.load(str(folder / "small"), read[1]))


def test_both_speak_above_the_gate_and_the_pair_alone_below(folders: Path) -> None:
    model = _cascade(folders, 0.3)
    said = model.score(TEXTS)
    first, then = (
        model.first.logits(TEXTS),
        encoder.load(str(folders / "small"), (folders / "small" / "config.json").read_bytes()).score(TEXTS),
    )
    asked = expit(first[:, 0]) >= 0.3
    assert 0 < asked.sum() < len(TEXTS)
    logits = np.log(then) - np.log1p(-then)
    assert np.allclose(said[asked], expit(0.7 * first[asked] + 0.4 * logits[asked] + 0.1), atol=1e-5)
    assert np.allclose(said[~asked, 0], expit(first[~asked, 0]), atol=1e-6)
    assert np.isnan(said[~asked, 1:]).all()
    assert (said[~asked, 0] < 0.3).all()
    assert not np.isnan(said[asked]).any()


def test_a_score_depends_on_nothing_but_its_text(folders: Path) -> None:
    model = _cascade(folders, 0.3)
    whole = model.score(TEXTS)
    for index, text in enumerate(TEXTS):
        assert np.allclose(model.score([text])[0], whole[index], atol=1e-5, equal_nan=True)
    assert model.score([]).shape == (0, 9)


def test_only_texts_that_may_be_ads_have_tokens(folders: Path) -> None:
    model = _cascade(folders, 0.3)
    lengths = model.tokenise(TEXTS).ids.lengths
    assert ((lengths > 0) == (expit(model.first.logits(TEXTS)[:, 0]) >= 0.3)).all()


def test_the_id_changes_with_whatever_changes_a_score(folders: Path) -> None:
    ids = {_cascade(folders, gate).model_id for gate in (0.1, 0.2, 0.2)}
    assert len(ids) == 2
    assert all(name.startswith("cascade-") for name in ids)


def test_fitting_is_better_than_the_weaker_part_and_says_what_it_asked(folders: Path) -> None:
    model_id, found = stacking.train_cascade(
        _files(folders), stacking.Parts(str(folders / "linear"), str(folders / "small")), str(folders / "both")
    )
    model = models.load(str(folders / "both"))
    assert model.model_id == model_id
    assert isinstance(model, Cascade)
    assert found["leave_files_out"]["all"]["detector"] > 0.95
    weights = model.config.blend["drugsad"]
    assert weights[0] > weights[1]  # the pair knows this language, the encoder's scores are half noise
    assert 0 < json.loads((folders / "both" / "config.json").read_text())["training"]["asked"] <= 1


def test_a_model_without_scores_out_of_fold_is_refused(folders: Path, tmp_path: Path) -> None:
    labelled = [each for file in _files(folders) for each in read_labelled(file)]
    with pytest.raises(ModelError, match="encoder with --folds"):
        estimates.kept(str(tmp_path), labelled)
    with pytest.raises(ModelError, match="other texts"):
        estimates.kept(str(folders / "small"), labelled[1:])


def test_a_corpus_is_scanned_with_a_cascade(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _cascade(folders, 0.3)
    monkeypatch.setattr(models, "load", lambda name="default": model)
    exports = desktop(tmp_path / "in" / "result.json", [message(i, text) for i, text in enumerate(TEXTS[:4], 1)])
    from tests import conftest

    url = str(tmp_path / "corpus")
    conftest.ingest([exports], url)
    score(url)
    counted = tables(url, model)  # type: ignore[arg-type]
    assert counted.ledger["scored"] == 4
    assert counted.ledger["listings"] == int((np.nan_to_num(model.score(TEXTS[:4])[:, 0]) >= 0.5).sum())


def test_no_threshold_lies_below_the_gate_and_a_cascade_needs_ads(folders: Path, tmp_path: Path) -> None:
    sample = read_sample(_files(folders))
    parts = []
    for name, logits in (("sure", np.where(sample.right, 12.0, -12.0)), ("none", np.zeros(sample.right.shape))):
        shutil.copytree(folders / ("linear" if name == "sure" else "small"), tmp_path / name)
        estimates.keep(str(tmp_path / name), logits, sample.labelled)
        parts.append(str(tmp_path / name))
    stacking.train_cascade(_files(folders), stacking.Parts(*parts), str(tmp_path / "both"))
    made = models.load(str(tmp_path / "both"))
    assert made.gate <= min(made.thresholds.values())
    others = tmp_path / "others.jsonl"
    others.write_text("\n".join(json.dumps({"text": f"x {n}", "drugsad": False, "labels": []}) for n in range(9)))
    for part in parts:
        estimates.keep(part, np.zeros((9, 9)), read_labelled(str(others)))
    with pytest.raises(ModelError, match="no ad among the texts"):
        stacking.train_cascade([str(others)], stacking.Parts(*parts), str(tmp_path / "c"))


def test_parts_are_found_from_within(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folders / "linear", tmp_path / "linear")
    shutil.copytree(folders / "small", tmp_path / "small")
    (tmp_path / "both").mkdir()
    monkeypatch.chdir(tmp_path / "both")
    stacking.train_cascade(_files(folders), stacking.Parts("../linear", "../small"), ".")
    assert isinstance(models.load("."), Cascade)
