"""Texts as numbers of tokens, and what a model makes of them: what passes between the two halves of scoring."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TokenIds:
    """The token ids of many texts in two flat arrays, cheap to send; indexable by text."""

    flat: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]
    """Where the ids of each text end in `flat`."""

    @classmethod
    def of(cls, ids: Iterable[Sequence[int]]) -> "TokenIds":
        """From one list of ids per text."""
        parts = [np.asarray(each, np.int32) for each in ids]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int32), *parts]), ends)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text."""
        return np.diff(self.ends, prepend=np.int64(0))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, text: int) -> npt.NDArray[np.int32]:
        return self.flat[self.ends[text - 1] if text else 0 : self.ends[text]]

    def take(self, texts: npt.NDArray[np.int64]) -> "TokenIds":
        """Those of some texts, in that order."""
        return TokenIds.of([self[int(text)] for text in texts])  # type: ignore[misc]


@dataclass(frozen=True)
class Tokenised:
    """Texts as a model reads them."""

    ids: TokenIds
    """Cut to what the model can read; of a pair, what the detector reads."""
    truncated: npt.NDArray[np.bool_]
    """Which texts were cut for the detector or the categoriser."""
    others: TokenIds | None = None
    """What the categoriser of a pair reads, where its tokenizer is another."""
    before: npt.NDArray[np.float32] | None = None
    """What the first model of a cascade said: log odds, shape [texts, labels]. Texts that it settled have no ids."""


@dataclass(frozen=True)
class Scores:
    """What a model said of texts, and what it took."""

    values: npt.NDArray[np.float32]
    """Probabilities, shape [texts, labels]; NaN where the categoriser was not asked."""
    run_tokens: int
    """Tokens that went through a model: those of a text count once for each model that read it."""
    padding: int
    """Tokens of padding that went with them."""
