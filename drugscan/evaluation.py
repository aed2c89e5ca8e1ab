"""How good a model is on labelled texts: figures, calibration, thresholds and errors, with 95 % intervals.

The pieces: `measures` (accuracy and its kin), `calibration`, `resampling` (intervals), `mistakes`; `comparison` sets
two models side by side. This module reads the labelled texts, asks the model and puts the result together.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from drugscan import calibration, measures, mistakes, near_copies, resampling, storage
from drugscan.measures import OUTPUTS
from drugscan.measures import figures as figures
from drugscan.models import Model
from drugscan.resampling import bootstrap as bootstrap
from drugscan.schema import LABELS
from drugscan.text import canonical

_Matrix = npt.NDArray[np.bool_]
_Scores = npt.NDArray[np.float32]


class Labelled(msgspec.Struct, frozen=True):
    """One labelled text: a line of a JSONL file; other keys of the line are ignored."""

    text: str
    drugsad: bool
    labels: list[str]
    kind: str = ""


class LabelledError(ValueError):
    """A file of labelled texts that cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Sample:
    """Labelled texts to measure on."""

    labelled: Sequence[Labelled]
    files: Sequence[str] = ()
    """The file of each text; empty if they came from none."""

    @cached_property
    def right(self) -> _Matrix:
        """`truth` of the texts."""
        return truth(self.labelled)

    @cached_property
    def groups(self) -> npt.NDArray[np.int64]:
        """`near_copies.groups_of` the texts."""
        return near_copies.groups_of([each.text for each in self.labelled])


@dataclass(frozen=True)
class Judged:
    """What a model says of a sample."""

    sample: Sample
    model_id: str
    given: tuple[str, ...]
    """The outputs, of the nine, that the model has."""
    thresholds: Mapping[str, float]
    """Of each given output."""
    scores: _Scores
    """Shape [texts, 9] in the order of `OUTPUTS`; NaN where the model does not give an output or did not look."""
    said: _Matrix
    """`decisions` of the scores."""
    trained_on: tuple[str, ...] = ()
    """Files of the sample that bear the name of a file that the model, by its own record, was trained on."""


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


def read_sample(paths: Sequence[str]) -> Sample:
    """The labelled texts of several JSONL files as one sample; raises `LabelledError`."""
    per_file = [read_labelled(path) for path in paths]
    files = [path for path, file in zip(paths, per_file, strict=True) for _ in file]
    return Sample([each for file in per_file for each in file], files)


def truth(labelled: Sequence[Labelled]) -> _Matrix:
    """Labels as booleans, shape [texts, 9]: `drugsad` and the eight."""
    rows = [[each.drugsad, *(label in each.labels for label in LABELS)] for each in labelled]
    return np.array(rows, bool).reshape(-1, len(OUTPUTS))


def decisions(scores: _Scores, thresholds: Mapping[str, float]) -> _Matrix:
    """What the scores say at these thresholds, shape [texts, 9]; what was not scored (NaN) does not hold.

    An output without a threshold holds for no text.
    """
    limits = np.array([thresholds.get(name, np.inf) for name in OUTPUTS], np.float32)
    return np.nan_to_num(scores, nan=-1.0) >= limits


def judge(model: Model, sample: Sample) -> Judged:
    """Ask a model: its columns are found by name, others than the nine outputs are left aside."""
    raw = model.score([each.text for each in sample.labelled])
    given: tuple[str, ...] = tuple(output for output in OUTPUTS if output in model.labels)
    scores = np.full((len(sample.labelled), len(OUTPUTS)), np.nan, np.float32)
    for output in given:
        scores[:, OUTPUTS.index(output)] = raw[:, model.labels.index(output)]
    thresholds = {output: float(model.thresholds[output]) for output in given}
    said = decisions(scores, thresholds)
    return Judged(sample, model.model_id, given, thresholds, scores, said, _trained_on(model, sample))


def _trained_on(model: Model, sample: Sample) -> tuple[str, ...]:
    """Files of the sample whose names stand in the training record of the model, if it keeps one."""
    record = getattr(getattr(model, "config", None), "training", None)
    names = record.get("files", ()) if isinstance(record, dict) else ()
    return tuple(file for file in dict.fromkeys(sample.files) if file.rsplit("/", 1)[-1] in names)


def evaluate(model: Model, labelled: Sequence[Labelled], seed: int = 0) -> dict[str, Any]:
    """Figures of the detector over all texts and of the categoriser over the true ads; see `measure`."""
    return measure(judge(model, Sample(labelled)), seed)


def measure(judged: Judged, seed: int = 0) -> dict[str, Any]:
    """Everything that is known of a model on a sample, ready for JSON.

    `detector` and `categoriser` (see `measures.figures`), `calibration` per output, `intervals` of all of these; n,
    ads, groups (of near-copies), model_id, thresholds, trained_on (files that the model has seen), `curves` per output,
    `kinds` and `files` (see `mistakes.by_name`; files only of several) and `worst` errors. What cannot be given is
    null.
    """
    sample, right, given = judged.sample, judged.sample.right, judged.given
    sums = calibration.bin_sums(right, judged.scores)
    intervals = _intervals(judged, sums, seed)
    calibrated = calibration.calibration(sums.sum(axis=0), intervals, calibration.chance(right, judged.scores))
    kinds = [each.kind or "no kind given" for each in sample.labelled]
    several = len(set(sample.files)) > 1
    return {
        **figures(right, judged.said, given),
        "n": len(sample.labelled),
        "model_id": judged.model_id,
        "intervals": measures.nested({name: each for name, each in intervals.items() if not name.startswith("bins.")}),
        "ads": int(right[:, 0].sum()),
        "groups": len(np.unique(sample.groups)),
        "thresholds": dict(judged.thresholds),
        "calibration": calibrated,
        "curves": curves(judged),
        "kinds": mistakes.by_name(kinds, right, judged.said, given),
        "files": mistakes.by_name(sample.files, right, judged.said, given) if several else {},
        "trained_on": list(judged.trained_on),
        "worst": mistakes.worst([each.text for each in sample.labelled], right, judged.said, judged.scores, given),
    }


def curves(judged: Judged) -> dict[str, Any]:
    """`measures.curve` of each output that the model gives: the detector over all texts, labels over the ads."""
    counted = measures.asked(judged.sample.right)
    found: dict[str, Any] = dict.fromkeys(OUTPUTS)
    for output in judged.given:
        column = OUTPUTS.index(output)
        rows = counted[:, column]
        found[output] = measures.curve(judged.sample.right[rows, column], judged.scores[rows, column])
    return found


def tallies(judged: Judged, among: Collection[str]) -> npt.NDArray[np.float64]:
    """Counts of each text (see `measures.tallies`) for the given outputs that are also `among` these."""
    return measures.tallies(judged.sample.right, judged.said, set(judged.given) & set(among))


def _intervals(judged: Judged, sums: npt.NDArray[np.float64], seed: int) -> dict[str, resampling.Interval]:
    """Of every figure and of every rate of a reliability bin, by dotted name; one set of draws for all."""
    parts = np.concatenate([tallies(judged, OUTPUTS), sums], axis=-1)
    drawn = resampling.drawn_sums(parts, judged.sample.groups, seed)
    values = measures.summed(drawn[..., : measures.COUNTS]) | calibration.errors(drawn[..., measures.COUNTS :])
    return resampling.intervals(values)
