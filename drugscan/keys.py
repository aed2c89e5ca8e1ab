"""The key of the pseudonyms: a file outside every corpus, readable by its owner alone.

A job on a cluster is given it as `s3://` address of a private bucket, which the driver reads through `storage` with the
rights of the cluster. Not as text in a variable: the variables of a job are shown to all who see Ray's dashboard.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from drugscan import storage

KEY_BYTES: Final = 32


class KeyFileError(ValueError):
    """A key file that cannot be used; the message says what to do."""


def default_path() -> str:
    """Where the key lies unless told otherwise: $DRUGSCAN_KEY_FILE, else the user's configuration folder."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return os.environ.get("DRUGSCAN_KEY_FILE") or str(Path(base) / "drugscan" / "pseudonym.key")


def load_or_make(path: str | None) -> bytes:
    """The key in a file (local or `s3://`); the default file is made when it is not there yet.

    Raises `KeyFileError` for what is no key, `StorageError` for a file that cannot be read.
    """
    file = path or default_path()
    if not storage.exists(file):
        if path or not storage.is_local(file):
            raise KeyFileError(f"{file}: no such key file")
        storage.create(file, secrets.token_hex(KEY_BYTES).encode())
        Path(file).chmod(0o600)
    try:
        key = bytes.fromhex(storage.read_bytes(file).decode().strip())
    except ValueError as error:
        raise KeyFileError(f"{file} does not hold a key ({KEY_BYTES} bytes as hex digits)") from error
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{file} holds {len(key)} bytes, a key has {KEY_BYTES}")
    return key


def check_outside(path: str | None, corpus_url: str) -> None:
    """Raises `KeyFileError` for a key inside the corpus: whoever may read the corpus could undo its pseudonyms."""
    file = path or default_path()
    if storage.lies_in(file, corpus_url):
        raise KeyFileError(f"{file} lies inside the corpus; keep the key where readers of the corpus cannot get at it")


def check_value(key: bytes) -> str:
    """What a corpus keeps to know its key again, without giving it away."""
    return storage.digest("drugscan pseudonym key", key.hex())
