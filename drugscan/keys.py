"""The key of the pseudonyms: a file outside every corpus, readable by its owner alone."""

import os
import secrets
from pathlib import Path
from typing import Final

from drugscan import storage

KEY_BYTES: Final = 32


class KeyFileError(ValueError):
    """A key file that cannot be used; the message says what to do."""


def default_path() -> Path:
    """Where the key lies unless told otherwise: $DRUGSCAN_KEY_FILE, else the user's configuration folder."""
    named = os.environ.get("DRUGSCAN_KEY_FILE")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(named) if named else Path(base) / "drugscan" / "pseudonym.key"


def load_or_make(path: str | None) -> bytes:
    """The key in a file; the default file is made when it is not there yet."""
    file = Path(path) if path else default_path()
    if not file.exists():
        if path:
            raise KeyFileError(f"{file}: no such key file")
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.create(str(file), secrets.token_hex(KEY_BYTES).encode())
        file.chmod(0o600)
    try:
        key = bytes.fromhex(file.read_text().strip())
    except ValueError as error:
        raise KeyFileError(f"{file} does not hold a key ({KEY_BYTES} bytes as hex digits)") from error
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{file} holds {len(key)} bytes, a key has {KEY_BYTES}")
    return key


def check_value(key: bytes) -> str:
    """What a corpus keeps to know its key again, without giving it away."""
    return storage.digest("drugscan pseudonym key", key.hex())
