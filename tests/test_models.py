"""The linear pair, its features, training and evaluation."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drugscan import evaluation, models, near_copies, training
from drugscan.models.errors import ModelError
from drugscan.models.features import feature_text, ngrams
from drugscan.schema import LABELS
from tests.conftest import REPOSITORY
from tests.fake_model import FakeModel

AD = "❄️ MENU ❄️ coke 1g €50, xtc 5st 15, wij bezorgen in Utrecht, dm @demo_plug"
NO_AD = "Vanavond voetbal kijken bij mij thuis, neem chips mee"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("WIET  te\nkoop", "wiet te koop"),
        ("wіеt", "wiet"),  # Cyrillic i and e
        ("𝗪𝗜𝗘𝗧 ｃｏｋｅ", "wiet coke"),
        ("w\u200bi\u200be\u200bt", "wiet"),
        ("w i e t", "wiet"),
        ("wieeeeet", "wieet"),
        ("3mmc 2cb 4-fa", "3mmc 2cb 4-fa"),
    ],
)
def test_feature_text_folds_what_hides(text: str, folded: str) -> None:
    assert feature_text(text) == folded


def test_feature_text_masks_contacts_and_amounts() -> None:
    assert feature_text("@een_plug 25 euro") == feature_text("@ander_iemand 35 euro")
    assert feature_text("https://t.me/abc") == feature_text("t.me/xyz")
    assert feature_text("250 euro") != feature_text("25 euro")


def test_ngrams_of_a_text_are_those_that_python_would_cut() -> None:
    """Equal substrings have equal hashes, different ones different; counts as by hand."""
    hashes, owners, of_words = ngrams(["abab", "ab"])
    first, second = hashes[(owners == 0) & ~of_words], hashes[(owners == 1) & ~of_words]
    by_hand = {f" {text} "[i : i + n] for text in ("abab",) for n in (2, 3, 4, 5) for i in range(len(text) + 3 - n)}
    assert len(set(first.tolist())) == len(by_hand)
    common = {" abab "[i : i + n] for n in (2, 3, 4, 5) for i in range(7 - n)} & {
        " ab "[i : i + n] for n in (2, 3, 4, 5) for i in range(5 - n)
    }
    assert len(set(first.tolist()) & set(second.tolist())) == len(common)
    words = hashes[of_words]
    assert len(words) == 2


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_a_score_depends_on_nothing_but_its_text(texts: list[str], seed: int) -> None:
    model = models.load("fast")
    whole = model.score([*texts, AD])
    order = np.random.default_rng(seed).permutation(len(texts))
    mixed = model.score([texts[i] for i in order])
    assert np.array_equal(whole[:-1][order], mixed, equal_nan=True)
    assert np.array_equal(whole[-1:], model.score([AD]), equal_nan=True)


def test_the_pair_that_ships_knows_an_ad() -> None:
    model = models.load("fast")
    scores = model.score([AD, NO_AD, ""])
    assert scores.shape == (3, 9)
    assert scores.dtype == np.float32
    assert scores[0, 0] > 0.9 > 0.5 > scores[1, 0]
    said = dict(zip(LABELS, scores[0, 1:] >= 0.5, strict=True))
    assert said["harddrugs"]
    assert said["bezorging"]
    assert not said["medicijnen"]
    assert np.isnan(model.score(["😀"])[0, 1:]).all() or model.score(["😀"])[0, 0] >= 0.02
    assert model.score([]).shape == (0, 9)


def test_the_pair_that_ships_is_small_and_says_where_it_comes_from() -> None:
    folder = REPOSITORY / "drugscan" / "data" / "linear"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 5_000_000
    training_facts = json.loads((folder / "config.json").read_text())["training"]
    files = (REPOSITORY / "data" / "authored").glob("*.jsonl")
    assert training_facts["texts"] == sum(len(file.read_text().splitlines()) for file in files)
    assert set(training_facts["estimates"]) == {"leave_one_file_out", "grouped_five_fold"}


def test_errors_name_the_thing_and_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config.json; give a folder that `drugscan train` wrote"):
        models.load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"family": "magic"}')
    with pytest.raises(ModelError, match="family 'magic'; known are: linear"):
        models.load(str(tmp_path))


def _lines(path: Path, count: int, seed: int) -> str:
    """A little trade language: `plof` is an ad, with `bus` it is delivered."""
    random = np.random.default_rng(seed)
    words = ["appel", "fiets", "regen", "kaas", "boom", "lamp", "raam", "stoel", "weg", "zon"]
    with path.open("w") as file:
        for _ in range(count):
            ad, bus = bool(random.random() < 0.5), bool(random.random() < 0.5)
            said = [str(word) for word in random.choice(words, 5)] + ["plof"] * ad + ["bus"] * (ad and bus)
            labels = [*(["bezorging"] if bus else []), "softdrugs"] if ad else []
            file.write(json.dumps({"text": " ".join(said), "drugsad": ad, "labels": labels}) + "\n")
    return str(path)


def test_training_is_repeatable_and_learns(tmp_path: Path) -> None:
    files = [_lines(tmp_path / f"{i}.jsonl", 120, i) for i in range(3)]
    one = training.train_linear(files, str(tmp_path / "a"))
    two = training.train_linear(files, str(tmp_path / "b"))
    assert one.model_id == two.model_id
    assert one.estimates["leave_one_file_out"]["all"]["detector"] > 0.97  # type: ignore[index]
    model = models.load(str(tmp_path / "a"))
    scores = model.score(["kaas plof bus", "kaas boom raam"])
    assert scores[0, 0] > 0.5 > scores[1, 0]
    assert scores[0, 1 + LABELS.index("bezorging")] > 0.5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2"),
        ('{"text": "x", "drugsad": true, "labels": ["cola"]}', r"line 2: no such label: \['cola'\]"),
        ('{"text": "x", "drugsad": false, "labels": ["post"]}', "line 2: a text that is no ad has no labels"),
        ('{"text": "x"}', "line 2"),
    ],
)
def test_a_bad_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "goed", "drugsad": false, "labels": []}\n' + line)
    with pytest.raises(evaluation.LabelledError, match=said):
        evaluation.read_labelled(str(path))


def test_evaluation_by_hand() -> None:
    """Four texts: one hit, one miss, one false alarm, one right refusal; of two ads one label is missed."""
    rows = [("a", True, ["softdrugs", "post"]), ("b", True, ["post"]), ("c", False, []), ("d", False, [])]
    labelled = [evaluation.Labelled(text, ad, labels) for text, ad, labels in rows]
    model = FakeModel({"a": ["drugsad", "softdrugs"], "b": ["post"], "c": ["drugsad"]})
    result = evaluation.evaluate(model, labelled)
    assert result["detector"] == {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    categoriser = result["categoriser"]
    assert categoriser["per_label"]["softdrugs"] == {  # type: ignore[index]
        "accuracy": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1,
    }  # fmt: skip
    assert categoriser["per_label"]["post"]["recall"] == 0.5  # type: ignore[index]
    assert categoriser["label_accuracy"] == pytest.approx(15 / 16)  # type: ignore[index]
    assert categoriser["hamming_loss"] == pytest.approx(1 / 16)  # type: ignore[index]
    assert (result["n"], result["model_id"]) == (4, "fake")
    low, high = result["intervals"]["detector"]["accuracy"]  # type: ignore[index]
    assert 0.0 <= low < 0.5 < high <= 1.0


def test_evaluation_without_ads_gives_null_not_an_error() -> None:
    result = evaluation.evaluate(FakeModel({}), [evaluation.Labelled("a", False, [])])
    assert result["detector"] == {"accuracy": 1.0, "precision": None, "recall": None, "f1": None}
    assert result["categoriser"]["label_accuracy"] is None  # type: ignore[index]


def test_near_copies_are_one_group() -> None:
    base = "Vandaag weer vers binnen in de hele stad, stuur een bericht voor de lijst en de prijzen van deze week"
    texts = [f"{base} @naam{i} {i * 10 + 10} euro" for i in range(5)] + ["iets heel anders over het weer in mei"]
    groups = near_copies.groups_of(texts)
    assert len(set(groups[:5].tolist())) == 1
    assert groups[5] != groups[0]


def test_a_class_that_stands_in_one_file_is_learned_all_the_same(tmp_path: Path) -> None:
    """Without that file nothing is learned of it, and calibration would turn what was learned around."""
    whole = evaluation.read_labelled(_lines(tmp_path / "all.jsonl", 200, 1))
    for name, ads in (("ads", True), ("others", False)):
        rows = [msgspec.json.encode(each).decode() for each in whole if each.drugsad is ads]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    training.train_linear([str(tmp_path / "ads.jsonl"), str(tmp_path / "others.jsonl")], str(tmp_path / "m"))
    fresh = evaluation.read_labelled(_lines(tmp_path / "fresh.jsonl", 200, 2))
    result = evaluation.evaluate(models.load(str(tmp_path / "m")), fresh)
    assert result["detector"]["accuracy"] > 0.9
