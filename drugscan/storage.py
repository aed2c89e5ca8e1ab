"""Files on disk or in object storage behind the same few functions: list, read, range-read, atomic write.

Nothing outside this module and `remote` knows whether a URL is local or `s3://`. A file either is not there or is
whole: locally a temporary name, fsync and rename; in object storage one PUT, or a multipart upload completed last.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import BinaryIO, Final, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from drugscan import remote
from drugscan.storage_errors import StorageError as StorageError
from drugscan.storage_errors import code_of, explained

TEMPORARY: Final = ".tmp-"
"""Prefix of files that are being written; never listed."""
_CHUNK: Final = 8 * 1024 * 1024
_WITHOUT_WORDS: Final = {"301", "400", "403", "404"}
"""Codes of answers to HEAD, which have no body that would say more."""


def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem that serves `url`, and the path in it. Credentials and endpoint: the usual AWS variables."""
    if not is_local(url):
        return remote.client(url)
    fs: LocalFileSystem = fsspec.filesystem("file")
    return fs, str(fs._strip_protocol(url))


def is_local(url: str) -> bool:
    """Whether `url` is a path of this machine."""
    return "://" not in url or url.startswith(("file://", "local://"))


def lies_in(url: str, folder: str) -> bool:
    """Whether a file lies in a folder or below it, however the two are spelled."""
    if is_local(url) and is_local(folder):
        url, folder = (os.path.realpath(re.sub(r"^(file|local)://", "", each)) for each in (url, folder))
    return url.startswith(folder.rstrip("/") + "/")


def join(url: str, *parts: str) -> str:
    """`url` with path parts appended."""
    return "/".join([url.rstrip("/"), *parts])


def beside(url: str, path: str) -> str:
    """The folder at a relative path (`../name`, `name`) as seen from the folder `url`."""
    if "://" not in url:
        return os.path.normpath(os.path.join(url, path))
    parts = url.rstrip("/").split("/")
    for step in path.split("/"):
        parts = parts[:-1] if step == ".." else [*parts, step]
    return "/".join(parts)


@contextmanager
def _at(url: str) -> Iterator[tuple[fsspec.AbstractFileSystem, str]]:
    """The filesystem of `url` and the path in it; errors there become a `StorageError` that says what to do."""
    fs, path = filesystem(url)
    try:
        yield fs, path
    except StorageError:
        raise
    except Exception as error:  # botocore's own errors (no credentials, no such endpoint) are no OSError
        cause = _in_words(fs, path, error) if code_of(error) in _WITHOUT_WORDS else error
        raise StorageError(explained(url, cause)) from error


def _in_words(fs: fsspec.AbstractFileSystem, path: str, error: Exception) -> Exception:
    """The error that a listing of the bucket gives, which says why; else the error itself."""
    try:
        fs.call_s3("list_objects_v2", Bucket=path.split("/")[0], MaxKeys=1)
    except Exception as other:
        return other
    return error


def _is_absent(error: FileNotFoundError) -> bool:
    """Whether the file is missing; a missing bucket is another matter."""
    return code_of(error) not in {"NoSuchBucket", *_WITHOUT_WORDS}


def open_binary(url: str) -> BinaryIO:
    """`url` open for reading, seekable; opening and reading raise `StorageError`."""
    with _at(url) as (fs, path):
        return cast(
            BinaryIO, open(path, "rb") if isinstance(fs, LocalFileSystem) else remote.open_remote(url, fs, path)
        )  # noqa: SIM115


def read_bytes(url: str, start: int = 0, end: int | None = None) -> bytes:
    """Bytes `start` to `end` (exclusive; null = to the end) of `url`."""
    with _at(url) as (fs, path):
        if isinstance(fs, LocalFileSystem):
            return bytes(fs.cat_file(path, start=start or None, end=end))
        return remote.whole(lambda: bytes(fs.cat_file(path, start=start or None, end=end)))


def size(url: str) -> int:
    """Length of `url` in bytes."""
    with _at(url) as (fs, path):
        return int(fs.size(path))


def exists(url: str) -> bool:
    """Whether there is a file or folder `url`; a bucket that cannot be looked into is a `StorageError`."""
    return _kind(url) is not None


def is_folder(url: str) -> bool:
    """Whether `url` is a folder (in object storage: a prefix with something below it, and no file of that name)."""
    return _kind(url) == "directory"


def _kind(url: str) -> str | None:
    """`file`, `directory`, or null when there is nothing."""
    with _at(url) as (fs, path):
        try:
            if isinstance(fs, LocalFileSystem) and os.path.isdir(path):  # also behind a link
                return "directory"
            return str(fs.info(path)["type"])
        except FileNotFoundError as error:
            if not _is_absent(error):
                raise
            return None


def list_files(url: str) -> list[str]:
    """URLs of all finished files below `url`, sorted; empty when there is no such folder."""
    with _at(url) as (fs, path):
        try:
            found = fs.find(path)
        except FileNotFoundError as error:
            if not _is_absent(error):
                raise
            found = []
        # consoles make empty objects that end in a slash to show a folder
        files = [name for name in found if not name.endswith("/") and not _name(name).startswith(TEMPORARY)]
        return sorted(_restored(fs, url, name) for name in files)


def glob(url: str) -> list[str]:
    """URLs of the files and folders that match a pattern, sorted."""
    with _at(url) as (fs, _):
        return sorted(_restored(fs, url, name) for name in fs.glob(url))


def identity(url: str) -> str:
    """Digest of the content: size + ETag where the storage gives one, size + BLAKE2b of the bytes elsewhere."""
    with _at(url) as (fs, path):
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
    with _at(url) as (fs, path):
        if isinstance(fs, LocalFileSystem):
            _write_local(path, data)
        else:
            fs.pipe_file(path, bytes(data))


def create(url: str, data: bytes) -> bool:
    """Write `url` only if it is not there yet; False when somebody else was first."""
    with _at(url) as (fs, path):
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
        _sync_folder(path)
        return True


def delete(url: str) -> None:
    """Remove a file; nothing happens when it is gone already."""
    with _at(url) as (fs, path):
        try:
            fs.rm_file(path)
        except FileNotFoundError as error:
            if not _is_absent(error):
                raise


def sweep(url: str, older_seconds: float) -> int:
    """Remove what killed processes were writing below a local folder, if it is so old; how many files that were."""
    fs, path = filesystem(url)
    if not isinstance(fs, LocalFileSystem):
        return 0  # what is not whole is not there
    limit, swept = time.time() - older_seconds, 0
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            if name.startswith(TEMPORARY) and os.path.getmtime(file) < limit:
                os.unlink(file)
                swept += 1
    return swept


def _create_remote(fs: fsspec.AbstractFileSystem, path: str, data: bytes) -> bool:
    """PUT with If-None-Match. Stores tell of a lost race in several ways: what counts is who stands there now."""
    try:
        fs.pipe_file(path, data, mode="create")
    except OSError:
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
    _sync_folder(path)


def _sync_folder(path: str) -> None:
    """Make the name of a file as durable as its content: without it a power cut can keep a later file and lose this."""
    handle = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
