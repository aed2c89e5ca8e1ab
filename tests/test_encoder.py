"""Training encoders: on a tiny base made here, in a little language (see `tiny_encoder.lines`)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from click.testing import CliRunner
from tokenizers import Tokenizer

from drugscan import augmentation, encoder_training, estimates, evaluation, merged_training, models, pretrained
from drugscan.cli import main
from drugscan.encoder_training import SMOOTHING, EncoderOptions, Lessons, train_encoder
from drugscan.evaluation import Labelled
from drugscan.merged_training import Plan
from drugscan.models import Choice, ModelError
from drugscan.models.encoder import OUTPUTS, Encoder, quantised, restored
from drugscan.models.features import folded_text
from drugscan.models.published import NOS_LABELS
from drugscan.optimisation import class_weights, merged_loss
from drugscan.pretrained import Network
from drugscan.schema import LABELS
from tests import tiny_encoder
from tests.tiny_encoder import lines, options

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@dataclass(frozen=True)
class World:
    """A base and files of texts to train it on."""

    base: str
    files: list[str]
    sample: evaluation.Sample

    @property
    def few(self) -> list[Labelled]:
        return list(self.sample.labelled[:48])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("encoder")
    files = [lines(folder / f"{number}.jsonl", 130, number) for number in range(2)]
    return World(tiny_encoder.base(folder / "base"), files, evaluation.read_sample(files))


def equal(one: Network, other: Network) -> bool:
    mine, theirs = one.arrays(), other.arrays()
    return all(np.array_equal(array, theirs[name]) for name, array in mine.items())


class Teacher:
    """Says the same of every text, in NOS's order, and remembers what it was asked."""

    model_id, labels, gate, max_characters = "teacher", NOS_LABELS, 0.0, None
    thresholds: dict[str, float] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        row = [0.9 if label == "drugsad" else np.nan if label == "post" else 0.2 for label in self.labels]
        return np.tile(np.array(row, np.float32), (len(texts), 1))


def test_training_learns_a_language(world: World, tmp_path: Path) -> None:
    heard: list[float] = []
    lessons = Lessons(world.sample.labelled, on_epoch=lambda epoch, loss, seconds: heard.append(loss))
    chosen = options(world.base, batch_tokens=120)
    network = train_encoder(lessons, chosen)
    fresh = evaluation.read_labelled(lines(tmp_path / "fresh.jsonl", 150, 9))
    said = merged_training.logits_of(network, [each.text for each in fresh], chosen) > 0
    right = evaluation.truth(fresh)
    assert (said[:, 0] == right[:, 0]).mean() > 0.9
    assert len(heard) == chosen.epochs
    assert heard[-1] < heard[0]


def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(world: World, tmp_path: Path) -> None:
    """And so the same seed gives the same weights."""
    chosen = options(world.base, epochs=2, held_out=0.2)
    whole = train_encoder(Lessons(world.few), chosen)
    checkpoint, heard = tmp_path / "checkpoint.pt", []

    def killed(epoch: int, loss: float, seconds: float) -> None:
        heard.append(epoch)
        if len(heard) == 1:
            raise KeyboardInterrupt

    lessons = Lessons(world.few, checkpoint=checkpoint, on_epoch=killed)
    with pytest.raises(KeyboardInterrupt):
        train_encoder(lessons, chosen)
    assert equal(train_encoder(lessons, chosen), whole)
    assert heard == [1, 2]
    for other in (replace(lessons, labelled=world.few[1:]), replace(lessons, teachers=[Teacher()])):
        heard[:] = [0]
        train_encoder(other, chosen)
        assert heard == [0, 1, 2]  # a checkpoint of another training is not gone on with
    assert not equal(train_encoder(Lessons(world.few), replace(chosen, seed=1, epochs=1)), whole)


def test_early_stopping_stops_and_keeps_the_best(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, heard, kept = [3.0, 1.0, 2.0, 1.5, 0.0], [], []

    def loss(*given: Any) -> torch.Tensor:  # noqa: ANN401
        return merged_loss(*given) if torch.is_grad_enabled() else torch.tensor(losses[len(heard)])

    def told(epoch: int, *_: float) -> None:
        heard.append(epoch)
        kept.append(torch.load(tmp_path / "c.pt", weights_only=True)["average"])

    monkeypatch.setattr(encoder_training, "merged_loss", loss)
    lessons = Lessons(world.few, checkpoint=tmp_path / "c.pt", on_epoch=told)
    network = train_encoder(lessons, options(world.base, epochs=5, held_out=0.3))
    assert heard == [1, 2, 3, 4]
    assert all(torch.equal(value, kept[1][f"module.{name}"]) for name, value in network.module.state_dict().items())
    assert not torch.equal(kept[1]["module.classifier.bias"], kept[3]["module.classifier.bias"])


def test_the_trained_weights_are_an_average_over_the_steps(world: World, tmp_path: Path) -> None:
    network = train_encoder(Lessons(world.few, checkpoint=tmp_path / "c.pt"), options(world.base, epochs=2))
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    trained = network.module.state_dict()
    assert all(torch.equal(value, state["average"][f"module.{name}"]) for name, value in trained.items())
    assert not torch.equal(trained["classifier.bias"], state["module"]["classifier.bias"])


def test_near_copies_lie_on_one_side_of_the_early_stop() -> None:
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("abcdefghij  "), 60)) for _ in range(10)] * 3
    labelled = [Labelled(text, False, []) for text in texts]
    kept, held = encoder_training._held_out(labelled, EncoderOptions("", held_out=0.5))
    assert held
    assert not {each.text for each in kept} & {each.text for each in held}


def test_the_loss_by_hand() -> None:
    """Labels count over the ads only; positives weigh more where they are rare."""
    logits, targets = torch.zeros(2, 3), torch.tensor([[1.0, 1, 0], [0.0, 1, 1]])
    half, ads, even = float(np.log(2)), torch.tensor([1.0, 0.0]), torch.ones(3)
    assert float(merged_loss(logits, targets, ads, even, (0, 1, 2))) == pytest.approx(4 * half + 2 * half)
    assert float(merged_loss(logits, targets, ads, even, (1, 2, 3))) == pytest.approx(3 * half)
    rare = torch.tensor([1.0, 3.0, 1.0])
    assert float(merged_loss(logits, targets, ads, rare, (0, 1, 2))) == pytest.approx(4 * half + 4 * half)
    found = class_weights(np.array([[1, 1, 0]] + [[1, 0, 0]] * 4, np.float32))
    assert found.tolist() == [1, 2, 4]


def test_class_weights_change_what_is_learned(world: World) -> None:
    heard: list[float] = []
    for chosen in (options(world.base, epochs=1), options(world.base, epochs=1, class_weights=True)):
        train_encoder(Lessons(world.few, on_epoch=lambda epoch, loss, seconds: heard.append(loss)), chosen)
    assert heard[1] > heard[0]


def test_teachers_are_asked_of_all_and_unlabelled_texts_join(world: World) -> None:
    teacher, others = Teacher(), ["iets zonder label", "nog iets"]
    lessons = Lessons(world.few, [teacher], others)  # type: ignore[list-item]
    texts, targets, ads = encoder_training._Epochs(world.few, lessons, EncoderOptions("")).draw()
    assert teacher.asked == [*(each.text for each in world.few), *others]
    assert set(texts[len(world.few) :]) == set(others)
    right, taught = evaluation.truth(world.few).astype(np.float32), dict.fromkeys(OUTPUTS, 0.2)
    taught |= {"drugsad": 0.9, "post": SMOOTHING}
    row = np.array(list(taught.values()), np.float32)
    smooth = right * (1 - 2 * SMOOTHING) + SMOOTHING
    assert np.allclose(targets, np.concatenate([(smooth + row) / 2, np.tile(row, (2, 1))]))
    assert np.allclose(ads, [*right[:, 0], 0.9, 0.9])
    of_ads = encoder_training._Epochs(world.few, Lessons(world.few), EncoderOptions("", outputs=(1, 2))).draw()
    assert of_ads[1].shape == (right[:, 0].sum(), 2)  # a categoriser alone learns from ads only


def test_folds_leave_whole_files_out_and_are_kept(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[set[str]] = []

    def train(lessons: Lessons, options: EncoderOptions) -> str:
        taught.append({each.text for each in lessons.labelled})
        assert lessons.checkpoint
        lessons.checkpoint.touch()
        return "network"

    monkeypatch.setattr(merged_training, "train_encoder", train)
    monkeypatch.setattr(
        merged_training, "logits_of", lambda network, texts, options: np.full((len(texts), 9), len(taught), np.float32)
    )
    (tmp_path / "training").mkdir()
    plan = Plan(world.files, str(tmp_path), options(world.base), folds=2)
    logits = merged_training.out_of_fold(world.sample, plan, print)
    assert sorted(set(logits[:, 0])) == [1, 2]
    for number in (1, 2):
        inside = {t.text for t, row in zip(world.sample.labelled, logits, strict=True) if row[0] == number}
        assert not inside & taught[number - 1]
        files = {f for f, row in zip(world.sample.files, logits, strict=True) if row[0] == number}
        assert len(files) == 1
    again = merged_training.out_of_fold(world.sample, plan, print)
    assert len(taught) == 2
    assert np.array_equal(again, logits)
    other = evaluation.Sample(world.sample.labelled[:-1], world.sample.files[:-1])
    merged_training.out_of_fold(other, plan, print)
    assert len(taught) == 4  # folds of other texts are of no use


def test_the_command_trains_with_folds_and_writes_a_model(world: World, tmp_path: Path) -> None:
    out = tmp_path / "model"
    few = ["--epochs", "1", "--layers", "1", "--vocabulary", "0", "--max-tokens", "40", "--folds", "2"]
    given = ["train", "encoder", *world.files, "--base", world.base, "--out", str(out), *few, "--device", "cpu"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 0, done.output
    assert "fold 2 of 2: epoch 1, loss" in done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result["estimates"]["leave_files_out_2"]) == {"all", "0.jsonl", "1.jsonl"}
    assert {file.name for file in out.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert not (out / "training").exists()
    model = models.load(str(out))
    assert isinstance(model, Encoder)
    assert model.model_id == result["model_id"]
    assert set(model.config.calibration) == set(model.thresholds) == set(OUTPUTS)
    assert model.config.training["files"] == {"0.jsonl": 130, "1.jsonl": 130}
    assert model.score(["plof bus", "kaas"]).shape == (2, 9)
    refused = CliRunner().invoke(main, [*given, "--pair"])
    assert (refused.exit_code, "--folds and --small are for a merged encoder" in refused.output) == (2, True)


def test_a_pair_is_two_classifiers_of_transformers(world: World, tmp_path: Path) -> None:
    plan = Plan(world.files, str(tmp_path), options(world.base, epochs=1, layers=1))
    first, second = merged_training.train_pair(plan, print)
    model = models.load(Choice(detector=first, categoriser=second, dtype="float32"))
    scores = model.score(["Plof BUS", "kaas boom " * 50])
    assert scores.shape == (2, 9)
    assert model.tokenise(["kaas boom " * 50]).ids.lengths.tolist() == [40]  # type: ignore[attr-defined]
    for folder, labels in ((first, ("drugsad",)), (second, LABELS)):
        found = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        assert tuple(found.config.id2label.values()) == labels
        assert found.config.problem_type == "multi_label_classification"
        assert not (Path(folder) / "checkpoint.pt").exists()
        reads = transformers.AutoTokenizer.from_pretrained(folder)
        with torch.no_grad():
            plain = torch.sigmoid(found.eval()(**reads("Plof BUS", return_tensors="pt")).logits)[0]
        column = slice(0, 1) if folder == first else slice(1, 9)
        if not np.isnan(scores[0, column]).any():
            assert np.abs(plain.numpy() - scores[0, column]).max() < 1e-5


def test_small_is_a_quarter_and_says_nearly_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tiny_encoder.base(tmp_path / "base", hidden_size=256, intermediate_size=256)
    chosen = options(wide)
    network = pretrained.start(wide, [], chosen)
    with torch.no_grad():
        network.module.classifier.weight.mul_(15)  # so that texts differ
    monkeypatch.setattr(merged_training, "train_encoder", lambda lessons, options: network)
    scores = {}
    for small in (False, True):
        out = tmp_path / str(small)
        merged_training.train_merged(Plan(world.files, str(out), chosen, small=small), print)
        scores[small] = models.load(Choice(str(out), dtype="float32")).score([e.text for e in world.few])
    size = (tmp_path / "True" / "model.safetensors").stat().st_size
    assert size < 0.3 * sum(array.nbytes for array in network.arrays().values())
    assert np.ptp(scores[False], axis=0).min() > 0.02
    assert np.abs(scores[True] - scores[False]).max() <= 0.02
    arrays = network.arrays()
    back = restored(quantised(arrays))
    assert {name: array.shape for name, array in back.items()} == {name: a.shape for name, a in arrays.items()}


@pytest.mark.parametrize("bits", range(2, 9))
def test_a_weight_is_off_by_half_a_level_of_its_block_at_most(bits: int) -> None:
    random = np.random.default_rng(bits)
    steep = random.normal(size=(300, 192)).astype(np.float32) * np.geomspace(1e-3, 10, 192, dtype=np.float32)
    arrays = {"even": steep, "zero": np.zeros((300, 192), np.float32), "odd": steep[:, :190], "flat": steep[0]}
    stored = quantised(arrays, bits)
    assert stored["even.levels"].shape == (300, 192 * bits // 8)
    assert stored["even.scale"].shape == (300, 3)
    assert (stored["odd"].dtype, stored["flat"].dtype) == (np.float16, np.float16)
    back = restored(stored)
    level = np.abs(steep.reshape(300, 3, 64)).max(axis=2) / (2 ** (bits - 1) - 1)
    off = np.abs(back["even"] - steep).reshape(300, 3, 64).max(axis=2)
    assert (off <= level * 0.51).all()
    assert not back["zero"].any()
    with pytest.raises(ValueError, match="even is stored as an earlier version did it; train again"):
        restored({"even": stored["odd"], "even.scale": stored["even.scale"]})
    assert {name: array.dtype for name, array in back.items()} == dict.fromkeys(arrays, np.dtype(np.float32))


def test_a_cut_vocabulary_keeps_what_texts_use_and_encodes_them_alike(world: World) -> None:
    whole = Tokenizer.from_file(str(Path(world.base) / "tokenizer.json"))
    texts = [folded_text(each.text) for each in world.few]
    cut, kept = pretrained.cut_vocabulary(whole, texts, 60)
    assert cut.get_vocab_size() == len(kept) < whole.get_vocab_size()
    used = {number for text in texts for number in whole.encode(text).ids}
    assert used <= set(kept.tolist())
    assert {0, 1, 2, 3} <= set(kept.tolist())
    for text in texts:
        assert kept[cut.encode(text).ids].tolist() == whole.encode(text).ids
        assert cut.encode(text).tokens == whole.encode(text).tokens
    network = pretrained.start(world.base, texts, options(world.base, vocabulary=60))
    assert network.module.config.vocab_size == len(kept)
    assert network.pad == cut.token_to_id("<pad>")


def _no_bert(folder: Path) -> None:
    transformers.RobertaModel(
        transformers.RobertaConfig(vocab_size=200, pad_token_id=1, max_position_embeddings=64, **tiny_encoder.SIZES)
    ).save_pretrained(folder)


def _no_unigram(folder: Path) -> None:
    spec = json.loads((folder / "tokenizer.json").read_text())
    pieces = {piece: number for number, (piece, _) in enumerate(spec["model"]["vocab"])}
    spec["model"] = {
        "type": "WordPiece", "vocab": pieces, "unk_token": "<unk>",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(spec))


@pytest.mark.parametrize(
    ("spoil", "changed", "said"),
    [
        (_no_bert, {}, "is no BERT encoder but a roberta"),
        (_no_unigram, {"vocabulary": 50}, "only a Unigram vocabulary .* can be cut, not WordPiece .*--vocabulary 0"),
        (lambda folder: None, {"layers": 3}, "has 2 layers, not 3; give --layers 0"),
        (lambda folder: (folder / "config.json").unlink(), {}, "cannot be loaded .*`drugscan models fetch e5-small"),
    ],
)
def test_a_base_of_another_kind_is_refused(
    spoil: Callable[[Path], None], changed: dict[str, int], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    tiny_encoder.base(folder)
    spoil(folder)
    with pytest.raises(ModelError, match=said):
        pretrained.start(str(folder), ["kaas boom"], options(str(folder), **changed))


def test_folds_of_files_that_leave_one_class_are_folds_of_groups(world: World, tmp_path: Path) -> None:
    def split(name: str, ads: bool) -> str:
        path = tmp_path / name
        rows = [json.loads(line) for line in Path(world.files[0]).read_text().splitlines()]
        path.write_text("\n".join(json.dumps(row) for row in rows if row["drugsad"] is ads))
        return str(path)

    parted = evaluation.read_sample([split("ads.jsonl", True), split("others.jsonl", False)])
    for sample, count in ((world.sample, 2), (parted, 2), (evaluation.read_sample(world.files[:1]), 1)):
        name, folds = merged_training._folds(sample, Plan(sample.files, "", options(world.base), folds=count))
        assert name == ("leave_files_out_2" if sample is world.sample else "grouped_2_fold")
        assert len(np.unique(folds)) == 2
        assert estimates.both_classes(folds, sample.groups, sample.right).all()


def test_a_network_is_not_trained_on_more_tokens_than_it_has_positions(world: World) -> None:
    with pytest.raises(ModelError, match=r"reads \d+ tokens at most; give --max-tokens"):
        pretrained.start(world.base, ["x"], options(world.base, max_tokens=100_000))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_named_before_anything_is_done(world: World) -> None:
    with pytest.raises(ModelError, match="no CUDA device is to be seen"):
        models.ready(Choice("accurate", device="cuda"))
    with pytest.raises(ModelError, match="no CUDA device is to be seen"):
        train_encoder(Lessons(world.few), options(world.base, device="cuda"))


def test_names_in_foreign_letters_are_varied_too() -> None:
    random = np.random.default_rng(0)
    texts = {augmentation.varied(Labelled("wıet en LſD te koop", True, []), random).text for _ in range(50)}
    assert len(texts) > 1
