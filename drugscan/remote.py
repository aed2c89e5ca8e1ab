"""How object storage is reached: one client per process, requests that are repeated, files that are read in ranges.

botocore repeats a request that finds no server, an overloaded one or a broken connection (standard mode: waits of
up to 1, 2, 4, 8, 16, 20, 20, ... seconds, drawn at random, 55 s on average for all ten attempts together); s3fs
would repeat all that again five times, and five times more for reads, so it is told not to. What neither of them
repeats is an answer that breaks off half-way: that is done here.
"""

import io
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import fsspec
from fsspec.registry import known_implementations

from drugscan.storage_errors import StorageError, explained

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ATTEMPTS: Final = 10
"""Of one request; AWS_MAX_ATTEMPTS overrides it."""
_BODIES: Final = 3
"""Times that a body is asked for which breaks off."""
_READ_SECONDS: Final = 30
_LEAST_AHEAD: Final = 64 * 1024
_MOST_AHEAD: Final = 16 * 1024 * 1024
_BUFFER: Final = 64 * 1024


def client(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem that serves `url`, and the path in it. Credentials, region, endpoint: the usual AWS variables."""
    protocol = url.split("://", 1)[0]
    try:
        if protocol in {"s3", "s3a"}:
            fs = _s3(os.getpid())
            return fs, str(fs._strip_protocol(url))
        found: tuple[fsspec.AbstractFileSystem, str] = fsspec.core.url_to_fs(url, use_listings_cache=False)
        return found
    except ImportError as error:
        needed = known_implementations.get(protocol, {}).get("err", str(error))
        raise StorageError(f"{url}: a package is missing for this kind of address: {needed}") from error
    except ValueError as error:
        raise StorageError(f"{url}: no such kind of address; use a path, s3://, gs:// or abfs://") from error
    except Exception as error:  # no credentials for Google or Azure, for instance
        raise StorageError(explained(url, error)) from error


@lru_cache(maxsize=1)
def _s3(process: int) -> fsspec.AbstractFileSystem:
    """One client for all threads: fsspec would make one for each, which takes 0.2 s of CPU every time."""
    config: dict[str, Any] = {"read_timeout": _READ_SECONDS}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        config["retries"] = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    fs = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, config_kwargs=config)
    fs.retries = 1
    return fs


def forget_clients() -> None:
    """Make new clients from now on, with the variables as they are then."""
    _s3.cache_clear()


def whole(read: Callable[[], bytes]) -> bytes:
    """What `read` returns, asked for again when the connection breaks in the middle of the answer."""
    from aiobotocore.response import AioReadTimeoutError
    from aiohttp import ClientPayloadError
    from botocore.exceptions import IncompleteReadError, ResponseStreamingError

    for attempt in range(1, _BODIES):
        try:
            return read()
        except (AioReadTimeoutError, ClientPayloadError, IncompleteReadError, ResponseStreamingError):
            time.sleep(attempt)
    return read()


def open_remote(url: str, fs: fsspec.AbstractFileSystem, path: str) -> io.BufferedReader:
    """A file of object storage, seekable; errors while it is read are `StorageError`s too."""
    return io.BufferedReader(_RemoteFile(url, fs.open(path, "rb", cache_type="none")), _BUFFER)


class _RemoteFile(io.RawIOBase):
    """Reads ahead more and more as long as it is read in order, and little after a seek (footers, row groups)."""

    def __init__(self, url: str, opened: Any) -> None:  # noqa: ANN401 - each of fsspec's filesystems has a class of its own
        self._url, self._opened, self._size = url, opened, int(opened.size)
        self._position = self._start = 0
        self._block, self._ahead = b"", _LEAST_AHEAD

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence])
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), self._size - self._position)
        if wanted <= 0:
            return 0
        if not self._start <= self._position < self._start + len(self._block):
            self._load(wanted)
        begin = self._position - self._start
        part = self._block[begin : begin + wanted]
        target[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        self._opened.close()
        self._block = b""
        super().close()

    def _load(self, wanted: int) -> None:
        """The block that begins here; a larger one each time it follows the last."""
        follows = self._position == self._start + len(self._block)
        self._ahead = min(2 * self._ahead, _MOST_AHEAD) if follows else _LEAST_AHEAD
        begin, end = self._position, min(self._position + max(wanted, self._ahead), self._size)

        def read() -> bytes:
            self._opened.seek(begin)
            return bytes(self._opened.read(end - begin))

        try:
            self._block, self._start = whole(read), begin
        except Exception as error:  # botocore's errors are no OSErrors
            raise StorageError(explained(self._url, error)) from error
        if not self._block:
            raise StorageError(f"{self._url}: ends before byte {end}, where the store said it would")
