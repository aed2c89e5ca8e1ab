"""A cascade (Viola & Jones 2001): the linear pair looks at every text, an encoder at those that may be ads.

Most texts of a chat are plainly no ads, and the linear pair is fifty times faster. Where both looked, their log odds
are added with weights fitted on texts that neither had seen (stacking: Wolpert 1992), which beats either alone.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from drugscan import storage
from drugscan.models import encoder, linear
from drugscan.models.choice import Choice
from drugscan.models.encoder import OUTPUTS, Encoder
from drugscan.models.errors import ModelError
from drugscan.models.linear import LinearPair
from drugscan.models.tokens import Scores, TokenIds, Tokenised

_Floats = npt.NDArray[np.float32]


class CascadeConfig(msgspec.Struct, frozen=True):
    """`config.json` of a cascade."""

    family: str
    first: str
    """Folder of the linear pair, relative to this one."""
    then: str
    """Folder of the merged encoder, relative to this one."""
    gate: float
    """Below this probability of the linear pair a text is no ad, and the encoder is not asked."""
    blend: dict[str, tuple[float, float, float]]
    """Output -> weight of the pair's log odds, weight of the encoder's, and what is added."""
    thresholds: dict[str, float]
    training: dict[str, object] = {}


class Cascade:
    """See `models.Model` and `models.Tokenising`."""

    labels: tuple[str, ...] = OUTPUTS

    def __init__(self, config: CascadeConfig, first: LinearPair, then: Encoder) -> None:
        self.config, self.first, self.then = config, first, then
        self.max_characters = then.max_characters
        self._blend = np.array([config.blend[output] for output in OUTPUTS], np.float32)

    @property
    def model_id(self) -> str:
        """Digest of everything that changes a score."""
        scoring = msgspec.json.encode([self.config.gate, self.config.blend]).decode()
        content = storage.digest(scoring, self.first.model_id, self.then.content_id)
        return self.then.device.model_id(f"cascade-{content[:12]}")

    @property
    def dtype(self) -> str:
        """Precision of the encoder's forward passes."""
        return self.then.dtype

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least probability at which a label holds."""
        return self.config.thresholds

    @property
    def gate(self) -> float:
        """Below this probability of `drugsad` the labels are NaN."""
        return self.config.gate

    def place(self, choice: Choice) -> None:
        """See `models.Tokenising`."""
        self.then.place(choice)

    def start(self, threads: int | None = None) -> None:
        """See `models.Tokenising`."""
        self.then.start(threads)

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """See `models.Tokenising`; the linear pair is asked here, on the CPU."""
        before = self.first.logits(texts).astype(np.float32)
        asked = np.flatnonzero(expit(before[:, 0]) >= self.config.gate)
        read = self.then.tokenise([texts[int(index)] for index in asked])
        truncated = np.zeros(len(texts), bool)
        truncated[asked] = read.truncated
        lengths = np.zeros(len(texts), np.int64)
        lengths[asked] = read.ids.lengths
        return Tokenised(TokenIds(read.ids.flat, np.cumsum(lengths)), truncated, before=before)

    def forward(self, tokenised: Tokenised) -> Scores:
        """See `models.Tokenising`; texts without tokens have the linear pair's word."""
        before = tokenised.before
        assert before is not None
        asked = np.flatnonzero(tokenised.ids.lengths)
        said, padding = self.then.logits(tokenised.ids.take(asked))
        values = np.full(before.shape, np.nan, np.float32)
        # a text that was not asked stays below the gate, also where rounding would lift it
        values[:, 0] = np.minimum(expit(before[:, 0]), np.nextafter(np.float32(self.config.gate), np.float32(0)))
        weights = self._blend
        values[asked] = expit(before[asked] * weights[:, 0] + said * weights[:, 1] + weights[:, 2])
        return Scores(values, len(tokenised.ids.flat), padding)

    def score(self, texts: Sequence[str]) -> _Floats:
        """Probabilities, shape [texts, 9] (`labels`); NaN for the labels of a text that the encoder did not see."""
        return self.forward(self.tokenise(texts)).values


def load(folder: str, config: bytes) -> Cascade:
    """The cascade in a folder, with its two models; raises `ModelError`."""
    try:
        decoded = msgspec.json.decode(config, type=CascadeConfig)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{folder}: not a cascade ({error})") from error
    first, then = (storage.beside(folder, name) for name in (decoded.first, decoded.then))
    read = [storage.read_bytes(storage.join(each, "config.json")) for each in (first, then)]
    return Cascade(decoded, linear.load(first, read[0]), encoder.load(then, read[1]))
