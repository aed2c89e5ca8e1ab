"""Models: what turns texts into label probabilities. A new family is a module with a `load`, and a line in `MODELS`."""

from collections.abc import Mapping, Sequence
from importlib import import_module, resources
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from drugscan import storage
from drugscan.models.errors import ModelError as ModelError


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


MODELS: Final[dict[str, str]] = {
    "linear": "drugscan.models.linear",
    "merged": "drugscan.models.encoder",
}
"""Family named in a model's config.json -> the module with its `load(folder, content of config.json) -> Model`.

Modules by name, not imported: torch is loaded only for a family that needs it.
"""
SHIPPED: Final = {"default": "linear", "fast": "linear"}
"""Names of the models that come with drugscan -> their folders in `drugscan/data`."""


def load(name: str = "default") -> Model:
    """A model that ships with drugscan (see `SHIPPED`), or the one in a folder (local or `s3://`)."""
    folder = str(resources.files("drugscan") / "data" / SHIPPED[name]) if name in SHIPPED else name
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
    model: Model = import_module(MODELS[str(family)]).load(folder, config)
    return model
