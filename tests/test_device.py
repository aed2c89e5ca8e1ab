"""The device that a model on torch runs on: its precision, its memory, its limits."""

from pathlib import Path

import pytest
import torch

from drugscan import models
from drugscan.models import Choice, ModelError
from drugscan.models.device import Device, padded
from tests.test_huggingface import LONGEST, OURS, classifier


def test_the_precision_is_that_of_the_scores_that_the_corpus_has(tmp_path: Path) -> None:
    choice = Choice(classifier(tmp_path / "m", "bert", list(OURS)))
    one = models.load(Choice(choice.model, dtype="float32")).model_id
    assert models.settled(choice, [one]).dtype == "float32"
    assert models.settled(choice, [f"{one}-bfloat16"]) == Choice(
        choice.model, dtype="bfloat16", model_id=f"{one}-bfloat16"
    )
    assert models.settled(Choice(choice.model, dtype="float32"), [f"{one}-bfloat16"]).model_id == one


def test_limits_are_checked_at_the_start(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "m", "bert", list(OURS))
    with pytest.raises(ModelError, match=f"--batch-tokens 39 is less than the longest text.*at least {LONGEST}"):
        models.load(Choice(folder, batch_tokens=39))
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device is to be seen from here"):
            models.load(Choice(folder, device="cuda")).start(1)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")]
)
def test_a_full_device_gets_smaller_batches(error: RuntimeError) -> None:
    shapes: list[tuple[int, ...]] = []

    def forward(input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        shapes.append(tuple(input_ids.shape))
        if len(input_ids) > 3:
            raise error
        return input_ids[:, :1].float()

    ids = [[number] * 5 for number in range(10)]
    logits, padding = Device(Choice(device="cpu"), 5).run(forward, ids, 0)
    assert logits[:, 0].tolist() == list(range(10))
    assert (shapes[0], padding) == ((10, 5), 0)
    with pytest.raises(MemoryError, match="no memory for a batch of 1 texts of 5 tokens"):
        Device(Choice(device="cpu"), 5).run(lambda **_: (_ for _ in ()).throw(error), ids, 0)


def test_only_texts_of_unlike_length_need_a_mask() -> None:
    assert set(padded([[1, 2], [3, 4]], 0, "cpu")) == {"input_ids"}
    masked = padded([[1, 2], [3]], 9, "cpu")
    assert masked["input_ids"].tolist() == [[1, 2], [3, 9]]
    assert masked["attention_mask"].tolist() == [[1, 1], [1, 0]]
