"""The table of docs/reliability.md, written from what the tests counted."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.faults.trial import Row

BEGIN: Final = "<!-- written by `make faults`: begin -->"
END: Final = "<!-- written by `make faults`: end -->"
_HEAD: Final = """\
| fault | what was done | runs | seconds, undisturbed | seconds, all runs | ranges / shards again | lost | doubled |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"""


def write(document: Path, rows: list[Row]) -> None:
    """Replace the table between the marks; date and machine stand above it."""
    text = document.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    when = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}."
    lines = "\n".join(_line(row) for row in rows)
    document.write_text(f"{before}{BEGIN}\n{when}\n\n{_HEAD}\n{lines}\n{END}{after}")


def _line(row: Row) -> str:
    again = f"{row.ranges_again} / {row.shards_again}"
    times = f"{row.undisturbed_seconds:.0f} | {row.seconds:.0f}"
    return f"| {row.fault} | {row.done} | {row.runs} | {times} | {again} | {row.lost} | {row.doubled} |"


def _processor() -> str:
    """The name that the kernel gives the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
