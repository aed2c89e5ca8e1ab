"""The model card: what a published model does and does not, in the words and figures that belong to it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jinja2

from drugscan import __version__, storage
from drugscan.models import ModelError
from drugscan.models.linear import LinearPair
from drugscan.models.published import NOS_LABELS
from drugscan.schema import DETECTOR_LABEL, LABELS

MEANINGS: Final = {
    "drugsad": "the message itself offers drugs to others, or advertises somebody who does",
    "geendrugsad": "everything else, also when it is full of drug words; 1 minus `drugsad`",
    "softdrugs": "cannabis with THC in every form, paddo's, nitrous oxide, khat",
    "harddrugs": "cocaine, heroin, MDMA, amphetamine, GHB, LSD, 2C-B, DMT, ketamine",
    "designer": "new psychoactive substances, sold under chemical short names (3-MMC, 4-FA, 2-FDCK)",
    "medicijnen": "medicines that need a prescription or a pharmacy",
    "bezorging": "the seller brings it to the buyer",
    "pickup": "the buyer comes for it",
    "post": "sent by mail or parcel",
    "bulk": "large amounts or trade: from 100 g, 100 pieces, a kilo",
}
"""docs/labels.md in a line each; the labels are asked of ads only."""
_E5_WIDTH: Final = 384


@dataclass(frozen=True)
class Asked:
    """What the publisher says of the model."""

    name: str = "OWNER/NAME"
    """Its name on the Hub."""
    licence: str = "other"
    """By the Hub's own short names (`mit`, `cc-by-4.0`); `other`: none is stated."""
    evaluation: str | None = None
    """File with what `drugscan evaluate --json` printed of this model."""


def of_encoder(model: Any, asked: Asked) -> str:  # noqa: ANN401
    """README.md of a merged encoder (`models.encoder.Encoder`); raises `ModelError` as `read_evaluation` does."""
    training = model.config.training
    facts = {
        "labels": NOS_LABELS,
        "base": _base(training, model.config.encoder),
        "max_tokens": model.config.max_tokens,
        "calibrated": bool(model.config.calibration),
    }
    return _rendered(facts | _common(model, training, asked))


def of_linear(model: LinearPair, asked: Asked) -> str:
    """README.md of a linear pair; raises `ModelError` as `read_evaluation` does."""
    facts = {"labels": (DETECTOR_LABEL, *LABELS), "base": None, "gate": model.gate, "calibrated": True}
    return _rendered(facts | _common(model, model.config.training, asked))


def _common(model: Any, training: Mapping[str, Any], asked: Asked) -> dict[str, Any]:  # noqa: ANN401
    evaluation = read_evaluation(asked.evaluation, model.model_id) if asked.evaluation else None
    return {
        "asked": asked,
        "family": model.config.family,
        "model_id": model.model_id,
        "version": __version__,
        "meanings": MEANINGS,
        "thresholds": model.thresholds,
        "training": training,
        "authored": _authored(training),
        "estimates": [_estimate(name, found) for name, found in training.get("estimates", {}).items()],
        "evaluation": evaluation,
        "figures": _figures(evaluation) if evaluation else [],
    }


def _base(training: Mapping[str, Any], encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Name of the pretrained encoder, as far as the record tells, and whether that is multilingual-e5-small."""
    name = str(training.get("options", {}).get("base", "")) or "not recorded"
    e5 = "e5" in re.split(r"[^a-z0-9]+", name.lower()) and encoder.get("hidden_size") == _E5_WIDTH
    return {"name": name, "e5": e5}


def _authored(training: Mapping[str, Any]) -> bool:
    """Whether all training texts are of the project's own files: only of those it is known that they are not real."""
    files = training.get("files", {})
    return bool(files) and all(file.startswith("authored-") for file in files)


def _estimate(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Of one way of leaving texts out: figures over all, and the file that was hardest for the detector."""
    files = {file: each for file, each in found.items() if file != "all"}
    hardest = min(files, key=lambda file: files[file]["detector"], default=None)
    return {"name": name.replace("_", " "), "all": found["all"], "hardest": hardest, "least": files.get(hardest or "")}


def read_evaluation(path: str, model_id: str) -> dict[str, Any]:
    """What `drugscan evaluate --json` printed: its whole output, or its last line; raises `ModelError`."""
    lines = storage.read_bytes(path).strip().splitlines()
    try:
        found = json.loads(lines[-1] if lines and lines[-1].startswith(b"{") else b"\n".join(lines))
        measured = _content(found["model_id"])
        _figures(found)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is not what `drugscan evaluate --json` prints ({error!r}); keep it with: "
            "drugscan evaluate FILE... --model MODEL --json > evaluation.json"
        ) from error
    if measured != _content(model_id):
        raise ModelError(f"{path} tells of the model {found['model_id']}, not of {model_id}; evaluate this one")
    return dict(found)


def _content(model_id: str) -> str:
    """The id without the precision in which the model was run."""
    return model_id.removesuffix("-bfloat16")


def _figures(evaluation: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and 95 % interval of each figure, as they stand in the card."""
    names = [("detector", name) for name in ("accuracy", "precision", "recall", "f1")]
    names += [("categoriser", name) for name in ("label_accuracy", "macro_f1")]
    rows = [(part, name, evaluation[part][name], evaluation["intervals"][part].get(name)) for part, name in names]
    of_labels, around = evaluation["categoriser"]["per_label"], evaluation["intervals"]["categoriser"]["per_label"]
    rows += [(f"`{label}`", "f1", of_labels[label]["f1"], around.get(label, {}).get("f1")) for label in LABELS]
    return [(f"{part} {name.replace('_', ' ')}", _shown(value), _range(pair)) for part, name, value, pair in rows]


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _range(pair: tuple[float | None, float | None] | None) -> str:
    return "none" if pair is None or None in pair else f"{pair[0]:.3f} to {pair[1]:.3f}"


def _rendered(facts: Mapping[str, Any]) -> str:
    source = resources.files("drugscan").joinpath("data", "model_card.md").read_text("utf-8")
    # Markdown, not HTML: nothing of a message stands in a card, and names of files are the publisher's own
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["shown"] = _shown
    return environment.from_string(source).render(facts)
