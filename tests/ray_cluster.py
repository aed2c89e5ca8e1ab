"""A Ray cluster of one node as `ray start` makes it, with a token, on loopback ports of its own; and `ray job`."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.object_store import free_port

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_START_SECONDS = 120


class RayCluster:
    """`start`, `job` as often as wanted, `stop`: everything it started ends with it."""

    def __init__(self, cpus: int) -> None:
        self._cpus, self._gcs, self._dashboard = cpus, free_port(), free_port()
        self._folder = tempfile.mkdtemp(prefix="ray-")  # paths of its sockets must be short
        self._token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """As on a clean machine: no AWS credentials, no path to drugscan, another place for a key."""
        foreign = ("AWS_", "RAY_", "PYTHONPATH", "DRUGSCAN_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"
        return {**kept, "PATH": path, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token, "HOME": self._folder}

    def start(self) -> None:
        """Start the head and wait until it takes jobs."""
        ports = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "ray-client-server-port")
        command = [
            *(*RAY, "start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
            *(f"--port={self._gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={self._dashboard}"),
            *(f"--num-cpus={self._cpus}", f"--object-store-memory={200 * 1024 * 1024}", f"--temp-dir={self._folder}"),
            *(f"--{name}={free_port()}" for name in (*ports, "metrics-export-port")),
            *("--min-worker-port=0", "--max-worker-port=0"),  # any that the system has, not 10,000 fixed ones
        ]
        with Path(self._folder, "start.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while self.job("list").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(Path(log.name).read_text())
            time.sleep(0.5)

    def job(self, command: str, *rest: str, timeout: int = 500) -> subprocess.CompletedProcess[str]:
        """`ray job COMMAND ...` as a user types it."""
        address = f"--address=http://127.0.0.1:{self._dashboard}"
        full = [*RAY, "job", command, address, *rest]
        return subprocess.run(full, env=self.environment, capture_output=True, text=True, timeout=timeout)

    def stop(self) -> None:
        """End the head and all processes of its session."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            _end_session(self._process.pid)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _end_session(session: int) -> None:
    """Kill what is left of the processes that were started with this one."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _session_of(int(entry.name)) == session:
            os.kill(int(entry.name), signal.SIGKILL)


def _session_of(process: int) -> Any:  # noqa: ANN401
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return None
