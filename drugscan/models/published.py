"""From a published joblib file to a model folder, without executing the file.

Made for the model that the Dutch broadcaster NOS published (`nosdigitalmedia/telegram-drugs-classification`): a
scikit-learn `Pipeline(TfidfVectorizer, MultiOutputClassifier(LogisticRegression))` with ten outputs.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b
from importlib import resources
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors.numpy

from drugscan.models import quarantine, tfidf
from drugscan.models.errors import ModelError
from drugscan.models.vectoriser import Features

NOS_LABELS: Final = (
    "bezorging",
    "bulk",
    "designer",
    "drugsad",
    "geendrugsad",
    "harddrugs",
    "medicijnen",
    "pickup",
    "post",
    "softdrugs",
)
"""The ten outputs of NOS's model, in the order of its model card; the file itself does not name them."""


class _Output(msgspec.Struct, frozen=True):
    bias: float
    factor: int
    constant: float | None


class _Facts(msgspec.Struct, frozen=True):
    """See `pipeline.facts`."""

    settings: dict[str, Any]
    vocabulary: list[str]
    outputs: list[_Output]
    sklearn: str


def import_joblib(
    path: str, out: str, labels: Sequence[str] = (), limits: quarantine.Limits = quarantine.DEFAULT_LIMITS
) -> tfidf.Tfidf:
    """Write the pipeline in a local joblib file (or pickle) to the folder `out` as a model; gives the model.

    `labels` names the outputs in their order; NOS's ten when empty. Raises `ModelError`, which names the file and why.
    """
    try:
        arrays = safetensors.numpy.load(quarantine.run(path, limits))
        facts = msgspec.json.decode(arrays.pop("facts").tobytes(), type=_Facts)
        features = _features(facts.settings)
        named = _labels(labels, len(facts.outputs))
        source = {"file": os.path.basename(path), "blake2b": _digest(path), "scikit-learn": facts.sklearn}
        config = tfidf.TfidfConfig("tfidf", named, features, dict.fromkeys(named, 0.5), source)
        learnt = _learnt(facts.outputs, arrays)
        model = tfidf.Tfidf(config, facts.vocabulary, learnt)
    except (ModelError, KeyError, msgspec.MsgspecError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path} cannot be imported: {error}") from error
    tfidf.save(out, config, facts.vocabulary, learnt)
    return model


def _features(settings: dict[str, Any]) -> Features:
    words = settings["stop_words"]
    # scikit-learn's list (BSD-3-Clause; first collected by the University of Glasgow) is only named in the file
    if words == "english":
        words = (resources.files("drugscan") / "data" / "english_stop_words.txt").read_text().split()
    return msgspec.convert({**settings, "stop_words": words}, type=Features)


def _labels(labels: Sequence[str], outputs: int) -> tuple[str, ...]:
    named = tuple(labels) or NOS_LABELS
    if len(named) != outputs:
        said = f"--labels gives {len(named)}" if labels else f"NOS's model has {len(named)}"
        raise ModelError(f"it has {outputs} outputs, {said}: name them in their order with --labels")
    tfidf.check_labels(named)
    return named


def _learnt(outputs: Sequence[_Output], arrays: dict[str, npt.NDArray[Any]]) -> tfidf.Weights:
    """The outputs side by side; one that is constant has no weights and an infinite bias."""
    columns, bias = [], np.empty(len(outputs), np.float64)
    for number, output in enumerate(outputs):
        column = arrays[f"weights.{number}"] * output.factor
        bias[number] = output.bias * output.factor
        if output.constant is not None:
            column, bias[number] = np.zeros_like(column), np.inf if output.constant else -np.inf
        columns.append(column)
    return tfidf.Weights(arrays.get("idf"), np.stack(columns, axis=1), bias)


def _digest(path: str) -> str:
    whole = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            whole.update(chunk)
    return whole.hexdigest()
