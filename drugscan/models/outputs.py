"""What the outputs of a Hugging Face classifier mean: which of our labels each is, and how it becomes a probability."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from drugscan.models.errors import ModelError
from drugscan.schema import DETECTOR_LABEL, LABELS

OURS: Final = (DETECTOR_LABEL, *LABELS)
NOT_AN_AD: Final = "geendrugsad"
"""NOS's name for 1 minus `drugsad`: an output that models beside ours may have, and that nothing is asked of."""
Named = Sequence[tuple[str, str]]
"""(their name of an output, our name of it or "" to leave it out); see `models.Choice.labels`."""


class Outputs(msgspec.Struct, frozen=True):
    """The outputs of one classifier."""

    labels: tuple[str, ...]
    """Our labels that are wanted of it."""
    columns: tuple[int, ...]
    """The output of each."""
    activation: Literal["sigmoid", "softmax"]

    def probabilities(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probability of each of `labels`, shape [texts, labels], from logits of shape [texts, outputs]."""
        every = expit(logits) if self.activation == "sigmoid" else softmax(logits, axis=1)
        return every[:, list(self.columns)].astype(np.float32)  # type: ignore[no-any-return]


def read(name: str, config: Mapping[str, Any], wanted: Sequence[str], named: Named) -> Outputs:
    """The outputs of the classifier `name` by the `id2label` of its configuration and what the user says of them.

    An output that is none of ours is refused, except `NOT_AN_AD` and what stands beside a detector's `drugsad`. Raises
    `ModelError`, which tells what was found and what is expected.
    """
    theirs = their_names(config)
    said = {their: our for their, our in named if our in wanted or not our}
    ours = [said.get(their, their.strip().lower()) for their in theirs]
    missing = [label for label in wanted if ours.count(label) != 1]
    unknown = [] if tuple(wanted) == (DETECTOR_LABEL,) else [t for t, o in zip(theirs, ours, strict=True) if _odd(o)]
    if missing or unknown:
        wrong = f"no single output for {', '.join(missing)}" if missing else f"unknown outputs {', '.join(unknown)}"
        raise ModelError(
            f"{name}: {wrong}. Its outputs are {', '.join(theirs)}; expected are {', '.join(wanted)}. "
            "Say which is which with --labels THEIRS=OURS,... (THEIRS= leaves an output out)"
        )
    return Outputs(tuple(wanted), tuple(ours.index(label) for label in wanted), _activation(name, config, len(theirs)))


def their_names(config: Mapping[str, Any]) -> list[str]:
    """The model's own names of its outputs, in their order."""
    names = config["id2label"]
    return [str(names[index]) for index in sorted(names, key=int)]


def check_named(named: Named, found: Sequence[str]) -> None:
    """Raises `ModelError` when a name that the user gave is none of the outputs that were found, or none of ours."""
    for their, our in named:
        if their not in found:
            raise ModelError(f"--labels: there is no output {their}; there are {', '.join(found)}")
        if our and our not in OURS:
            raise ModelError(f"--labels: {our} is none of our labels; they are {', '.join(OURS)}")


def _odd(ours: str) -> bool:
    return bool(ours) and ours not in (*OURS, NOT_AN_AD)


def _activation(name: str, config: Mapping[str, Any], count: int) -> Literal["sigmoid", "softmax"]:
    """`problem_type` decides; without it two outputs exclude each other, and one or many are asked each by itself."""
    problem = config.get("problem_type")
    if problem == "regression":
        raise ModelError(f"{name} gives numbers, not probabilities (its problem_type is regression)")
    if problem == "single_label_classification" and count > 1:
        return "softmax"
    return "softmax" if problem is None and count == 2 else "sigmoid"
