"""Models: what turns texts into label probabilities. A new family is a module with a `load`, and a line in `MODELS`."""

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module, resources
from typing import Any, Final, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from drugscan import storage
from drugscan.models import hub
from drugscan.models.choice import Choice as Choice
from drugscan.models.errors import ModelError as ModelError
from drugscan.models.tokens import Scores, Tokenised


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

    @property
    def gate(self) -> float:
        """Probability of `drugsad` below which the labels are NaN; a threshold below it has no meaning."""

    @property
    def max_characters(self) -> int | None:
        """What is behind this many characters of a text is not looked at; null = all is."""

    def score(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Probabilities, shape [texts, labels]; NaN where the categoriser did not look (below the gate)."""


@runtime_checkable
class Tokenising(Protocol):
    """What a `Model` on torch has beside: scoring in two halves, so that texts are tokenised while the device runs."""

    @property
    def dtype(self) -> str:
        """Precision of the forward passes; the last part of `model_id` unless it is `float32`."""

    def place(self, choice: Choice) -> None:
        """Where and in what precision to run; comes before everything else. No weights are loaded by it.

        Raises `ModelError` when the budget of tokens is below the longest text.
        """

    def start(self, threads: int | None = None) -> None:
        """Load the weights, and use so many CPU threads; raises `ModelError` when the device is not there."""

    def tokenise(self, texts: Sequence[str]) -> Tokenised:
        """The first half, on a CPU, without the weights."""

    def forward(self, tokenised: Tokenised) -> Scores:
        """The second half; the weights are loaded at the first call."""


MODELS: Final[dict[str, str]] = {
    "linear": "drugscan.models.linear",
    "merged": "drugscan.models.encoder",
    "cascade": "drugscan.models.cascade",
    "huggingface": "drugscan.models.huggingface",
    "tfidf": "drugscan.models.tfidf",
}
"""Family named in a model's config.json -> the module with its `load(folder, content of config.json) -> Model`.

Modules by name, not imported: torch is loaded only for a family that needs it. A config.json that names no family but
a `model_type`, as transformers writes it, is of the family `huggingface`.
"""
SHIPPED: Final = {"default": "cascade", "fast": "linear", "accurate": "small"}
"""Names of the models that come with drugscan -> their folders in `drugscan/data`."""


def load(choice: Choice | str = "default") -> Model:
    """The model that is meant: shipped (see `SHIPPED`), in a folder (local or `s3://`), or on the Hugging Face Hub."""
    if isinstance(choice, str):
        choice = Choice(choice)
    model: Model = _pair(choice) if choice.detector or choice.categoriser else _single(choice)
    if isinstance(model, Tokenising):
        model.place(choice)
    if choice.model_id not in (None, model.model_id):
        raise ModelError(
            f"the model here ({model.model_id}) is not the one that was chosen ({choice.model_id}); "
            "every machine must have the same files: name a Hub model as NAME@REVISION, or use a shared folder"
        )
    return model


def ready(choice: Choice | str = "default") -> Model:
    """As `load`, with its weights, so that a model that cannot run here says so before it is asked (`ModelError`)."""
    model = load(choice)
    if isinstance(model, Tokenising):
        model.start()
    return model


def settled(choice: Choice, scored: Collection[str]) -> Choice:
    """The choice with its precision and model id fixed, for every worker alike.

    A precision is chosen once per corpus: that of the scores it has (`scored`: ids of models), else the faster one.
    """
    model = load(choice)
    dtype = model.dtype if isinstance(model, Tokenising) else None
    if dtype and choice.dtype is None:
        other = "bfloat16" if dtype == "float32" else "float32"
        changed = msgspec.structs.replace(choice, dtype=other)
        if model.model_id not in scored and (there := load(changed)).model_id in scored:
            model, dtype = there, other
    return msgspec.structs.replace(choice, dtype=dtype, model_id=model.model_id)


def _pair(choice: Choice) -> Any:  # noqa: ANN401
    if not (choice.detector and choice.categoriser):
        raise ModelError("a pair is a detector and a categoriser: give both --detector and --categoriser")
    module = import_module(MODELS["huggingface"])
    return module.load_pair(choice.detector, choice.categoriser, choice.labels)


def _single(choice: Choice) -> Any:  # noqa: ANN401
    folder = folder_of(choice.model)
    path = storage.join(folder, "config.json")
    config = storage.read_bytes(path)
    try:
        content = msgspec.json.decode(config, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    family = content.get("family", "huggingface" if "model_type" in content or "architectures" in content else None)
    if family not in MODELS:
        raise ModelError(f"{choice.model} is of family {family!r}; known are: {', '.join(MODELS)}")
    module = import_module(MODELS[str(family)])
    if family == "huggingface":
        return module.load(folder, config, choice.labels)
    if choice.labels:
        raise ModelError(f"{choice.model} has our labels; --labels is for Hugging Face classifiers")
    return module.load(folder, config)


def folder_of(name: str) -> str:
    """The folder (local or `s3://`) of a model: shipped, its own, or a copy from the Hub. Raises `ModelError`."""
    if name in SHIPPED:
        return str(resources.files("drugscan") / "data" / SHIPPED[name])
    if storage.exists(storage.join(name, "config.json")):
        return name
    if hub.is_name(name) and not storage.exists(name):
        return hub.local_folder(name)
    raise ModelError(
        f"{name} is no model: it has no config.json; give a folder that `drugscan train` wrote, "
        "or a Hugging Face classifier (a folder, or OWNER/NAME on the Hub)"
    )
