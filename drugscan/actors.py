"""What actors that hold a model do with a row: shards are scored and written, and a small summary goes back.

Rows are small: names on the way in, summaries on the way out. Only the tokens of a shard travel between operators.
A model is loaded with the first row and not in a constructor: Ray gives up a whole run for a worker that dies there.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from drugscan import corpus, models, score
from drugscan.models import Model, ModelError
from drugscan.score import Pending, ShardSummary

Row = dict[str, Any]
SHARD: Final = "shard"
"""A row of scoring: of a shard."""
DONE: Final = "done"
"""The shards of an input row are through; how many they were."""
FAILED: Final = "failed"
"""The rest of an input row could not be read; the summary says why."""
UNUSABLE: Final = "unusable"
"""This worker cannot use the model; why."""


class _OfModel:
    """An actor that loads the model once, with its weights if it scores."""

    scores = True

    def __init__(self, snapshot: bytes, choice: bytes, shard_texts: int) -> None:
        self._snapshot = msgspec.json.decode(snapshot, type=corpus.Snapshot)
        self._choice, self._shard_texts = choice, shard_texts
        self._loaded: Model | ModelError | None = None
        self._lock = threading.Lock()

    def _model(self) -> Model | ModelError:
        """The model; or why it cannot be used, for the driver to tell."""
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._choice, self.scores)
            return self._loaded


def _load(choice: bytes, scores: bool) -> Model | ModelError:
    os.environ["RAYON_NUM_THREADS"] = "1"  # each tokenizer would take every core of the machine
    try:
        model = models.load(msgspec.json.decode(choice, type=models.Choice))
        if scores and isinstance(model, models.Tokenising):
            model.start(1)
    except ModelError as error:
        return error
    return model


def _bucket_by_bucket(
    batch: Row, model: Model | ModelError, shards: Callable[[Pending, Model], Iterable[bytes]]
) -> Iterator[Row]:
    """A row per shard that is made of what is pending of a bucket, and one that says how many they were."""
    for number, row in zip(batch["number"], batch["row"], strict=True):
        if isinstance(model, ModelError):
            yield _row(UNUSABLE, number, str(model).encode())
            continue
        count, pending = 0, msgspec.json.decode(row, type=Pending)
        try:
            for body in shards(pending, model):
                count += 1
                yield _row(SHARD, number, body)
            yield _row(DONE, number, str(count).encode())
        except (OSError, ValueError) as error:
            failed = ShardSummary(pending.bucket, 0, error=str(error))
            yield _row(FAILED, number, msgspec.json.encode(failed))


class Score(_OfModel):
    """An actor that reads, scores and writes all that is pending of a bucket."""

    def __call__(self, batch: Row) -> Iterator[Row]:
        """A row per shard with its summary, and one that says how many they were."""
        return _bucket_by_bucket(batch, self._model(), self._summaries)

    def _summaries(self, pending: Pending, model: Model) -> Iterable[bytes]:
        return map(msgspec.json.encode, score.score_pending(self._snapshot, [pending], model, self._shard_texts))


class Prepare(_OfModel):
    """An actor that reads and tokenises all that is pending of a bucket."""

    scores = False

    def __call__(self, batch: Row) -> Iterator[Row]:
        """A row per shard with its tokens, and one that says how many they were."""
        return _bucket_by_bucket(batch, self._model(), self._tokenised)

    def _tokenised(self, pending: Pending, model: Model) -> Iterable[bytes]:
        return map(pickle.dumps, score.prepare(self._snapshot, pending, model, self._shard_texts))


class Forward(_OfModel):
    """An actor that scores and writes shards that `Prepare` made; everything else it passes on."""

    def __call__(self, batch: Row) -> Iterator[Row]:
        """A row per row."""
        model = self._model()
        for kind, number, body in zip(batch["kind"], batch["number"], batch["body"], strict=True):
            if kind != SHARD:
                yield _row(kind, number, body)
            elif isinstance(model, ModelError):
                yield _row(UNUSABLE, number, str(model).encode())
            else:
                with self._lock:
                    scored = score.forward(pickle.loads(body), model)
                summary = score.commit(self._snapshot.url, model.model_id, scored)
                yield _row(SHARD, number, msgspec.json.encode(summary))


def _row(kind: str, number: int, body: bytes) -> Row:
    """A batch of one row, as the operators of scoring pass them on; `number` is that of the input row."""
    return {"kind": [kind], "number": [number], "body": [body]}
