"""Pipelines of scikit-learn become models of ours that say the same; files that are something else: test_quarantine."""

import json
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline

from drugscan import corpus, evaluation, models
from drugscan.cli import main
from drugscan.models import tfidf
from drugscan.models.errors import ModelError
from drugscan.models.published import NOS_LABELS, import_joblib
from drugscan.models.token_pattern import compiled
from drugscan.models.vectoriser import Features, finder
from drugscan.schema import LABELS
from drugscan.text import canonical
from tests import conftest
from tests.conftest import REPOSITORY
from tests.test_ingest import desktop, message

GOLDEN = sorted((REPOSITORY / "tests" / "joblib").glob("*.joblib"))
ODD = [
    "",
    " ",
    "\n",
    "a",
    "é",
    "KOKAÏNE, ÄÖ Straße ǅ",
    "24/7  \n\t bezorgd",
    "w\u200bi\u0301et 𝗪𝗜𝗘𝗧 ｗｉｅｔ ½ ﬁ",
    "❄️❄️ 🛵",
    "İstanbul",
    "\x1c\x85\u2003x",
]


Untyped = Any
"""What scikit-learn gives; it has no types."""
Matrix = Any


def _rows() -> list[dict[str, Any]]:
    folder = REPOSITORY / "data" / "authored"
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text("utf-8").split("\n")
        if line
    ]


ROWS = _rows()
TEXTS = [row["text"] for row in ROWS] + ODD


def truth(rows: list[dict[str, Any]]) -> Matrix:
    said = [{*row["labels"], "drugsad" if row["drugsad"] else "geendrugsad"} for row in rows]
    return np.array([[int(label in each) for label in NOS_LABELS] for each in said])


def fitted(
    regression: dict[str, Any] | None = None, classes: Callable[[Any], Any] | None = None, **options: object
) -> Untyped:
    """A pipeline fitted on every sixteenth authored message."""
    rows = ROWS[::16]
    outputs = MultiOutputClassifier(LogisticRegression(**(regression or {"solver": "liblinear"})))
    pipeline = Pipeline([("vectoriser", TfidfVectorizer(**options)), ("outputs", outputs)])
    labels = truth(rows)
    return pipeline.fit([row["text"] for row in rows], classes(labels) if classes else labels)


def imported(pipeline: Untyped, folder: Path, compress: object = 0) -> tfidf.Tfidf:
    """What comes back from the model folder."""
    joblib.dump(pipeline, folder / "model.joblib", compress=compress)
    import_joblib(str(folder / "model.joblib"), str(folder / "out"))
    model = models.load(str(folder / "out"))
    assert isinstance(model, tfidf.Tfidf)
    return model


def said(pipeline: Untyped, texts: list[str]) -> Matrix:
    """scikit-learn's probabilities, shape [texts, 10]."""
    return np.stack([each[:, 1] for each in pipeline.predict_proba(texts)], axis=1)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"ngram_range": (1, 2), "sublinear_tf": True, "min_df": 2, "max_df": 0.5},
    {"ngram_range": (2, 3), "binary": True, "max_features": 500},
    {"norm": "l1", "use_idf": False},
    {"norm": None, "smooth_idf": False},
    {"strip_accents": "unicode", "lowercase": False},
    {"strip_accents": "ascii", "stop_words": ["de", "het", "wij"], "ngram_range": (1, 3)},
    {"stop_words": "english"},
    {"token_pattern": r"(?u)\b\w+\b|[^\w\s]"},
    {"token_pattern": r"\S+", "ngram_range": (1, 2)},
    {"analyzer": "char", "ngram_range": (1, 1)},
    {"analyzer": "char", "ngram_range": (2, 5), "max_features": 3000},
    {"analyzer": "char_wb", "ngram_range": (2, 4), "strip_accents": "unicode", "sublinear_tf": True},
    {"analyzer": "char_wb", "ngram_range": (4, 6), "norm": "l1", "binary": True},
    {"vocabulary": ["coke", "wiet", "te koop", "bezorging"], "ngram_range": (1, 2)},
]


@pytest.mark.filterwarnings("ignore:The parameter 'token_pattern'", "ignore:The parameter 'ngram_range'")
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(map(str, options)) or "plain")
def test_probabilities_are_those_of_scikit_learn(options: dict[str, Any], tmp_path: Path) -> None:
    pipeline = fitted(**options)
    texts = TEXTS[::5] + ODD
    assert np.abs(imported(pipeline, tmp_path).probabilities(texts) - said(pipeline, texts)).max() < 1e-12


def test_ten_thousand_texts(tmp_path: Path) -> None:
    pipeline = fitted({"solver": "lbfgs"}, ngram_range=(1, 2), sublinear_tf=True)
    random = np.random.default_rng(0)
    texts = [TEXTS[i] + " " + TEXTS[j][:60] for i, j in random.integers(0, len(TEXTS), (10_000, 2))]
    model = imported(pipeline, tmp_path)
    exact = model.probabilities(texts)
    assert exact.dtype == np.float64
    assert np.abs(exact - said(pipeline, texts)).max() < 1e-12
    assert np.array_equal(model.score(texts), exact.astype(np.float32))


def test_single_precision_stays_single_precision(tmp_path: Path) -> None:
    """With lbfgs scikit-learn fits float32 weights, liblinear float64 ones; both as scikit-learn computes with them."""
    for solver, tolerance in (("lbfgs", 1e-6), ("liblinear", 1e-12)):
        pipeline = fitted({"solver": solver}, dtype=np.float32)
        model = imported(pipeline, tmp_path)
        assert np.abs(model.probabilities(TEXTS[::9]) - said(pipeline, TEXTS[::9])).max() < tolerance


@pytest.mark.parametrize(
    "classes",
    [
        lambda y: y.astype(bool),
        lambda y: y.astype(float),
        lambda y: y * 2 - 1,
        lambda y: np.where(y, "ja", "nee"),  # the class that means yes comes first
    ],
    ids=["bool", "float", "minus", "words"],
)
def test_classes_by_other_names(classes: Callable[[Any], Any], tmp_path: Path) -> None:
    pipeline = fitted(classes=classes)
    expected = said(pipeline, TEXTS[::20])
    flipped = pipeline[1].estimators_[0].classes_[0] == "ja"
    found = imported(pipeline, tmp_path).probabilities(TEXTS[::20])
    assert np.abs(found - (1 - expected if flipped else expected)).max() < 1e-12


def test_an_array_of_objects_is_a_pickle_within_the_pickle(tmp_path: Path) -> None:
    pipeline = fitted()
    expected = said(pipeline, TEXTS[::50])
    for output in pipeline[1].estimators_:
        output.classes_ = np.array([False, True], object)
    assert np.abs(imported(pipeline, tmp_path).probabilities(TEXTS[::50]) - expected).max() < 1e-12


def test_an_output_that_knows_one_class_always_says_it(tmp_path: Path) -> None:
    pipeline = fitted()
    pipeline[1].estimators_[1].classes_ = np.array([0])
    pipeline[1].estimators_[4].classes_ = np.array([1])
    found = imported(pipeline, tmp_path).probabilities(TEXTS[::50])
    assert (found[:, 1] == 0).all()
    assert (found[:, 4] == 1).all()


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)], ids=str)
def test_every_compression_that_joblib_has(compress: object, tmp_path: Path) -> None:
    pipeline = fitted(max_features=100)
    model = imported(pipeline, tmp_path, compress)
    assert np.abs(model.probabilities(TEXTS[::50]) - said(pipeline, TEXTS[::50])).max() < 1e-12


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_pickles_too(protocol: int, tmp_path: Path) -> None:
    pipeline = fitted(max_features=100, stop_words=["de", "het"])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(pipeline, protocol))
    model = import_joblib(str(tmp_path / "model.pkl"), str(tmp_path / "out"))
    assert np.abs(model.probabilities(TEXTS[::50]) - said(pipeline, TEXTS[::50])).max() < 1e-12


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_files_of_several_versions_of_scikit_learn(path: Path, tmp_path: Path) -> None:
    sample = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    model = import_joblib(str(path), str(tmp_path))
    tolerance = 1e-6 if "single" in path.stem else 1e-12
    assert np.abs(model.probabilities(sample["texts"]) - np.array(sample["expected"])).max() < tolerance
    assert model.labels == NOS_LABELS
    assert model.config.source["scikit-learn"] == sample["sklearn"]
    assert path.stat().st_size < 150_000


def test_the_samples_are_of_at_least_four_versions() -> None:
    assert len({path.stem.split("-")[1] for path in GOLDEN}) >= 4


SAMPLE = next(path for path in GOLDEN if path.stem == "sklearn-1.9.1-characters")
PLAIN = Features("word", (1, 1), True, None, r"(?u)\b\w\w+\b", None, False, False, "l2", "float64")


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.text(max_size=60) | st.text("aá \n\tİ½", max_size=20), min_size=1, max_size=6),
    analyzer=st.sampled_from(["word", "char", "char_wb"]),
    lengths=st.sampled_from([(1, 1), (1, 2), (2, 3), (3, 5)]),
    accents=st.sampled_from([None, "ascii", "unicode"]),
    lowercase=st.booleans(),
)
def test_ngrams_of_any_text_are_those_of_scikit_learn(
    texts: list[str], analyzer: str, lengths: tuple[int, int], accents: str | None, lowercase: bool
) -> None:
    chosen = {"analyzer": analyzer, "ngram_range": lengths, "strip_accents": accents, "lowercase": lowercase}
    analyse = TfidfVectorizer(**chosen).build_analyzer()
    theirs = [Counter(analyse(text)) for text in texts]
    every = sorted({ngram for each in theirs for ngram in each})
    known = every[::2]  # the other half is not in the vocabulary
    find = finder(msgspec.structs.replace(PLAIN, **chosen), known)
    rows, columns = find(texts)
    for number, expected in enumerate(theirs):
        found = Counter(known[column] for column in columns[rows == number])
        assert found == {ngram: times for ngram, times in expected.items() if ngram in known}


def test_a_score_depends_on_nothing_but_its_text(tmp_path: Path) -> None:
    model = import_joblib(str(SAMPLE), str(tmp_path))
    texts = TEXTS[::11]
    whole = model.score(texts)
    order = np.random.default_rng(1).permutation(len(texts))
    assert np.array_equal(whole[order], model.score([texts[i] for i in order]))
    assert np.array_equal(whole[:1], model.score(texts[:1]))
    assert model.score([]).shape == (0, 10)


def test_the_id_is_of_all_that_changes_a_score_and_of_nothing_else(tmp_path: Path) -> None:
    one = import_joblib(str(SAMPLE), str(tmp_path / "a"))
    copy = tmp_path / "other-name.joblib"
    joblib.dump(joblib.load(SAMPLE), copy)
    assert import_joblib(str(copy), str(tmp_path / "b")).model_id == one.model_id
    pipeline = joblib.load(SAMPLE)
    pipeline[1].estimators_[3].intercept_ += 1e-9
    joblib.dump(pipeline, copy)
    ids = {one.model_id, import_joblib(str(copy), str(tmp_path / "c")).model_id}
    swapped = ("bulk", "bezorging", *NOS_LABELS[2:])
    ids.add(import_joblib(str(SAMPLE), str(tmp_path / "d"), swapped).model_id)
    pipeline[0].lowercase = False
    joblib.dump(pipeline, copy)
    ids.add(import_joblib(str(copy), str(tmp_path / "e")).model_id)
    assert len(ids) == 4


def test_neither_scikit_learn_nor_joblib_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['sklearn', 'joblib', 'torch']))\n"
        "from drugscan import models; from drugscan.models.published import import_joblib\n"
        f"import_joblib({str(SAMPLE)!r}, {str(tmp_path)!r})\n"
        f"print(models.load({str(tmp_path)!r}).score(['wiet']).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 10)"


def test_the_english_stop_words_are_those_of_scikit_learn() -> None:
    path = REPOSITORY / "drugscan" / "data" / "english_stop_words.txt"
    assert set(path.read_text().split()) == ENGLISH_STOP_WORDS


def test_the_command(tmp_path: Path) -> None:
    out = str(tmp_path / "nos")
    done = CliRunner().invoke(main, ["models", "import", str(SAMPLE), "--out", out])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "model_id": models.load(out).model_id, "folder": out, "labels": list(NOS_LABELS)
    }  # fmt: skip
    for labels, reason in (
        ("a,b", "it has 10 outputs, --labels gives 2: name them in their order"),
        (",".join(("x", *NOS_LABELS[1:])), "missing: bezorging"),
        (",".join(("bulk", *NOS_LABELS[1:])), "must be different small words, these are not: 'bulk'"),
        (",".join((*NOS_LABELS[:4], "text_id", *NOS_LABELS[5:])), "these are not: 'text_id'"),
    ):
        done = CliRunner().invoke(main, ["models", "import", str(SAMPLE), "--out", out, "--labels", labels])
        assert done.exit_code == 1
        assert reason in done.stderr


def test_a_whole_scan_with_ten_outputs(tmp_path: Path) -> None:
    folder, url = str(tmp_path / "model"), str(tmp_path / "corpus")
    model = import_joblib(str(SAMPLE), folder)
    texts = sorted({canonical(row["text"]) for row in ROWS[::20]})
    export = desktop(tmp_path / "result.json", [message(number, text) for number, text in enumerate(texts, 1)])
    assert conftest.ingest([export], url).failures == []
    outcome = conftest.score(url, choice=models.Choice(folder))
    assert (outcome.failures, outcome.messages) == ([], len(texts))
    file = corpus.score_files(url, model.model_id, 0, corpus.snapshot(url).buckets)[0]
    assert tuple(corpus.read_table(file).column_names[1:11]) == NOS_LABELS
    results = conftest.tables(url, model)  # type: ignore[arg-type]
    holds = model.score(texts) >= 0.5
    ads = holds[:, NOS_LABELS.index("drugsad")]
    assert results.ledger["listings"] == ads.sum() > 0
    assert results.ledger["below_threshold"] == (~ads).sum() > 0
    by_label = dict(results.tables["labels"].select("label", "texts").rows())
    assert by_label == {label: (ads & holds[:, NOS_LABELS.index(label)]).sum() for label in LABELS}


def test_evaluation_finds_the_outputs_by_name(tmp_path: Path) -> None:
    model = import_joblib(str(SAMPLE), str(tmp_path))
    labelled = [evaluation.Labelled(row["text"], row["drugsad"], row["labels"]) for row in ROWS[::40]]
    scores = model.score([each.text for each in labelled])[:, NOS_LABELS.index("drugsad")]
    right = np.mean((scores >= 0.5) == np.array([each.drugsad for each in labelled]))
    assert evaluation.evaluate(model, labelled)["detector"]["accuracy"] == pytest.approx(right)


def _damaged(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(change((folder / name).read_bytes()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vocabulary.json", lambda data: data[:-5]),
        ("vocabulary.json", lambda data: json.dumps(json.loads(data)[:-1]).encode()),
        ("vocabulary.json", lambda data: json.dumps(["x", "x", *json.loads(data)[2:]]).encode()),
        ("model.safetensors", lambda data: data[:-8]),
        ("model.safetensors", lambda data: data[:-8] + b"\xff" * 8),
        ("config.json", lambda data: data.replace(b'"char_wb"', b'"magic"')),
        ("config.json", lambda data: data.replace(b'"drugsad"', b'"x"')),
        ("config.json", lambda data: data.replace(b'"bulk": 0.5,', b"")),
        ("config.json", lambda data: data.replace(b"   2,", b"   0,")),
    ],
)
def test_a_damaged_folder_is_refused(name: str, change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    import_joblib(str(SAMPLE), str(tmp_path))
    before = (tmp_path / name).read_bytes()
    _damaged(tmp_path, name, change)
    assert (tmp_path / name).read_bytes() != before
    with pytest.raises(ModelError, match="import it again"):
        models.load(str(tmp_path))
    (tmp_path / name).unlink()
    with pytest.raises((ModelError, ValueError)):
        models.load(str(tmp_path))


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?u)\b\w\w+\b",
        r"\S+",
        r"\w{3,}",
        r"(?i)[a-z']+|\d{1,3}",
        r"[^\W\d_]+",
        r"[\w\-]+?",
        r"\b\w+\b|[❄🛵]",
        "a?b?c+",
    ],
)
def test_safe_token_patterns(pattern: str) -> None:
    """Accepted, and a long text that suits none of them well costs little."""
    found = compiled(pattern)
    started = time.process_time()
    for text in ("a" * 4096 + "!", "ab" * 2048, "-'" * 2048, " " * 4096):
        found.findall(text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$", r"(\w+\s?)*!", r"\w+\w+\w+!", r"(?:a|a)*b", r"(a)\1+", r"(?=a+)b", r"a{1,999}{1,999}", "a++",
        "(", "[", r"\w" * 150, "[z-a]+", "a?" * 30 + "a" * 30, "|".join("abcdefgh"), r"(?P<x>a)(?(x)b|c)", "*",
    ],
)  # fmt: skip
def test_unsafe_token_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ModelError, match="token_pattern"):
        compiled(pattern)
