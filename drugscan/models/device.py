"""Running a transformer over texts on one device: the same path for CPU and GPU.

Texts are batched by length under a budget of tokens (`batching`); a device that runs out of memory gets half of it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from drugscan.batching import micro_batches

BATCH_TOKENS: Final = {"cpu": 4_096, "cuda": 131_072}
"""Tokens of a batch with its padding. Speed on a CPU is flat from 1,024 to 16,384; for a GPU it is a first guess."""
_Floats = npt.NDArray[np.float32]


def device_for(wanted: str = "auto") -> str:
    """`cuda` where torch has a GPU, else `cpu`; anything but `auto` is taken as it is."""
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def dtype_for(device: str) -> torch.dtype:
    """bf16 on a GPU that has it, else float32: without AMX bf16 was slower (163 against 272 texts/s)."""
    return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float32


def padded(ids: Sequence[Sequence[int]], pad: int, device: str) -> dict[str, torch.Tensor]:
    """Inputs of a batch; without a mask when all texts have one length."""
    longest = max(len(each) for each in ids)
    tokens = torch.tensor([[*each, *[pad] * (longest - len(each))] for each in ids], device=device)
    if all(len(each) == longest for each in ids):
        return {"input_ids": tokens}
    lengths = torch.tensor([len(each) for each in ids], device=device)
    return {"input_ids": tokens, "attention_mask": (torch.arange(longest, device=device) < lengths[:, None]).long()}


def run(
    forward: Callable[..., torch.Tensor],
    ids: Sequence[Sequence[int]],
    pad: int,
    device: str,
    max_tokens: int | None = None,
) -> _Floats:
    """Logits of all texts in their order, [texts, outputs]; halves the budget of tokens when memory runs out."""
    max_tokens = max_tokens or BATCH_TOKENS[device.split(":")[0]]
    parts: list[tuple[npt.NDArray[np.int64], _Floats]] = []
    todo = list(micro_batches([len(each) for each in ids], max_tokens))
    with torch.inference_mode():
        while todo:
            batch = todo.pop(0)
            try:
                logits = forward(**padded([ids[index] for index in batch], pad, device))
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                # what is left is cut anew: batches of the old size would fail one by one
                torch.cuda.empty_cache()
                max_tokens = max(1, max_tokens // 2)
                left = np.concatenate([batch, *todo])
                lengths = [len(ids[index]) for index in left]
                todo = [left[part] for part in micro_batches(lengths, max_tokens)]
                continue
            parts.append((batch, logits.float().cpu().numpy()))
    out = np.empty((len(ids), parts[0][1].shape[1] if parts else 0), np.float32)
    for batch, values in parts:
        out[batch] = values
    return out
