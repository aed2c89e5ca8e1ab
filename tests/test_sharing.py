"""Publishing: a merged encoder as a plain Hugging Face folder with a card, and the way to the Hub."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import yaml
from click.testing import CliRunner, Result
from tokenizers import Tokenizer, normalizers
from tokenizers import models as tokenizer_models

from drugscan import evaluation, models, pretrained, sharing, training, upload
from drugscan.card import Asked
from drugscan.cli import main
from drugscan.models import Choice, ModelError, encoder, features
from drugscan.models.encoder import OUTPUTS, MergedConfig
from drugscan.models.features import FOLDING_VERSION, folded_text
from drugscan.models.folding import with_folding
from drugscan.models.huggingface import HuggingFace
from drugscan.models.published import NOS_LABELS
from tests import tiny_encoder
from tests.conftest import REPOSITORY
from tests.fake_model import FakeModel

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TEXTS = [
    "Coke 1g 50 euro, XTC 5 st 15 €",
    "Bezorging heel Utrecht 🛵❄️ dm@plug",
    "geen advertentie",
    "",
    "w\u200bi\u200bet 𝗪𝗜𝗘𝗧 🅦🅘🅔🅣 🇳🇱",
    "een café in Straßburg, wie\u0301t",
    "wіеt уес смотри",  # Cyrillic letters in Latin words, and a Cyrillic word
    "heeeeeel goed  \n wiet\tkopen ",
]
ESTIMATES = {
    "leave_files_out_2": {"all": {"detector": 0.91, "labels": 0.95}, "a.jsonl": {"detector": 0.8, "labels": None}}
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A merged encoder that was not trained, stored as int8, with calibration and thresholds."""
    folder = tmp_path_factory.mktemp("merged")
    base = tiny_encoder.base(folder / "base", max_position_embeddings=256)
    network = pretrained.start(base, [], tiny_encoder.options(base))
    with torch.no_grad():
        network.module.classifier.weight.mul_(40)  # so that texts differ
    thresholds = {name: 0.4 + number / 100 for number, name in enumerate(OUTPUTS)}
    calibration = {name: (0.5 + number / 10, number / 4 - 1) for number, name in enumerate(OUTPUTS)}
    record = {
        "date": "2026-11-25", "files": {"authored-a.jsonl": 1200, "authored-b.jsonl": 300}, "texts": 1500, "ads": 700,
        "options": {"base": "e5-small"}, "teachers": ["merged-abc"], "unlabelled": 40, "estimates": ESTIMATES,
    }  # fmt: skip
    config = dict(network.module.config.to_diff_dict())
    made = MergedConfig("merged", config, FOLDING_VERSION, 250, thresholds, calibration, record)
    tokens = network.tokenizer.to_str().encode()
    encoder.save(str(folder / "model"), encoder.quantised(network.arrays()), tokens, made)
    return str(folder / "model")


@pytest.fixture(scope="module")
def published(merged: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("published") / "out"
    done = run("models", "card", merged, "--out", str(folder), "--name", "nos/zoeker", "--license", "mit")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["files"] == sorted(os.listdir(folder))
    return str(folder)


def plain(folder: str, texts: list[str]) -> np.ndarray:
    """Sigmoid of the logits of transformers alone, a text at a time."""
    module = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    reads = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return np.stack([torch.sigmoid(module(**reads(text, return_tensors="pt")).logits)[0].numpy() for text in texts])


def test_transformers_alone_gives_the_probabilities_of_drugscan(merged: str, published: str) -> None:
    config = transformers.AutoConfig.from_pretrained(published)
    assert tuple(config.id2label[number] for number in range(10)) == NOS_LABELS
    assert config.label2id == {label: number for number, label in enumerate(NOS_LABELS)}
    assert (config.problem_type, config.architectures) == (
        "multi_label_classification", ["BertForSequenceClassification"],
    )  # fmt: skip
    theirs = dict(zip(NOS_LABELS, plain(published, TEXTS).T, strict=True))
    ours = models.load(Choice(merged, dtype="float32")).score(TEXTS)
    assert np.ptp(ours, axis=0).min() > 0.01
    for name, column in zip(OUTPUTS, ours.T, strict=True):
        assert np.abs(theirs[name] - column).max() < 1e-5, name
    assert np.abs(theirs["geendrugsad"] + theirs["drugsad"] - 1).max() < 1e-6


def test_the_folder_can_be_scanned_with_again(merged: str, published: str) -> None:
    ours, again = models.load(Choice(merged, dtype="float32")), models.load(Choice(published, dtype="float32"))
    assert isinstance(again, HuggingFace)
    assert np.abs(again.score(TEXTS) - ours.score(TEXTS)).max() < 1e-5
    assert again.thresholds == ours.thresholds
    assert again.tokenise(["kaas " * 400]).ids.lengths.tolist() == [250]
    as_pair = models.load(Choice(detector=published, categoriser=published, dtype="float32"))
    assert np.nanmax(np.abs(as_pair.score(TEXTS) - ours.score(TEXTS))) < 1e-5


def test_thresholds_that_are_none_are_refused(published: str, tmp_path: Path) -> None:
    for file in Path(published).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["drugscan"] = {"thresholds": {"drugsad": 2}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"thresholds under `drugscan` in its config.json: Expected `float` <= 1"):
        models.load(str(tmp_path))


def test_a_tokenizer_folds_all_authored_texts_but_two_disguises_alike() -> None:
    """Spelled-out words and digits for letters are drugscan's own, and the card says so."""
    bare = Tokenizer(tokenizer_models.WordLevel({"x": 0}, unk_token="x"))
    bare.normalizer = normalizers.NFKC()
    folding, compared = with_folding(bare).normalizer, 0
    paths = sorted((REPOSITORY / "data" / "authored").glob("*.jsonl"))
    texts = [each.text for path in paths for each in evaluation.read_labelled(str(path))]
    for text in texts:
        bare_letters = features.ACCENTS.sub("", features._undressed(text))
        steps = features._MIXED.sub(lambda word: word[0].translate(features.LOOKALIKES), bare_letters)
        if (
            features._SPACED.sub(features._joined, steps) == steps
            and features._LEET.sub(features._unleeted, steps) == steps
        ):
            assert folding.normalize_str(text) == bare.normalizer.normalize_str(folded_text(text)), text
            compared += 1
    assert compared > 0.9 * len(texts)


def _card(folder: str) -> tuple[dict[str, Any], str]:
    _, front, text = Path(folder, "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_card_says_what_the_model_is(published: str) -> None:
    front, text = _card(published)
    assert front["license"] == "mit"
    assert front["language"] == ["nl"]
    assert (front["pipeline_tag"], front["library_name"]) == ("text-classification", "transformers")
    assert "base_model" not in front  # the name alone does not make it multilingual-e5-small
    assert front["metrics"] == ["accuracy", "precision", "recall", "f1"]
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| ([\d.]*) \|$", text, re.MULTILINE))
    assert tuple(rows) == NOS_LABELS
    assert (rows["drugsad"], rows["geendrugsad"], rows["bulk"]) == ("0.4", "", "0.48")
    for words in (
        "1,500 messages, 700 of them ads", "They are not real messages", "| authored-a.jsonl | 1,200 |",
        "| leave files out 2 | 0.910 | 0.950 | a.jsonl, 0.800 |", "trained 2026-11-25", "merged-abc on 40 more texts",
        "not for decisions about\npersons", "w i e t", "drugscan scan result.json --model nos/zoeker",
        "first 250 tokens", "model `merged-",
    ):  # fmt: skip
        assert words in text, words
    assert "{" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_the_base_is_cited_when_it_says_so() -> None:
    from drugscan import card

    for base, width, found in (
        ("e5-small", 384, True),
        ("e5", 384, True),
        ("e5-small", 32, False),
        ("bert", 384, False),
    ):
        assert card._base({"options": {"base": base}}, {"hidden_size": width})["e5"] == found
    facts = {"options": {"base": "multilingual-e5-small"}, "date": "2026-11-25"}
    config = SimpleNamespace(
        family="merged", training=facts, encoder={"hidden_size": 384}, max_tokens=160, calibration={}
    )
    text = card.of_encoder(SimpleNamespace(config=config, model_id="merged-1", thresholds={}), Asked())
    assert "arXiv:2402.05672" in text
    assert "base_model: intfloat/multilingual-e5-small" in text
    assert "license: other\nlicense_name: not-stated" in text
    assert "No figures out of fold were recorded" in text


def test_the_snippet_of_the_card_runs(published: str, capsys: pytest.CaptureFixture[str]) -> None:
    snippet = re.search(r"```python\n(.*?)```", _card(published)[1], re.DOTALL)
    assert snippet
    assert "nos/zoeker" in snippet[1]
    exec(snippet[1].replace("nos/zoeker", published), {})
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(NOS_LABELS)
    assert all(0 <= float(line.split()[1]) <= 1 for line in lines)


def _evaluated(model_id: str, path: Path) -> str:
    labelled = [evaluation.Labelled("a", True, ["post"]), evaluation.Labelled("b", False, [])] * 20
    result = evaluation.evaluate(FakeModel({"a": ["drugsad", "post"]}, model_id), labelled)
    path.write_text(f"a table\nfor people\n{json.dumps({**result, 'trained_on': ['a.jsonl']})}\n")
    return str(path)


def test_figures_come_from_an_evaluation_of_this_model(merged: str, tmp_path: Path) -> None:
    model_id = models.load(Choice(merged, dtype="float32")).model_id
    file = _evaluated(f"{model_id}-bfloat16", tmp_path / "e.txt")
    sharing.publish(merged, str(tmp_path / "out"), Asked(evaluation=file))
    _, text = _card(str(tmp_path / "out"))
    assert "On 40 labelled messages (20 ads)" in text
    assert "| detector accuracy | 1.000 | 1.000 to 1.000 |" in text
    assert "| `post` f1 | 1.000 |" in text
    assert "| `bulk` f1 | none | none |" in text
    assert "trained on files of the same names (a.jsonl): these figures flatter it" in text
    other = _evaluated("linear-1", tmp_path / "other.txt")
    done = run("models", "card", merged, "--out", str(tmp_path / "no"), "--evaluation", other)
    assert (done.exit_code, "tells of the model linear-1, not of merged-" in done.stderr) == (1, True)
    (tmp_path / "x.json").write_text("{}")
    done = run("models", "card", merged, "--out", str(tmp_path / "no"), "--evaluation", str(tmp_path / "x.json"))
    assert (done.exit_code, "is not what `drugscan evaluate --json` prints" in done.stderr) == (1, True)
    assert not (tmp_path / "no").exists()


def test_a_linear_pair_is_published_for_drugscan_itself(tmp_path: Path) -> None:
    files = [tiny_encoder.lines(tmp_path / f"{number}.jsonl", 80, number) for number in range(2)]
    model_id = training.train_linear(files, str(tmp_path / "m")).model_id
    written = sharing.publish(str(tmp_path / "m"), str(tmp_path / "out"), Asked())
    assert written == ["README.md", "config.json", "model.safetensors"]
    assert models.load(str(tmp_path / "out")).model_id == model_id
    front, text = _card(str(tmp_path / "out"))
    assert (front["library_name"], "base_model" in front) == ("drugscan", False)
    assert "No other program can run it" in text
    assert "the publisher has to say it here" in text
    assert "not real messages" not in text  # nobody knows that of files of other people
    assert "leave one file out" in text
    assert upload.files_of(str(tmp_path / "out"))


def test_what_cannot_be_published_is_refused(merged: str, published: str, tmp_path: Path) -> None:
    done = run("models", "card", published, "--out", str(tmp_path / "x"))
    assert (done.exit_code, "was not trained by drugscan: publish the folder" in done.stderr) == (1, True)
    done = run("models", "card", merged, "--out", published)
    assert (done.exit_code, "is not empty; give a new folder" in done.stderr) == (1, True)
    done = run("models", "push", merged, "me/model", "--dry-run")
    assert (done.exit_code, "it lacks README.md; make a folder" in done.stderr) == (1, True)
    done = run("models", "push", str(tmp_path / "none"), "me/model")
    assert (done.exit_code, "is no folder; make one with" in done.stderr) == (1, True)
    done = run("models", "push", published, "model")
    assert (done.exit_code, "model is no name on the Hub; give OWNER/NAME" in done.stderr) == (1, True)


@dataclass
class FakeHub:
    """Stands for `huggingface_hub.HfApi`; remembers what it was asked."""

    private: bool = False
    error: Exception | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def create_repo(self, repo_id: str, **given: object) -> str:
        self.asked.append(("create_repo", {"repo_id": repo_id, **given}))
        return f"https://huggingface.co/{repo_id}"

    def model_info(self, repo_id: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.private)

    def upload_folder(self, **given: object) -> None:
        self.asked.append(("upload_folder", given))
        if self.error:
            raise self.error


def test_push_makes_the_repository_and_uploads_the_folder(published: str) -> None:
    (Path(published) / "notes.txt").write_text("not for others")
    hub = FakeHub(private=True)
    assert upload.push(published, "me/model", True, hub) == "https://huggingface.co/me/model"
    (_, made), (_, sent) = hub.asked
    assert made == {"repo_id": "me/model", "repo_type": "model", "private": True, "exist_ok": True}
    assert (sent["repo_id"], sent["repo_type"], sent["folder_path"]) == ("me/model", "model", published)
    assert set(sent["allow_patterns"]) == set(os.listdir(published)) - {"notes.txt"}
    open_hub = FakeHub()
    upload.push(published, "me/model", False, open_hub)
    assert open_hub.asked[0][1]["private"] is None  # the owner's own default


def test_nothing_private_goes_to_a_public_repository(published: str) -> None:
    hub = FakeHub(private=False)
    with pytest.raises(ModelError, match="me/model exists and is public, nothing was uploaded"):
        upload.push(published, "me/model", True, hub)
    assert [name for name, _ in hub.asked] == ["create_repo"]


def test_what_the_hub_says_is_told(published: str) -> None:
    with pytest.raises(ModelError, match=r"could not be brought to me/model \(403 no\); check .* the same command"):
        upload.push(published, "me/model", False, FakeHub(error=OSError("403 no\nmore")))


def test_dry_run_lists_what_would_go(published: str) -> None:
    done = run("models", "push", published, "me/model", "--dry-run")
    assert done.exit_code == 0
    listed = [line.split() for line in done.stdout.splitlines()]
    assert {name for _, name in listed} == {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert all(int(size.replace(",", "")) > 0 for size, _ in listed)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ({}, "no token for the Hugging Face Hub; make one that may write at"),
        ({"HF_TOKEN": "hf_none"}, "could not be brought to me/model ("),
    ],
)
def test_without_token_or_network_it_is_said_what_to_do(
    token: dict[str, str], said: str, published: str, tmp_path: Path
) -> None:
    """In a process of its own: the Hub's client reads its settings when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment = {**kept, **token, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "drugscan.cli", "models", "push", published, "me/model"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hf_none" not in done.stderr
