"""Plain files, .gz, .zst and .zip members as streams of bytes; recognised by their first bytes, not their names."""

import codecs
import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

import zstandard

from drugscan import storage

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ZSTD_WINDOW: Final = 2**31
"""Pushshift's dumps were packed with a window that readers refuse unless told."""
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SEPARATOR: Final = "!"
"""Between an archive and its member in the name of a source."""


class ReadFailed(OSError):
    """A file that cannot be read further: a damaged or cut-off archive."""


def packing(url: str) -> str:
    """How the file is packed: `gz`, `zst`, `zip`, `utf-16` (read as a stream of UTF-8), or an empty string."""
    head = storage.read_bytes(url, 0, 4)
    if head.startswith(_UTF16):
        return "utf-16"
    if head.startswith(_GZIP):
        return "gz"
    if head == _ZSTD:
        return "zst"
    return "zip" if head in _ZIP else ""


def members(url: str) -> list[str]:
    """Names of the files in a zip archive; raises `ReadFailed` when its directory cannot be read."""
    with storage.open_binary(url) as file:
        try:
            return [info.filename for info in zipfile.ZipFile(file).infolist() if not info.is_dir()]
        except zipfile.BadZipFile as error:
            raise ReadFailed(f"{url} is a damaged zip archive: {error}") from error


@contextmanager
def opened(url: str, packed: str, member: str = "") -> Iterator[BinaryIO]:
    """The unpacked bytes of a file or member; UTF-16 comes out as UTF-8. Reading raises `ReadFailed`."""
    with storage.open_binary(url) as file:
        if packed == "gz":
            stream: object = gzip.GzipFile(fileobj=file)
        elif packed == "zst":
            decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
            stream = decompressor.stream_reader(file, read_across_frames=True)
        elif packed == "zip":
            try:
                stream = zipfile.ZipFile(file).open(member)  # noqa: SIM115 - ends with the file it reads from
            except (zipfile.BadZipFile, KeyError, RuntimeError) as error:
                raise ReadFailed(f"{url}!{member}: {error}") from error
        else:
            stream = file
        buffered: object = io.BufferedReader(_Raw(cast(BinaryIO, stream)), 1 << 20) if packed else stream
        yield _as_utf8(cast(BinaryIO, buffered))


class _Raw(io.RawIOBase):
    """A decompressor's stream whose every failure is a `ReadFailed`, but for those of the storage below it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._rest or self._stream.read(len(buffer))
        except storage.StorageError:
            raise
        except Exception as error:  # zlib, zstandard and zipfile each have their own
            raise ReadFailed(f"damaged archive: {error}") from error
        taken = min(len(data), len(buffer))
        buffer[:taken] = data[:taken]
        self._rest = data[taken:]  # a reader of UTF-16 gives as many letters as bytes were asked for
        return taken


def _as_utf8(stream: BinaryIO) -> BinaryIO:
    peeked = stream.peek(2)[:2] if isinstance(stream, io.BufferedReader) else b""
    if peeked not in _UTF16:
        return stream
    return cast(
        BinaryIO, io.BufferedReader(_Raw(cast(BinaryIO, codecs.EncodedFile(stream, "utf-8", "utf-16", "replace"))))
    )
