"""Running a transformer over texts on one device: the same path for CPU and GPU.

Texts are batched by length under a budget of tokens (`batching`); a device that runs out of memory gets half of it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from drugscan.batching import worked
from drugscan.models.choice import Choice
from drugscan.models.errors import ModelError
from drugscan.models.tokens import TokenIds

BATCH_TOKENS: Final = {"cpu": 4_096, "cuda": 131_072}
"""Tokens of a batch with its padding. Speed on a CPU is flat from 1,024 to 16,384; for a GPU it is a first guess."""
_ALLOCATOR: Final = ("can't allocate memory", "not enough memory", "out of memory")
"""How torch's allocators say in a plain RuntimeError that there is no memory left."""
_Floats = npt.NDArray[np.float32]
_Ids = Sequence[Sequence[int] | npt.NDArray[np.int32]] | TokenIds


def device_for(wanted: str = "auto") -> str:
    """`cuda` where torch has a GPU, else `cpu`; anything but `auto` is taken as it is."""
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def dtype_for(device: str) -> torch.dtype:
    """The faster precision: bf16 on a GPU and on a CPU that multiplies it natively, else float32.

    On a CPU with AVX512-BF16 a 12-layer encoder scored 155 to 190 texts/s in bf16 and 60 in float32. A GPU of another
    machine is taken to have bf16.
    """
    if device.startswith("cuda"):
        fast = not torch.cuda.is_available() or torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


class Device:
    """Where the forward passes of a model run, in what precision, and how many tokens at once."""

    def __init__(self, choice: Choice, longest: int) -> None:
        """`longest`: most tokens of a text. Raises `ModelError` when such a text does not fit the budget."""
        self.name = device_for(choice.device)
        self.dtype: torch.dtype = getattr(torch, choice.dtype) if choice.dtype else dtype_for(self.name)
        self.max_tokens = choice.batch_tokens or max(BATCH_TOKENS[self.name.split(":")[0]], longest)
        if self.max_tokens < longest:
            raise ModelError(
                f"--batch-tokens {self.max_tokens} is less than the longest text of this model; give at least {longest}"
            )

    @property
    def dtype_name(self) -> str:
        """`float32` or `bfloat16`."""
        return str(self.dtype).removeprefix("torch.")

    def model_id(self, content: str) -> str:
        """The id of a model: what its content is named, and the precision unless that is float32."""
        return content if self.dtype == torch.float32 else f"{content}-{self.dtype_name}"

    def placed(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module here, ready to score; raises `ModelError` when the device is not there."""
        check_device(self.name)
        return module.to(self.name, self.dtype).eval()

    def run(self, forward: Callable[..., torch.Tensor], ids: _Ids, pad: int) -> tuple[_Floats, int]:
        """Logits of all texts in their order, [texts, outputs], and how many tokens of padding went with them.

        Raises `MemoryError` when there is no room for a single text.
        """
        lengths = np.array([len(each) for each in ids], np.int64)  # type: ignore[union-attr]
        out, padding = np.empty((0, 0), np.float32), 0

        def work(batch: npt.NDArray[np.int64]) -> _Floats:
            return _logits(forward, padded([ids[int(index)] for index in batch], pad, self.name))

        with torch.inference_mode():
            for batch, logits in worked(lengths, self.max_tokens, work):
                if not out.size:
                    out = np.empty((len(lengths), logits.shape[1]), np.float32)
                out[batch] = logits
                padding += int(lengths[batch].max() * len(batch) - lengths[batch].sum())
        return out, padding


def check_device(name: str) -> None:
    """Raises `ModelError` when the device is not there."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(
            "no CUDA device is to be seen from here (a CPU build of torch, no driver, or no GPU given to this "
            "process); give --device cpu, or --gpus-per-worker on a cluster that has GPUs"
        )


def padded(ids: Sequence[Sequence[int] | npt.NDArray[np.int32]], pad: int, device: str) -> dict[str, torch.Tensor]:
    """Inputs of a batch; without a mask when all texts have one length."""
    lengths = np.array([len(each) for each in ids])
    block = np.full((len(ids), int(lengths.max())), pad, np.int64)
    for row, each in enumerate(ids):
        block[row, : len(each)] = each
    tokens = torch.from_numpy(block).to(device)
    if (lengths == block.shape[1]).all():
        return {"input_ids": tokens}
    mask = (np.arange(block.shape[1]) < lengths[:, None]).astype(np.int64)
    return {"input_ids": tokens, "attention_mask": torch.from_numpy(mask).to(device)}


def _logits(forward: Callable[..., torch.Tensor], inputs: dict[str, torch.Tensor]) -> _Floats:
    """The forward pass; whatever torch says when memory runs out becomes a `MemoryError`."""
    try:
        return forward(**inputs).float().cpu().numpy()
    except torch.OutOfMemoryError:
        pass
    except RuntimeError as error:
        if not any(words in str(error) for words in _ALLOCATOR):
            raise
    # outside of `except`, where the error no longer holds on to the tensors of the failed pass
    torch.cuda.empty_cache()
    rows, longest = inputs["input_ids"].shape
    raise MemoryError(f"no memory for a batch of {rows} texts of {longest} tokens")
