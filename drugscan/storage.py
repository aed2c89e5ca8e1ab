"""Files on disk or in object storage behind the same few functions: list, read, range-read, atomic write.

Nothing outside this module knows whether a URL is local or `s3://`. A file either is not there or is whole:
locally a temporary name, fsync and rename; in object storage one PUT, or a multipart upload completed last.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import BinaryIO, Final, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

TEMPORARY: Final = ".tmp-"
"""Prefix of files that are being written; never listed."""
_CHUNK: Final = 8 * 1024 * 1024


class StorageError(OSError):
    """A file, folder or bucket that cannot be used; the message names it and the next step."""


def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem that serves `url`, and the path in it. Credentials and endpoint: the usual AWS variables."""
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StorageError(f"{url}: no support for this kind of address ({error})") from error
    return fs, path


def is_local(url: str) -> bool:
    """Whether `url` is a path of this machine."""
    return "://" not in url or url.startswith(("file://", "local://"))


def join(url: str, *parts: str) -> str:
    """`url` with path parts appended."""
    return "/".join([url.rstrip("/"), *parts])


def beside(url: str, path: str) -> str:
    """The folder at a relative path (`../name`, `name`) as seen from the folder `url`."""
    parts = url.rstrip("/").split("/")
    for step in path.split("/"):
        parts = parts[:-1] if step == ".." else [*parts, step]
    return "/".join(parts)


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Errors of the storage become a `StorageError` that names `url` and what to do."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{url}: not found") from error
    except PermissionError as error:
        raise StorageError(f"{url}: access denied; check the permissions or the AWS credentials") from error
    except OSError as error:
        raise StorageError(f"{url}: {error.strerror or error}") from error
    except Exception as error:  # botocore's own errors (no credentials, no such endpoint) are no OSError
        raise StorageError(f"{url}: {error}") from error


def open_binary(url: str) -> BinaryIO:
    """`url` open for reading, seekable; raises `StorageError`."""
    fs, path = filesystem(url)
    with _named(url):
        return cast(BinaryIO, open(path, "rb") if isinstance(fs, LocalFileSystem) else fs.open(path, "rb"))  # noqa: SIM115


def read_bytes(url: str, start: int = 0, end: int | None = None) -> bytes:
    """Bytes `start` to `end` (exclusive; null = to the end) of `url`."""
    fs, path = filesystem(url)
    with _named(url):
        return bytes(fs.cat_file(path, start=start or None, end=end))


def size(url: str) -> int:
    """Length of `url` in bytes."""
    fs, path = filesystem(url)
    with _named(url):
        return int(fs.size(path))


def exists(url: str) -> bool:
    """Whether there is a file or folder `url`."""
    fs, path = filesystem(url)
    with _named(url):
        return bool(fs.exists(path))


def list_files(url: str) -> list[str]:
    """URLs of all finished files below `url`, sorted; empty when there is no such folder."""
    fs, path = filesystem(url)
    with _named(url):
        found = fs.find(path) if fs.exists(path) else []
    return sorted(_restored(fs, url, name) for name in found if not name.rsplit("/", 1)[-1].startswith(TEMPORARY))


def glob(url: str) -> list[str]:
    """URLs of the files and folders that match a pattern, sorted."""
    fs, _ = filesystem(url)
    with _named(url):
        return sorted(_restored(fs, url, name) for name in fs.glob(url))


def is_folder(url: str) -> bool:
    """Whether `url` is a folder (in object storage: a prefix with something below it)."""
    fs, path = filesystem(url)
    with _named(url):
        return bool(fs.isdir(path))


def identity(url: str) -> str:
    """Digest of the content: size + ETag where the storage gives one, size + BLAKE2b of the bytes elsewhere."""
    fs, path = filesystem(url)
    with _named(url):
        if not isinstance(fs, LocalFileSystem):
            info = fs.info(path)
            mark = str(info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("LastModified"))
            return digest(str(info["size"]), mark)
        whole = blake2b(digest_size=16)
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
        return digest(str(os.path.getsize(path)), whole.hexdigest())


def digest(*parts: str) -> str:
    """32 hex digits that name a combination of strings; used for every content-addressed name."""
    whole = blake2b(digest_size=16)
    for part in parts:
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()


def write_bytes(url: str, data: bytes | memoryview) -> None:
    """Write `url` whole or not at all; an existing file is replaced."""
    fs, path = filesystem(url)
    with _named(url):
        if isinstance(fs, LocalFileSystem):
            _write_local(path, data)
        else:
            fs.pipe_file(path, bytes(data))


def create(url: str, data: bytes) -> bool:
    """Write `url` only if it is not there yet; False when somebody else was first."""
    fs, path = filesystem(url)
    with _named(url):
        if not isinstance(fs, LocalFileSystem):
            return _create_remote(fs, path, data)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = _temporary(path, data)
        try:
            os.link(temporary, path)  # fails when the name is taken, and the content is whole when it appears
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        return True


def delete(url: str) -> None:
    """Remove a file; nothing happens when it is gone already."""
    fs, path = filesystem(url)
    with _named(url):
        if fs.exists(path):
            fs.rm_file(path)


def _create_remote(fs: fsspec.AbstractFileSystem, path: str, data: bytes) -> bool:
    try:
        fs.pipe_file(path, data, mode="create")
    except FileExistsError:
        return False
    except OSError:
        # some servers answer a lost race with a plain error: what counts is who stands there now
        if fs.exists(path):
            return False
        raise
    return True


def _write_local(path: str, data: bytes | memoryview) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = _temporary(path, data)
    try:
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _temporary(path: str, data: bytes | memoryview) -> str:
    """Path of a finished, synced temporary file beside `path`."""
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
    except OSError:
        os.unlink(temporary)
        raise
    return temporary


def _restored(fs: fsspec.AbstractFileSystem, url: str, name: str) -> str:
    """`name` as the filesystem gave it, written as `url` was: with its protocol, or as a relative path."""
    if not isinstance(fs, LocalFileSystem):
        return str(fs.unstrip_protocol(name))
    return name if os.path.isabs(url) or not is_local(url) else os.path.relpath(name)
