"""Measuring models: every figure by hand or by simulation, intervals, comparison, and the page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from drugscan import calibration, comparison, evaluation, measures, models, resampling
from drugscan.cli import main
from drugscan.evaluation import Labelled, Sample
from drugscan.measures import OUTPUTS
from drugscan.report import measured
from drugscan.schema import LABELS
from tests.browser import CHROMIUM, browser
from tests.test_report import HOSTILE


class Scripted:
    """A model with the outputs and scores that it is told: text -> output -> score; 0.1 for what is not told."""

    def __init__(
        self, told: Mapping[str, Mapping[str, float]], labels: Sequence[str] = OUTPUTS, model_id: str = "scripted"
    ) -> None:
        self.told, self.labels, self.model_id = told, tuple(labels), model_id
        self.thresholds = dict.fromkeys(self.labels, 0.5)
        self.gate, self.max_characters = 0.0, None

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = [[self.told.get(text, {}).get(label, 0.1) for label in self.labels] for text in texts]
        return np.array(rows, np.float32).reshape(-1, len(self.labels))


TEXTS = (
    Labelled("wiet te koop in de stad", True, ["softdrugs"], "short"),
    Labelled("coke, ook met de post", True, ["harddrugs", "post"], "short"),
    Labelled("mooi weer vandaag", False, [], "chat"),
    Labelled("iemand nog een fiets over?", False, [], "request"),
)
TOLD = {
    TEXTS[0].text: {"drugsad": 0.9, "softdrugs": 0.8, "post": 0.6},
    TEXTS[1].text: {"drugsad": 0.3, "harddrugs": 0.7, "post": 0.2},
    TEXTS[3].text: {"drugsad": 0.7},
}


def measure(model: models.Model, labelled: Sequence[Labelled] = TEXTS, files: Sequence[str] = ()) -> dict[str, object]:
    return evaluation.measure(evaluation.judge(model, Sample(labelled, files)))


def at(result: object, path: str) -> object:
    for part in path.split("."):
        result = result[part]  # type: ignore[index]
    return result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("detector.accuracy", 0.5),
        ("detector.precision", 0.5),
        ("detector.recall", 0.5),
        ("detector.f1", 0.5),
        ("categoriser.per_label.softdrugs.f1", 1.0),
        ("categoriser.per_label.post.accuracy", 0.0),  # one false, one missed
        ("categoriser.per_label.post.f1", 0.0),
        ("categoriser.per_label.bulk.precision", None),
        ("categoriser.label_accuracy", 14 / 16),
        ("categoriser.hamming_loss", 2 / 16),
        ("categoriser.macro_f1", 2 / 3),  # softdrugs 1, harddrugs 1, post 0; the others are never said and never true
        ("calibration.drugsad.brier", (0.1**2 + 0.7**2 + 0.1**2 + 0.7**2) / 4),
        ("calibration.drugsad.ece", (0.1 + 0.7 + 0.1 + 0.7) / 4),  # four scores, four bins
        ("calibration.softdrugs.ece", (0.2 + 0.1) / 2),
        ("calibration.softdrugs.n", 2),
        ("kinds.short.accuracy", 0.5),
        ("kinds.short.misses", 1),
        ("kinds.request.false_alarms", 1),
        ("kinds.chat.label_accuracy", None),
        ("n", 4),
        ("ads", 2),
        ("groups", 4),
        ("files", {}),
        ("trained_on", []),
    ],
)
def test_figures_by_hand(path: str, value: object) -> None:
    assert at(measure(Scripted(TOLD)), path) == (pytest.approx(value) if isinstance(value, float) else value)


def test_the_surest_errors_come_first() -> None:
    worst = measure(Scripted(TOLD))["worst"]
    assert [(each["text"], each["score"], each["truth"]) for each in worst["false_alarms"]] == [  # type: ignore[index]
        (TEXTS[3].text, pytest.approx(0.7), False)
    ]
    assert [each["text"] for each in worst["misses"]] == [TEXTS[1].text]  # type: ignore[index]
    labels = [(each["output"], each["score"], each["truth"]) for each in worst["labels"]]  # type: ignore[index]
    assert labels == [("post", pytest.approx(0.2), True), ("post", pytest.approx(0.6), False)]


def test_curve_by_hand() -> None:
    """Below 0.1 all is said, above 0.9 nothing; at 0.35 one of the two ads and one of the others."""
    curve = at(measure(Scripted(TOLD)), "curves.drugsad")
    steps = curve["threshold"]  # type: ignore[index]
    read = {rate: dict(zip(steps, curve[rate], strict=True)) for rate in measures.RATES}  # type: ignore[index]
    assert (read["accuracy"][0.05], read["recall"][0.05], read["precision"][0.05]) == (0.5, 1.0, 0.5)
    assert (read["accuracy"][0.2], read["recall"][0.2], read["precision"][0.2]) == (0.75, 1.0, 0.6667)
    assert (read["recall"][0.35], read["precision"][0.35]) == (0.5, 0.5)
    assert (read["recall"][0.95], read["precision"][0.95]) == (0.0, None)
    assert curve["best_f1"] == {"threshold": 0.3, "value": pytest.approx(0.8)}  # type: ignore[index]
    assert curve["best_accuracy"]["value"] == 0.75  # type: ignore[index]


def test_figures_at_the_threshold_in_use_stand_on_the_curve() -> None:
    random = np.random.default_rng(3)
    right, scores = random.random(500) < 0.4, random.random(500).astype(np.float32)
    curve = measures.curve(right, scores)
    said = scores >= np.float32(0.37)
    accuracy = dict(zip(curve["threshold"], curve["accuracy"], strict=True))[0.37]
    assert accuracy == pytest.approx((said == right).mean(), abs=1e-4)


def _matrix(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return np.repeat(column[:, None], len(OUTPUTS), axis=1)


def test_calibrated_scores_have_no_calibration_error() -> None:
    """And `chance` tells how much of it is left on so many texts."""
    random = np.random.default_rng(0)
    scores = random.random(60_000).astype(np.float32)
    right = _matrix(random.random(60_000) < scores)
    sums = calibration.bin_sums(right, _matrix(scores))
    found = {name: float(value) for name, value in calibration.errors(sums.sum(axis=0)).items()}
    by_chance = calibration.chance(right, _matrix(scores))
    assert found["calibration.drugsad.ece"] < 0.01
    assert found["calibration.drugsad.ece"] == pytest.approx(by_chance[0], rel=0.5)
    assert found["calibration.drugsad.brier"] == pytest.approx(1 / 6, abs=0.01)  # mean of p(1-p)
    counts = sums.sum(axis=0)[0, : calibration.BINS]
    assert counts.max() - counts.min() <= 1


def test_sure_and_half_wrong() -> None:
    """Scores of 0.9 of which half hold: error 0.4, Brier (0.01 + 0.81) / 2; equal scores share a bin."""
    right = _matrix(np.arange(100) % 2 == 0)
    sums = calibration.bin_sums(right, np.full(right.shape, 0.9, np.float32)).sum(axis=0)
    found = calibration.errors(sums)
    assert found["calibration.drugsad.ece"] == pytest.approx(0.4)
    assert found["calibration.drugsad.brier"] == pytest.approx(0.41)
    assert np.count_nonzero(sums[0, : calibration.BINS]) == 1


def test_what_was_not_scored_is_no_part_of_calibration() -> None:
    right = _matrix(np.ones(4, bool))
    scores = np.full(right.shape, np.nan, np.float32)
    assert np.isnan(calibration.errors(calibration.bin_sums(right, scores).sum(axis=0))["calibration.post.ece"])
    assert np.isnan(calibration.chance(right, scores)).all()


def test_the_interval_covers_the_truth() -> None:
    """A model that is right in 80 % of groups of three copies: some 95 % of the intervals hold 0.8.

    Drawing texts instead of groups gives intervals that are far too narrow.
    """
    random, groups = np.random.default_rng(1), np.repeat(np.arange(150), 3)
    covered, widths = 0, []
    for seed in range(100):
        hit = np.repeat(random.random(150) < 0.8, 3).astype(np.float64)
        drawn = resampling.drawn_sums(hit[:, None], groups, seed)[:, 0] / len(groups)
        low, high = resampling.intervals({"accuracy": drawn})["accuracy"]
        covered += low <= 0.8 <= high
        widths.append(high - low)
    assert 90 <= covered <= 99
    by_texts = resampling.drawn_sums(hit[:, None], np.arange(450), 0)[:, 0] / 450
    low, high = resampling.intervals({"accuracy": by_texts})["accuracy"]
    assert np.mean(widths) > 1.5 * (high - low)


def test_sums_of_draws_are_those_of_drawn_texts() -> None:
    """The fast way and the plain one, on the same draws, to the bit; groups of unequal size."""
    random = np.random.default_rng(2)
    groups = random.integers(0, 40, 120)
    right = random.random((120, len(OUTPUTS))) < 0.5
    said = random.random((120, len(OUTPUTS))) < 0.5

    def plain(rows: npt.NDArray[np.int64]) -> dict[str, float | None]:
        return measures.plain(measures.summed(measures.tallies(right[rows], said[rows]).sum(axis=0)))

    fast = resampling.drawn_sums(measures.tallies(right, said), groups, 5)
    assert resampling.intervals(measures.summed(fast)) == resampling.bootstrap(plain, groups, 5)


def test_columns_are_found_by_name() -> None:
    """A ten-output model in another order is measured as one in ours."""
    ten = (
        "bezorging",
        "bulk",
        "designer",
        "drugsad",
        "geendrugsad",
        *sorted(set(LABELS) - {"bezorging", "bulk", "designer"}),
    )
    assert measure(Scripted(TOLD, ten)) == measure(Scripted(TOLD))


def test_what_a_model_does_not_give_is_null() -> None:
    detector = measure(Scripted(TOLD, ["drugsad"]))
    assert at(detector, "detector.accuracy") == 0.5
    assert at(detector, "categoriser.label_accuracy") is None
    assert at(detector, "categoriser.per_label.post") == dict.fromkeys(measures.RATES) | {"support": 1}
    assert at(detector, "curves.post") is None
    assert at(detector, "calibration.post.ece") is None
    categoriser = measure(Scripted(TOLD, [label for label in LABELS if label != "bulk"]))
    assert at(categoriser, "detector") == dict.fromkeys(measures.RATES)
    assert at(categoriser, "categoriser.label_accuracy") == pytest.approx(12 / 14)
    assert at(categoriser, "kinds.short.misses") is None
    for result in (detector, categoriser):
        json.dumps(result, allow_nan=False)
        assert "<h1>" in measured.render(result)


def test_several_files_are_told_apart() -> None:
    result = measure(Scripted(TOLD), TEXTS, ["a", "a", "b", "b"])
    assert at(result, "files.a.accuracy") == 0.5
    assert at(result, "files.b.f1") == 0.0
    assert at(result, "files.b.label_accuracy") is None


def _leaves(found: object) -> list[object]:
    return [leaf for value in found.values() for leaf in _leaves(value)] if isinstance(found, dict) else [found]


def test_a_model_and_itself_do_not_differ() -> None:
    sample = Sample(TEXTS)
    found = comparison.compare(*(evaluation.judge(Scripted(TOLD), sample) for _ in range(2)))
    assert set(_leaves(found["difference"])) <= {0.0, None}
    assert {tuple(each) for each in _leaves(found["intervals"])} == {(0.0, 0.0)}
    assert all(found[side][part]["n"] == 0 for side in ("only_one", "only_other") for part in ("detector", "labels"))


def test_difference_by_hand() -> None:
    """The other model also finds the second ad: accuracy 0.5 against 0.75, one text more right."""
    sample = Sample(TEXTS)
    better = Scripted({**TOLD, TEXTS[1].text: {"drugsad": 0.8, "harddrugs": 0.7, "post": 0.9}}, model_id="better")
    found = comparison.compare(evaluation.judge(Scripted(TOLD), sample), evaluation.judge(better, sample))
    assert at(found, "difference.detector.accuracy") == -0.25
    assert at(found, "difference.categoriser.per_label.post.accuracy") == -0.5
    low, high = at(found, "intervals.detector.accuracy")  # type: ignore[misc]
    assert -1 <= low < -0.25 < high == 0
    assert found["only_one"]["detector"]["n"] == 0
    assert found["only_other"]["detector"] == {
        "n": 1,
        "texts": [
            {
                "text": TEXTS[1].text, "output": "drugsad", "truth": True, "labels": ["harddrugs", "post"],
                "score": pytest.approx(0.8), "other_score": pytest.approx(0.3),
            }
        ],
    }  # fmt: skip
    assert [each["output"] for each in found["only_other"]["labels"]["texts"]] == ["post"]


def test_only_what_both_models_give_is_compared() -> None:
    sample = Sample(TEXTS)
    found = comparison.compare(
        evaluation.judge(Scripted(TOLD), sample), evaluation.judge(Scripted(TOLD, ["drugsad", "post"]), sample)
    )
    assert found["outputs"] == ["drugsad", "post"]
    assert at(found, "difference.categoriser.per_label.softdrugs.f1") is None
    assert at(found, "figures.categoriser.label_accuracy") == 0.0
    with pytest.raises(ValueError, match="judged different samples"):
        comparison.compare(*(evaluation.judge(Scripted(TOLD), Sample(TEXTS)) for _ in range(2)))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a model that is wrong about hostile texts, which also stand in kinds and file names."""
    labelled = [Labelled(text, number % 2 == 0, [], text[:80]) for number, text in enumerate(HOSTILE)]
    wrong = Scripted({each.text: {"drugsad": 0.2 if each.drugsad else 0.9} for each in labelled}, model_id=HOSTILE[0])
    sample = Sample([*labelled, *TEXTS], [HOSTILE[1]] * len(labelled) + ["b"] * len(TEXTS))
    result = evaluation.measure(evaluation.judge(wrong, sample))
    judged = [evaluation.judge(model, sample) for model in (wrong, Scripted(TOLD, model_id=HOSTILE[2]))]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(measured.render({**result, "comparison": comparison.compare(*judged)}), encoding="utf-8")
    return path


def test_hostile_texts_stay_text(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "{{ 7 * 7 }}" in html
    assert "\u202e" not in html
    assert "<b>vet</b>" not in html
    assert "script-src" not in html  # so default-src 'none' forbids all
    assert len(html) < 400_000


def test_contacts_on_the_page_are_covered() -> None:
    told = Labelled("niemand moet @demo_plug bellen op 06 12 34 56 78 of 0470123456 of 06/12345678", False, [])
    html = measured.render(measure(Scripted({told.text: {"drugsad": 0.9}}), [told]))
    assert "niemand moet" in html
    assert "demo_plug" not in html
    assert "34 56" not in html
    assert "0470123456" not in html
    assert "12345678" not in html


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_in_a_browser_hostile_texts_do_nothing(page: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as opened:
        opened.open(page)
        assert opened.run("document.title") == "How good is the model · drugscan"
        assert "pwned" in opened.run("document.body.textContent")  # it is shown, as text
        assert "<b>vet</b>" not in opened.run("document.documentElement.outerHTML")
        assert opened.noticed == [("Network.requestWillBeSent", page.as_uri())]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for name, part in (("a", TEXTS[:2]), ("b", TEXTS[2:])):
        path = tmp_path / f"{name}.jsonl"
        lines = [json.dumps({"text": e.text, "drugsad": e.drugsad, "labels": e.labels, "kind": e.kind}) for e in part]
        path.write_text("\n".join(lines))
        files.append(str(path))
    found = {"other": Scripted({}, model_id="other")}
    monkeypatch.setattr(models, "load", lambda choice="default": found.get(choice, Scripted(TOLD)))
    html = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["evaluate", *files, "--compare", "other", "--html", str(html), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result["files"]) == files
    assert result["comparison"]["other_model_id"] == "other"
    assert "minus other, in percentage points" in done.stderr
    assert "Compared with other" in html.read_text()


def test_a_model_measured_on_its_own_texts_says_so() -> None:
    class Config:
        training = {"files": {"mine.jsonl": 4}}  # noqa: RUF012

    model = Scripted(TOLD)
    model.config = Config()  # type: ignore[attr-defined]
    result = measure(model, TEXTS, ["data/mine.jsonl"] * 2 + ["data/other.jsonl"] * 2)
    assert result["trained_on"] == ["data/mine.jsonl"]
    assert "These figures flatter" in measured.render(result)
