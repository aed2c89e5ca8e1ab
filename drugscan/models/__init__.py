"""Models: what turns texts into label probabilities. A new family is a module with a `load`, and a line in `MODELS`."""

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from drugscan import storage
from drugscan.models import linear
from drugscan.models.linear import ModelError as ModelError


class Model(Protocol):
    """A detector and a categoriser in one."""

    @property
    def model_id(self) -> str:
        """Digest of everything that changes a score."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of `score`: `drugsad` and the eight labels."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least probability at which a label holds, as chosen when the model was trained."""

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Probabilities, shape [texts, labels]; NaN where the categoriser did not look (below the gate)."""


MODELS: Final[dict[str, Callable[[str, bytes], Model]]] = {"linear": linear.load}
"""Family named in a model's config.json -> its loader (folder, content of config.json)."""


def load(name: str = "default") -> Model:
    """The model that ships with drugscan (`default`), or the one in a folder (local or `s3://`)."""
    folder = str(resources.files("drugscan") / "data" / "linear") if name == "default" else name
    path = storage.join(folder, "config.json")
    if not storage.exists(path):
        raise ModelError(f"{name} is no model: it has no config.json; give a folder that `drugscan train` wrote")
    config = storage.read_bytes(path)
    try:
        family = msgspec.json.decode(config, type=dict[str, object]).get("family")
    except msgspec.MsgspecError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if family not in MODELS:
        raise ModelError(f"{name} is of family {family!r}; known are: {', '.join(MODELS)}")
    return MODELS[str(family)](folder, config)
