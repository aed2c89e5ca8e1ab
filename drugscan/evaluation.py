"""How good a model is on labelled texts: accuracy, precision, recall and F1, each with a 95 % interval.

Copies and near-copies of a text are one piece of evidence, so the bootstrap draws groups of them, not texts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from drugscan import storage
from drugscan.models import Model
from drugscan.models.features import feature_text, ngrams
from drugscan.schema import DETECTOR_LABEL, LABELS
from drugscan.text import canonical

DRAWS: Final = 1000
"""Bootstrap resamples; the interval is their 2.5th to 97.5th percentile (Efron 1979)."""
NEAR_DUPLICATE: Final = 0.7
"""Share of common n-grams (Jaccard) from which two texts are one group."""
_SIGNATURE: Final = 24
_Matrix = npt.NDArray[np.bool_]


class Labelled(msgspec.Struct, frozen=True):
    """One labelled text: a line of a JSONL file; other keys of the line are ignored."""

    text: str
    drugsad: bool
    labels: list[str]
    kind: str = ""


class LabelledError(ValueError):
    """A file of labelled texts that cannot be used; the message names file and line."""


def read_labelled(path: str) -> list[Labelled]:
    """The labelled texts of a JSONL file, texts made canonical; raises `LabelledError`."""
    found = []
    for number, line in enumerate(storage.read_bytes(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            labelled = msgspec.json.decode(line, type=Labelled)
        except msgspec.MsgspecError as error:
            raise LabelledError(f"{path}, line {number}: {error}") from error
        unknown = sorted(set(labelled.labels) - set(LABELS))
        if unknown:
            raise LabelledError(f"{path}, line {number}: no such label: {unknown}; they are {', '.join(LABELS)}")
        if labelled.labels and not labelled.drugsad:
            raise LabelledError(
                f"{path}, line {number}: a text that is no ad has no labels, this has {labelled.labels}"
            )
        found.append(msgspec.structs.replace(labelled, text=canonical(labelled.text)))
    if not found:
        raise LabelledError(f"{path} holds no labelled texts; expected a line each with text, drugsad, labels")
    return found


def truth(labelled: Sequence[Labelled]) -> _Matrix:
    """Labels as booleans, shape [texts, 9]: `drugsad` and the eight."""
    return np.array([[each.drugsad, *(label in each.labels for label in LABELS)] for each in labelled], bool)


def decisions(scores: npt.NDArray[np.float32], thresholds: Mapping[str, float]) -> _Matrix:
    """What the scores say at these thresholds, shape [texts, 9]; what was not scored (NaN) does not hold."""
    limits = np.array([thresholds[name] for name in (DETECTOR_LABEL, *LABELS)], np.float32)
    return np.nan_to_num(scores, nan=-1.0) >= limits


def near_duplicate_groups(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number of the group of each text: texts that share most n-grams, and those linked through others, are one group.

    MinHash (Broder 1997) over the hashes of the feature text; candidates share three consecutive values of their
    signatures and count if half of all values agree.
    """
    hashes, owners, _ = ngrams([feature_text(text) for text in texts])
    seeds = np.random.default_rng(7).integers(1, 2**63, _SIGNATURE, dtype=np.uint64) | np.uint64(1)
    signatures = np.zeros((len(texts), _SIGNATURE), np.uint64)
    starts = np.searchsorted(owners[np.argsort(owners, kind="stable")], np.arange(len(texts)))
    ordered = hashes[np.argsort(owners, kind="stable")]
    for column, seed in enumerate(seeds):
        mixed = (ordered * seed) ^ ((ordered * seed) >> np.uint64(29))
        signatures[:, column] = np.minimum.reduceat(mixed, starts) if len(texts) else 0
    return _linked(signatures)


def _linked(signatures: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Union of rows that agree in a band of three values and in `NEAR_DUPLICATE` of all."""
    group = np.arange(len(signatures))

    def root(index: int) -> int:
        while group[index] != index:
            index = int(group[index])
        return index

    for band in range(0, _SIGNATURE, 3):
        seen: dict[bytes, int] = {}
        for index, row in enumerate(signatures[:, band : band + 3]):
            other = seen.setdefault(row.tobytes(), index)
            if other != index and np.mean(signatures[index] == signatures[other]) >= NEAR_DUPLICATE:
                group[max(root(index), root(other))] = min(root(index), root(other))
    return np.array([root(index) for index in range(len(group))], np.int64)


def evaluate(model: Model, labelled: Sequence[Labelled], seed: int = 0) -> dict[str, object]:
    """Figures of the detector over all texts and of the categoriser over the true ads, with 95 % intervals.

    `label_accuracy` is the mean over labels of the share of ads that are right, so 1 - `hamming_loss`. A figure that
    cannot be given (no ads, or never said) is null.
    """
    texts = [each.text for each in labelled]
    right, said = truth(labelled), decisions(model.score(texts), model.thresholds)
    result = figures(right, said)
    intervals = bootstrap(lambda rows: _flat(figures(right[rows], said[rows])), near_duplicate_groups(texts), seed)
    return {**result, "n": len(labelled), "model_id": model.model_id, "intervals": _nested(intervals)}


def figures(right: _Matrix, said: _Matrix) -> dict[str, object]:
    """`detector` and `categoriser` figures from truth and decisions, each of shape [texts, 9]."""
    ads = right[:, 0]
    detector = _binary(right[:, 0], said[:, 0])
    del detector["support"]
    labels = {label: _binary(right[ads, i], said[ads, i]) for i, label in enumerate(LABELS, 1)}
    accuracies = [each["accuracy"] for each in labels.values() if each["accuracy"] is not None]
    scores = [each["f1"] for each in labels.values() if each["f1"] is not None]
    accuracy = float(np.mean(accuracies)) if accuracies else None
    categoriser = {
        "label_accuracy": accuracy,
        "hamming_loss": None if accuracy is None else 1.0 - accuracy,
        "macro_f1": float(np.mean(scores)) if scores else None,
        "per_label": labels,
    }
    return {"detector": detector, "categoriser": categoriser}


def _binary(right: npt.NDArray[np.bool_], said: npt.NDArray[np.bool_]) -> dict[str, float | None]:
    hits, spoken, support = int((right & said).sum()), int(said.sum()), int(right.sum())
    return {
        "accuracy": float((right == said).mean()) if len(right) else None,
        "precision": hits / spoken if spoken else None,
        "recall": hits / support if support else None,
        "f1": 2 * hits / (spoken + support) if spoken + support else None,
        "support": support,
    }


def bootstrap(
    figure: Callable[[npt.NDArray[np.int64]], dict[str, float | None]], groups: npt.NDArray[np.int64], seed: int
) -> dict[str, tuple[float, float] | None]:
    """95 % percentile interval of each figure when groups are drawn with replacement."""
    _, numbers = np.unique(groups, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        rows = np.concatenate([members[group] for group in random.integers(0, len(members), len(members))])
        for name, value in figure(rows).items():
            if value is not None:
                drawn.setdefault(name, []).append(value)
    return {name: tuple(np.percentile(values, [2.5, 97.5]).tolist()) for name, values in drawn.items()}


def _flat(result: Mapping[str, object], prefix: str = "") -> dict[str, float | None]:
    """Figures by dotted name, without counts."""
    flat: dict[str, float | None] = {}
    for name, value in result.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        elif name != "support":
            flat[f"{prefix}{name}"] = value  # type: ignore[assignment]
    return flat


def _nested(flat: Mapping[str, object]) -> dict[str, object]:
    nested: dict[str, object] = {}
    for name, value in flat.items():
        place = nested
        *path, last = name.split(".")
        for step in path:
            place = place.setdefault(step, {})  # type: ignore[assignment]
        place[last] = value
    return nested
