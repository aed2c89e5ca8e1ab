"""Any Hugging Face classifier: tiny random ones, made here, against transformers itself."""

import json
import shutil
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers import models as tokenizer_models

from drugscan import models
from drugscan.models import Choice, ModelError
from drugscan.models.huggingface import GATE, HuggingFace
from drugscan.schema import DETECTOR_LABEL, LABELS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OURS = (DETECTOR_LABEL, *LABELS)
LONGEST = 40
TEXTS = [
    "wiet 10 euro",
    "hallo",
    "",
    "een heel lang bericht " * 12,
    "XTC 5st 15 ❄️",
    "pu in zwolle",
    "dag",
    "wiet 12 euro",
]
SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 48}


def tokenizer(extra: str = "") -> transformers.PreTrainedTokenizerFast:
    """Splits words into letters; `extra` letters make it another one."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = sorted(set(string.printable + extra))
    words = [*special, *letters, *(f"##{letter}" for letter in letters)]
    made = Tokenizer(tokenizer_models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=512, **names)


def classifier(folder: Path, kind: str, labels: list[str], extra: str = "", **config: object) -> str:
    """A random classifier of a kind with its tokenizer in a folder; its weights are wide, so that texts differ."""
    torch.manual_seed(len(labels))
    made = tokenizer(extra)
    common = {"vocab_size": len(made), "pad_token_id": 0, "id2label": dict(enumerate(labels)), **config}
    if kind == "distilbert":
        sizes = {"n_layers": 2, "n_heads": 2, "dim": 32, "hidden_dim": 48, "max_position_embeddings": LONGEST}
        module = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**common, **sizes))
    elif kind == "roberta":
        sizes = {**SIZES, "max_position_embeddings": LONGEST + 1}  # positions count from behind the padding index
        module = transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**common, **sizes))
    else:
        sizes = {**SIZES, "max_position_embeddings": LONGEST}
        module = transformers.BertForSequenceClassification(transformers.BertConfig(**common, **sizes))
    with torch.no_grad():
        for weights in module.parameters():
            weights.mul_(4)
    module.save_pretrained(folder)
    made.save_pretrained(folder)
    return str(folder)


def detector(folder: Path, **config: object) -> str:
    return classifier(folder, "bert", ["geen", DETECTOR_LABEL], **config)


def load(folder: str | None, **chosen: str) -> models.Model:
    """The model in float32, whatever is the faster precision here."""
    return models.load(Choice(folder or "default", dtype="float32", **chosen))  # type: ignore[arg-type]


def spread(folder: str, texts: Sequence[str] = TEXTS, width: float = 6.0) -> str:
    """The same detector with logits so far apart that some texts are ads and some are below the gate."""
    logits = np.diff(plain(folder, texts))[:, 0]
    path, scale = Path(folder) / "model.safetensors", width / float(np.std(logits))
    weights = load_file(path)
    for name, middle in (("classifier.weight", 0.0), ("classifier.bias", float(np.median(logits)))):
        difference = scale * (weights[name][1] - weights[name][0] - middle)
        weights[name] = torch.stack([torch.zeros_like(difference), difference])
    save_file(weights, path, {"format": "pt"})
    return folder


def plain(folder: str, texts: Sequence[str] = TEXTS) -> np.ndarray:
    """Logits as transformers alone gives them, a text at a time."""
    module = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    reads = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        rows = [
            module(**_without_types(reads(text, truncation=True, max_length=LONGEST, return_tensors="pt"))).logits[0]
            for text in texts
        ]
    return torch.stack(rows).double().numpy()


def _without_types(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in inputs.items() if name != "token_type_ids"}


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_a_merged_classifier_scores_as_transformers_does(kind: str, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "m", kind, list(OURS), problem_type="multi_label_classification")
    model = load(folder)
    scores = model.score(TEXTS)
    assert scores.dtype == np.float32
    assert np.abs(scores - sigmoid(plain(folder))).max() < 1e-5
    assert np.ptp(scores[:, 0]) > 0.01  # texts do differ
    assert isinstance(model, HuggingFace)
    tokenised = model.tokenise(TEXTS)
    assert tokenised.truncated.tolist() == [len(text) > 200 for text in TEXTS]
    assert tokenised.ids.lengths.max() == LONGEST
    pipeline = transformers.pipeline("text-classification", folder, top_k=None, truncation=True, max_length=LONGEST)
    assert {each["label"]: pytest.approx(each["score"], abs=1e-5) for each in pipeline([TEXTS[0]])[0]} == dict(
        zip(OURS, scores[0].tolist(), strict=True)
    )


@pytest.mark.parametrize("extra", ["", "éü"])
def test_the_categoriser_of_a_pair_is_asked_from_the_gate_on(extra: str, tmp_path: Path) -> None:
    """With the tokenizer of the detector, and with another one."""
    first, second = detector(tmp_path / "d"), classifier(tmp_path / "c", "roberta", list(LABELS), extra)
    model = load(None, detector=first, categoriser=second)
    assert isinstance(model, HuggingFace)
    ads = softmax(plain(first))[:, 1]
    model.gate = float(np.median(ads))
    assert (model.tokenise(TEXTS).others is None) == (not extra)
    asked: list[int] = []
    forward = model._categoriser.probabilities  # type: ignore[union-attr]
    model._categoriser.probabilities = lambda ids: asked.append(len(ids)) or forward(ids)  # type: ignore
    scores = model.score(TEXTS)
    above = ads >= model.gate
    assert np.abs(scores[:, 0] - ads).max() < 1e-5
    assert np.isnan(scores[~above, 1:]).all()
    assert np.abs(scores[above, 1:] - sigmoid(plain(second))[above]).max() < 1e-5
    assert asked == [above.sum()]
    work = model.forward(model.tokenise(TEXTS))
    lengths = model.tokenise(TEXTS).ids.lengths
    assert (
        work.run_tokens
        == lengths.sum() + (model.tokenise(TEXTS).others or model.tokenise(TEXTS).ids).lengths[above].sum()
    )


def test_a_pair_has_a_gate_and_a_merged_classifier_has_none(tmp_path: Path) -> None:
    first, second = detector(tmp_path / "d"), classifier(tmp_path / "c", "bert", list(LABELS))
    assert load(None, detector=first, categoriser=second).gate == GATE
    assert load(classifier(tmp_path / "m", "bert", list(OURS))).gate == 0


def test_scores_depend_neither_on_the_batch_nor_on_its_size(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "m", "bert", list(OURS))
    whole = load(folder).score(TEXTS)
    for budget in (LONGEST, 100):
        assert np.abs(load(folder, batch_tokens=budget).score(TEXTS) - whole).max() < 1e-5
    assert np.abs(load(folder).score(TEXTS[::-1])[::-1] - whole).max() < 1e-5
    assert load(folder).score([]).shape == (0, 9)


def test_their_names_become_ours(tmp_path: Path) -> None:
    first = classifier(tmp_path / "d", "bert", ["LABEL_0", "LABEL_1"])
    second = classifier(tmp_path / "c", "bert", [f"LABEL_{i}" for i in range(9)])
    ours = [(f"LABEL_{i}", label) for i, label in enumerate(LABELS)]
    named = (("LABEL_1", DETECTOR_LABEL), *ours, ("LABEL_8", ""))
    scores = load(None, detector=first, categoriser=second, labels=named).score(TEXTS)
    ads = softmax(plain(first))[:, 1]
    assert np.abs(scores[:, 0] - ads).max() < 1e-5
    assert np.abs(scores[ads >= GATE, 1:] - sigmoid(plain(second))[ads >= GATE][:, :8]).max() < 1e-5


@pytest.mark.parametrize(
    ("labels", "named", "said"),
    [
        (
            ["LABEL_0", "LABEL_1"],
            (),
            r"no single output for drugsad, .*outputs are LABEL_0, LABEL_1; expected are drugsad",
        ),
        ([*OURS, "cola"], (), "unknown outputs cola"),
        (list(OURS), (("kola", "post"),), "there is no output kola; there are drugsad, softdrugs"),
        (list(OURS), (("post", "pots"),), "pots is none of our labels"),
        ([*OURS[:-1], "x"], (("x", "pots"),), "no single output for bulk"),
    ],
)
def test_unknown_names_are_refused(
    labels: list[str], named: tuple[tuple[str, str], ...], said: str, tmp_path: Path
) -> None:
    folder = classifier(tmp_path / "m", "bert", labels)
    with pytest.raises(ModelError, match=said):
        models.load(Choice(folder, labels=named))


def test_what_is_not_ours_is_not_a_label(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "m", "bert", [*OURS, "x"])
    with pytest.raises(ModelError, match="pots is none of our labels; they are drugsad"):
        models.load(Choice(folder, labels=(("x", ""), ("post", "post"), ("bulk", "bulk"), ("x", "pots"))))


def _without_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")


def _remote_code(folder: Path) -> None:
    """A model of its own kind, whose code would leave a mark."""
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "strange",
        "auto_map": {"AutoConfig": "code.C", "AutoModelForSequenceClassification": "code.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))


def _no_head(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForMaskedLM"]}))


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (_without_safetensors, "has no weights in safetensors .*pytorch_model.bin.*convert it where you trust it"),
        (_remote_code, "code that comes with a model is never run"),
        (_no_head, "is a BertForMaskedLM, not a classifier"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    ],
)
def test_what_cannot_be_used_is_refused(spoilt: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    classifier(folder, "bert", list(OURS))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    spoilt(folder)
    with pytest.raises(ModelError, match=said):
        models.load(str(folder))
    assert not (tmp_path / "mark").exists()


def test_code_beside_a_known_model_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    classifier(folder, "bert", list(OURS))
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text())
        content["auto_map"] = {"AutoModelForSequenceClassification": "code.M", "AutoTokenizer": ["code.T", "code.T"]}
        (folder / name).write_text(json.dumps(content))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    assert models.load(str(folder)).score(["wiet"]).shape == (1, 9)
    assert not (tmp_path / "mark").exists()


def test_a_missing_head_is_not_made_up(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    classifier(folder, "bert", list(OURS))
    weights = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "classifier" not in k}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ModelError, match="lacks weights: classifier.bias"):
        models.load(str(folder)).score(["wiet"])


def test_a_hub_name_without_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"run `hf download niemand/niets --local-dir DIR`, bring DIR here"):
        models.load("niemand/niets")


def test_the_id_is_that_of_the_content_and_the_precision(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "m", "bert", list(OURS))
    shutil.copytree(folder, tmp_path / "copy")
    one = load(folder).model_id
    assert load(str(tmp_path / "copy")).model_id == one
    assert models.load(Choice(folder, dtype="bfloat16")).model_id == f"{one}-bfloat16"
    assert load(classifier(tmp_path / "other", "bert", list(OURS), "é")).model_id != one
    with pytest.raises(ModelError, match="not the one that was chosen .*every machine must have the same files"):
        models.load(Choice(folder, model_id="classifier-0"))
