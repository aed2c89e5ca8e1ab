"""Models for tests: one that knows the truth, and one that fails."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from drugscan.schema import DETECTOR_LABEL, LABELS


class FakeModel:
    """Scores 0.9 for what it was told of a text, 0.1 for everything else; counts what it is asked."""

    labels: tuple[str, ...] = (DETECTOR_LABEL, *LABELS)
    gate = 0.0
    max_characters: int | None = None
    thresholds: Mapping[str, float] = dict.fromkeys((DETECTOR_LABEL, *LABELS), 0.5)

    def __init__(self, known: Mapping[str, Sequence[str]], model_id: str = "fake") -> None:
        self.known = known
        self.model_id = model_id
        self.asked = 0

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += len(texts)
        scores = np.full((len(texts), len(self.labels)), 0.1, np.float32)
        for row, text in enumerate(texts):
            for label in self.known.get(text, ()):
                scores[row, self.labels.index(label)] = 0.9
        return scores


class BrokenModel(FakeModel):
    """Fails on a batch that holds a certain text."""

    def __init__(self, poison: str, model_id: str = "fake") -> None:
        super().__init__({}, model_id)
        self.poison = poison

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if any(self.poison in text for text in texts):
            raise RuntimeError("cannot score this")
        return super().score(texts)
