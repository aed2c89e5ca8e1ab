"""What a message costs as a corpus grows: CPU seconds, memory, files and bytes of every stage, and a line through them.

    python benchmarks/scale.py [--messages 100000 --messages 300000 --messages 1000000] [--large] [--workers 2]

Without --workers each stage is one process without Ray: its CPU seconds and memory are those of the work itself. With
it the stages run on Ray, and the peak (PSS) of the largest worker and of the driver are told apart. A card for people
comes first, one JSON object is the last line, and the results are kept in benchmarks/results with hardware and date.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from drugscan import __version__, corpus, demo, inputs, stages
from drugscan.settings import Settings

HERE = Path(__file__).parent
DRUGSCAN = [sys.executable, "-m", "drugscan.cli"]
STAGES = ("plan", "ingest", "score", "stats", "compact")
LARGE = 10_000_000
TARGET = 1_000_000_000


class Watch:
    """CPU seconds and peak memory (PSS, bytes) of the processes below one, by kind: driver, worker, ray."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu: dict[int, float] = {}
        self.peak: Counter[str] = Counter()

    def look(self) -> None:
        """One look; processes that are gone keep the CPU seconds of the last one."""
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                spent, memory = process.cpu_times(), process.memory_full_info().pss
                name = process.cmdline()[0] if process.cmdline() else ""
            except psutil.Error:
                continue
            self._cpu[process.pid] = spent.user + spent.system
            kind = "driver" if process == self._root else "worker" if name.startswith("ray::") else "ray"
            self.peak[kind] = max(self.peak[kind], memory)

    def cpu_of_others(self) -> float:
        """CPU seconds of all processes but the driver, as far as they were seen."""
        return sum(spent for pid, spent in self._cpu.items() if pid != self._root.pid)


@contextmanager
def watching(pid: int) -> Iterator[Watch]:
    """Look at a process and all below it twice a second."""
    watch, done = Watch(pid), threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            try:
                watch.look()
            except psutil.Error:
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield watch
    finally:
        done.set()
        watcher.join()


def run(command: list[str], log: Path) -> dict[str, float]:
    """Run a command: CPU and wall seconds, peak bytes of the driver and of the largest worker."""
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    with watching(process.pid) as watch:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return {
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime + watch.cpu_of_others(), 2),
        "wall_seconds": round(time.perf_counter() - started, 1),
        "driver_mb": round(watch.peak["driver"] / 1e6),
        "worker_mb": round(watch.peak["worker"] / 1e6),
    }


def plan(exports: Path) -> dict[str, float]:
    """The same figures for planning alone, in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    sources, _ = inputs.find_sources([str(exports)])
    ranges = sum(len(stages.plan_file(source, Settings()).ranges) for source in sources)
    spent = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    return {name: round(value, 2) for name, value in spent.items()} | {"ranges": ranges}


def stored(url: Path) -> dict[str, dict[str, int]]:
    """Files and bytes by folder of the corpus."""
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path in url.rglob("*.*"):
        if path.is_file():
            folder = path.relative_to(url).parts[0]
            files[folder] += 1
            sizes[folder] += path.stat().st_size
    return {folder: {"files": files[folder], "bytes": sizes[folder]} for folder in sorted(files)}


def measure(messages: int, workers: int | None, folder: Path) -> dict[str, Any]:
    """Every stage of one scan of a new demo, one after the other."""
    out, log = folder / str(messages), folder / "log"
    summary = demo.generate(demo.DemoOptions(messages, str(out)))
    url, exports = out / "corpus", out / "exports"
    where = ["--workers", str(workers)] if workers else ["--local"]
    told = ["--corpus", str(url), *where, "--quiet"]
    figures: dict[str, Any] = {"plan": plan(exports)}
    figures["ingest"] = run([*DRUGSCAN, "ingest", str(exports), *told], log)
    figures["score"] = run([*DRUGSCAN, "score", "--model", "fast", *told], log)
    figures["stats"] = run([*DRUGSCAN, "stats", "--model", "fast", *told], log)
    before = stored(url)
    figures["compact"] = run([*DRUGSCAN, "compact", str(url), "--quiet"], log)
    snapshot = corpus.snapshot(str(url))
    return {
        "messages": messages,
        "texts": summary.texts,
        "ads": summary.ads,
        "input_bytes": summary.bytes,
        "ranges": len(snapshot.ranges()),
        "buckets": snapshot.buckets,
        "stages": figures,
        "stored": before,
        "message_files_after_compact": len(snapshot.messages),
        "key_files_after_compact": len(snapshot.keys),
    }


def fitted(results: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """CPU seconds of each stage as a + b x messages, by least squares; and what that makes of `TARGET`."""
    counts = np.array([result["messages"] for result in results], float)
    lines = {}
    for stage in STAGES:
        spent = np.array([result["stages"][stage]["cpu_seconds"] for result in results])
        slope, start = np.polyfit(counts, spent, 1) if len(results) > 1 else (spent[0] / counts[0], 0.0)
        lines[stage] = {
            "start_seconds": round(float(start), 2),
            "microseconds_per_message": round(float(slope) * 1e6, 2),
            "cpu_hours_at_target": round(float(start + slope * TARGET) / 3600, 1),
        }
    return lines


def card(result: dict[str, Any]) -> str:
    """A result for people."""
    lines = [f"{result['messages']:,} messages, {result['ranges']} ranges, {result['buckets']} buckets"]
    for stage, figures in result["stages"].items():
        each = figures["cpu_seconds"] / result["messages"] * 1e6
        memory = f"driver {figures['driver_mb']:,} MB, worker {figures['worker_mb']:,} MB" if stage != "plan" else ""
        lines.append(f"  {stage:<8}{figures['cpu_seconds']:>8.1f} CPU s {each:>7.1f} µs/message   {memory}")
    stored_mb = ", ".join(
        f"{name} {each['bytes'] / 1e6:.1f} ({each['files']})" for name, each in result["stored"].items()
    )
    return "\n".join([*lines, f"  MB (files): {stored_mb}"])


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, action="append")
    parser.add_argument("--large", action="store_true", help=f"also {LARGE:,} messages")
    parser.add_argument("--workers", type=int, help="on Ray, with so many workers")
    arguments = parser.parse_args()
    sizes = [*(arguments.messages or [100_000, 300_000, 1_000_000]), *([LARGE] if arguments.large else [])]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DRUGSCAN_KEY_FILE"] = f"{folder}/key"
        for messages in sizes:
            results.append(measure(messages, arguments.workers, Path(folder)))
            print(card(results[-1]), flush=True)
    whole = {
        "benchmark": "scale",
        "date": datetime.now(UTC).date().isoformat(),
        "drugscan": __version__,
        "hardware": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "memory_gb": psutil.virtual_memory().total // 2**30,
        },
        "workers": arguments.workers,
        "results": results,
        "fitted": fitted(results),
    }
    for stage, line in whole["fitted"].items():
        print(f"{stage:<8}{line['start_seconds']:>6.1f} s + {line['microseconds_per_message']:>6.1f} µs per message")
    name = f"scale-{whole['date']}{'-ray' if arguments.workers else ''}.json"
    (HERE / "results" / name).write_text(json.dumps(whole, indent=1) + "\n")
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
