"""What a user can set for a run, in one frozen object that travels whole."""

from dataclasses import dataclass, field
from typing import Final

RANGE_BYTES: Final = 64 * 1024 * 1024
"""Length of a range. Fixed: the cut must not depend on the machine, or a resumed run would read twice."""
SHARD_TEXTS: Final = 20_000
"""Pending texts per shard: 3 % padding left after sorting, and what a killed worker loses."""
DEFAULT_TIMEZONE: Final = "Europe/Amsterdam"


@dataclass(frozen=True)
class Settings:
    """How inputs are read. Fixed when a corpus is made, so that every run over it reads alike."""

    timezone: str = DEFAULT_TIMEZONE
    """IANA zone in which bare times are read and days and months are reported."""
    include_private: bool = False
    """Whether personal, bot and saved-messages chats are read."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column -> their column, for CSV, JSONL and Parquet of no known program."""
    range_bytes: int = RANGE_BYTES
    shard_texts: int = SHARD_TEXTS
