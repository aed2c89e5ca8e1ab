"""What a worker without state does with a row: files are written, and a small summary goes back."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from drugscan import aggregate, ingest, stages
from drugscan.aggregate import BucketSummary, Work
from drugscan.ingest import Destination, RangeSummary
from drugscan.schema import Range
from drugscan.settings import Settings
from drugscan.stages import FilePlan
from drugscan.versions import SliceSummary


class Each:
    """A stateless task: a function from a row to summaries, which go to the driver as JSON."""

    def __init__(self, function: Callable[[bytes], Iterable[msgspec.Struct]]) -> None:
        self._function = function

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Summaries of a batch with the column `row`, a batch each with the column `summary`."""
        for row in batch["row"]:
            for summary in self._function(row):
                yield {"summary": [msgspec.json.encode(summary)]}


def plan_file(settings: Settings, row: bytes) -> list[FilePlan]:
    """The ranges of the file that the row names."""
    return [stages.plan_file(row.decode(), settings)]


def ingest_range(to: Destination, row: bytes) -> Iterator[RangeSummary]:
    """Read the range in the row (JSON)."""
    return ingest.ingest_range(msgspec.json.decode(row, type=Range), to)


def find_losers(work: Work, row: bytes) -> list[SliceSummary]:
    """See `aggregate.find_losers`; the row is the number of a slice."""
    try:
        return [aggregate.find_losers(work, int(row))]
    except Exception as error:  # Ray would try again and then drop it without a word
        return [SliceSummary(int(row), error=_reason(error))]


def count_bucket(work: Work, row: bytes) -> list[BucketSummary]:
    """See `aggregate.count_bucket`; the row is the number of a bucket."""
    try:
        return [aggregate.count_bucket(work, int(row))]
    except Exception as error:  # as above
        return [BucketSummary(int(row), error=_reason(error))]


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {error}"


def numbers(count: int) -> list[bytes]:
    """Rows that name slices or buckets."""
    return [str(number).encode() for number in range(count)]
