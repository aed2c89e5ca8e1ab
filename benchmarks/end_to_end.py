"""How many messages a second, end to end and per stage, beside what one would write by hand on the same files.

    python benchmarks/end_to_end.py [--messages 100000 --messages 1000000] [--rounds 3]

By hand: json.load, pandas, scikit-learn's predict with a pair trained on the same messages, groupby; see by_hand.py.
The two are alternated in one run; a card for people comes first, one JSON object is the last line, and the results
are kept in benchmarks/results with hardware and date.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from drugscan import __version__, demo

HERE = Path(__file__).parent
DRUGSCAN = [sys.executable, "-m", "drugscan.cli"]


def watched(command: list[str], log: Path) -> dict[str, Any]:
    """Run a command; seconds, peak memory of its whole process tree (PSS, bytes), and what it wrote."""
    started = time.perf_counter()
    with log.open("w") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True)
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            total = 0
            for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
                try:
                    total += each.memory_full_info().pss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total)

    def watch_quietly() -> None:
        try:
            watch()
        except psutil.NoSuchProcess:
            return

    watcher = threading.Thread(target=watch_quietly)
    watcher.start()
    out, _ = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return {"seconds": time.perf_counter() - started, "peak_bytes": peak[0], "out": out, "err": log.read_text()}


def ours(exports: Path, folder: Path) -> dict[str, Any]:
    """One whole `drugscan scan` with seconds per stage, as it says them itself."""
    corpus = folder / f"corpus-{time.monotonic_ns()}"
    # the kind of model that the peer uses, too
    command = [*DRUGSCAN, "scan", str(exports), "--corpus", str(corpus), "--model", "fast", "--json"]
    run = watched(command, folder / "log")
    result = json.loads(run["out"].splitlines()[-1])
    stages = {}
    for line in run["err"].splitlines():
        stage, _, rest = line.partition(": done")
        if rest:
            stages[stage] = int(rest.rsplit("(", 1)[1].split(" ")[0])
    return {
        "seconds": run["seconds"],
        "peak_bytes": run["peak_bytes"],
        "stages": stages,
        "ads": result["ledger"]["listings"],
    }


def by_hand(exports: Path, folder: Path) -> dict[str, Any]:
    """The peer, in a process of its own: benchmarks/by_hand.py."""
    run = watched([sys.executable, str(HERE / "by_hand.py"), str(exports)], folder / "log")
    return {
        "seconds": run["seconds"],
        "peak_bytes": run["peak_bytes"],
        "ads": json.loads(run["out"].splitlines()[-1])["ads"],
    }


def measure(messages: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Both, alternated; medians of the rounds."""
    out = folder / str(messages)
    summary = demo.generate(demo.DemoOptions(messages, str(out)))
    runs: dict[str, list[dict[str, Any]]] = {"drugscan": [], "by_hand": []}
    for _ in range(rounds):
        runs["by_hand"].append(by_hand(out / "exports", folder))
        runs["drugscan"].append(ours(out / "exports", folder))
    result: dict[str, Any] = {"messages": messages, "distinct_rate": summary.distinct_rate, "bytes": summary.bytes}
    for name, each in runs.items():
        seconds = statistics.median(run["seconds"] for run in each)
        result[name] = {
            "seconds": round(seconds, 1),
            "messages_per_second": round(messages / seconds),
            "peak_mb": round(max(run["peak_bytes"] for run in each) / 1e6),
            "ads": each[0]["ads"],
        }
    result["drugscan"]["stage_seconds"] = runs["drugscan"][0]["stages"]
    result["times_faster"] = round(result["by_hand"]["seconds"] / result["drugscan"]["seconds"], 2)
    return result


def card(result: dict[str, Any]) -> str:
    """A result for people."""
    lines = [f"{result['messages']:,} messages, {result['distinct_rate']:.1%} of those with text distinct"]
    for name in ("drugscan", "by_hand"):
        run = result[name]
        speed = f"{run['messages_per_second']:>9,} messages/s"
        lines.append(f"  {name:<10}{run['seconds']:>8.1f} s {speed} {run['peak_mb']:>7,} MB   {run['ads']:,} ads")
    stages = ", ".join(f"{stage} {seconds} s" for stage, seconds in result["drugscan"]["stage_seconds"].items())
    return "\n".join([*lines, f"  stages of drugscan: {stages}"])


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DRUGSCAN_KEY_FILE"] = f"{folder}/key"
        results = []
        for messages in arguments.messages or [100_000, 1_000_000]:
            results.append(measure(messages, arguments.rounds, Path(folder)))
            print(card(results[-1]))
    whole = {
        "benchmark": "end_to_end",
        "date": datetime.now(UTC).date().isoformat(),
        "drugscan": __version__,
        "hardware": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "memory_gb": psutil.virtual_memory().total // 2**30,
        },
        "rounds": arguments.rounds,
        "results": results,
    }
    kept = HERE / "results" / f"end_to_end-{whole['date']}.json"
    kept.write_text(json.dumps(whole, indent=1) + "\n")
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
