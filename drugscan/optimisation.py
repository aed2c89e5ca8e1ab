"""What a step of training does: the loss, how fast weights move, and their average over the steps."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

HEAD_RATE: Final = 1e-3
DETECTOR_WEIGHT: Final = 4.0
"""The detector's loss counts as half of the eight labels' together: it is asked of every text."""
AVERAGING: Final = 0.999
"""Weight of what was, at every step, in the average of the weights over the steps that is the trained network."""


def merged_loss(
    logits: torch.Tensor, targets: torch.Tensor, ads: torch.Tensor, weights: torch.Tensor, outputs: Sequence[int]
) -> torch.Tensor:
    """Cross entropy of the detector over all texts plus that of the labels over the ads; all of shape [texts, outputs].

    `ads` (shape [texts]) says how much of an ad each text is; `weights` (shape [outputs]) is that of positives.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none", pos_weight=weights)
    first = 1 if 0 in outputs else 0
    detector = DETECTOR_WEIGHT * losses[:, :first].mean() if first else losses.new_zeros(())
    labels = (losses[:, first:] * ads[:, None]).sum() / ads.sum().clamp(min=1.0)
    return detector + labels


def class_weights(targets: npt.NDArray[np.float32]) -> torch.Tensor:
    """How much a positive of each output counts: the root of negatives to positives, from 1 to 4; shape [outputs]."""
    positive = np.maximum((targets > 0.5).mean(axis=0), 1e-3)
    return torch.from_numpy(np.clip(np.sqrt((1 - positive) / positive), 1.0, 4.0).astype(np.float32))


def averaging(averaged: torch.Tensor, now: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
    """Exponential moving average of a weight (Polyak & Juditsky 1992); of few steps it averages the last ones."""
    kept = min(AVERAGING, (1 + int(steps)) / (10 + int(steps)))
    return torch.lerp(averaged, now, 1 - kept)


def optimiser(
    module: torch.nn.Module, rate: float, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW with a short warm-up and a linear way down; the new head learns faster than the encoder."""
    head = [value for name, value in module.named_parameters() if name.startswith("classifier")]
    body = [value for name, value in module.named_parameters() if not name.startswith("classifier")]
    groups = [{"params": body, "lr": rate}, {"params": head, "lr": HEAD_RATE}]
    warm = max(1, steps // 12)

    def factor(step: int) -> float:
        return min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))

    adam = torch.optim.AdamW(groups, weight_decay=0.01)
    return adam, torch.optim.lr_scheduler.LambdaLR(adam, factor)
