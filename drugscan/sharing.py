"""Models for others: a plain Hugging Face folder that loads without drugscan, with a model card."""

import json
import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

from drugscan import card, models, storage
from drugscan.models import ModelError
from drugscan.models.cascade import Cascade
from drugscan.models.choice import Choice
from drugscan.models.encoder import OUTPUTS, Encoder, module_of
from drugscan.models.features import FOLDING_VERSION
from drugscan.models.folding import with_folding
from drugscan.models.linear import LinearPair
from drugscan.models.outputs import NOT_AN_AD
from drugscan.models.published import NOS_LABELS
from drugscan.pretrained import Network
from drugscan.schema import DETECTOR_LABEL

_FAST: Final[Any] = transformers.PreTrainedTokenizerFast
SPECIAL: Final = {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>"}


def publish(name: str, out: str, asked: card.Asked) -> list[str]:
    """Write a model and its card to the new local folder `out`; the names of the files in it.

    A merged encoder becomes a Hugging Face classifier with NOS's ten outputs. A linear pair keeps its own two files:
    no other program can run it, but `--model OWNER/NAME` finds it on the Hub. A cascade (two models), and what came
    from elsewhere, raise `ModelError`.
    """
    model = models.load(Choice(name, dtype="float32"))
    if os.path.isdir(out) and os.listdir(out):
        raise ModelError(f"{out} is not empty; give a new folder")
    if isinstance(model, Encoder):
        text = card.of_encoder(model, asked)
        write_merged(out, model)
    elif isinstance(model, LinearPair):
        text = card.of_linear(model, asked)
        for file in ("model.safetensors", "config.json"):
            storage.write_bytes(storage.join(out, file), storage.read_bytes(storage.join(models.folder_of(name), file)))
    elif isinstance(model, Cascade):
        raise ModelError(
            f"{name} is a cascade of {model.config.first} and {model.config.then}; publish these two apart"
        )
    else:
        raise ModelError(f"{name} was not trained by drugscan: publish the folder or file that it came from, as it is")
    storage.write_bytes(storage.join(out, "README.md"), text.encode())
    return sorted(os.listdir(out))


def write_merged(folder: str, model: Encoder) -> None:
    """A merged encoder as a classifier with the ten outputs of `NOS_LABELS`, float32.

    Calibration is folded into the classifier, so that the sigmoid of a logit is the probability that drugscan gives;
    thresholds stand in config.json under `drugscan`, where `models.huggingface` finds them.
    """
    arrays = dict(model.arrays)
    weights, bias = _calibrated_classifier(model)
    rows = [OUTPUTS.index(DETECTOR_LABEL if label == NOT_AN_AD else label) for label in NOS_LABELS]
    signs = np.array([-1 if label == NOT_AN_AD else 1 for label in NOS_LABELS], np.float32)
    arrays["classifier.weight"], arrays["classifier.bias"] = weights[rows] * signs[:, None], bias[rows] * signs
    names = {"id2label": dict(enumerate(NOS_LABELS)), "label2id": {n: i for i, n in enumerate(NOS_LABELS)}}
    others = {key: value for key, value in model.config.encoder.items() if key != "num_labels"}
    module = module_of({**others, **names, "problem_type": "multi_label_classification"})
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    module.config.drugscan = {"thresholds": dict(model.thresholds), "model_id": model.model_id}
    write_folder(folder, Network(module, model.tokenizer), NOS_LABELS, model.config.max_tokens)


def _calibrated_classifier(model: Encoder) -> tuple[Any, Any]:
    """Weights [9, hidden] and bias [9] of the classifier with slope and shift of each output in them; float32."""
    pairs = [model.config.calibration.get(name, (1.0, 0.0)) for name in OUTPUTS]
    slopes, shifts = np.array(pairs, np.float32).T
    return model.arrays["classifier.weight"] * slopes[:, None], model.arrays["classifier.bias"] * slopes + shifts


def write_folder(folder: str, network: Network, labels: Sequence[str], max_tokens: int) -> None:
    """Weights, configuration and tokenizer as `AutoModelForSequenceClassification` loads them.

    `labels` name the outputs; `max_tokens` is the longest text that the network was trained on. The tokenizer folds as
    far as a tokenizer can (`models.folding`).
    """
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    module = network.module
    # what `models.huggingface` reads to fold texts as in training
    module.config.drugscan = {**getattr(module.config, "drugscan", {}), "folding_version": FOLDING_VERSION}
    module.config.id2label = dict(enumerate(labels))
    module.config.label2id = {label: number for number, label in enumerate(labels)}
    module.save_pretrained(folder)
    fast = _FAST(
        tokenizer_object=with_folding(network.tokenizer),
        model_max_length=min(max_tokens, int(module.config.max_position_embeddings)),
        **_special_tokens(network.tokenizer, network.pad),
    )
    fast.save_pretrained(folder)
    _name_for_all_versions(storage.join(folder, "tokenizer_config.json"))


def _name_for_all_versions(path: str) -> None:
    """Transformers 5 writes its own new name of the class; both 4 and 5 know the old one."""
    content = json.loads(storage.read_bytes(path))
    content["tokenizer_class"] = "PreTrainedTokenizerFast"
    storage.write_bytes(path, json.dumps(content, indent=1).encode())


def _special_tokens(tokenizer: Tokenizer, pad: int) -> dict[str, str]:
    """The names of the special pieces that there are."""
    found = {role: piece for role, piece in SPECIAL.items() if tokenizer.token_to_id(piece) is not None}
    return found | {"pad_token": str(tokenizer.id_to_token(pad))}
