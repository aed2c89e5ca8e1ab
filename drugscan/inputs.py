"""What people name as input: files, folders, globs and `s3://` URLs, as a list of files."""

from collections.abc import Iterable
from typing import Final

from drugscan import storage

_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".gz", ".zst", ".zip")
"""In a folder only these are tried: an export folder is full of pictures. A file that is named is always tried."""


def size_of(source: str) -> int:
    """Bytes of an input; 0 when it cannot be told (planning will say why)."""
    try:
        return storage.size(source)
    except OSError:
        return 0


def why_nothing(given: str) -> str:
    """Why an input stands for no file."""
    if not storage.exists(given) and not storage.is_folder(given):
        return "no such file"
    return (
        f"no file in it ends in {', '.join(_SUFFIXES)}; Telegram Desktop exports HTML unless it is told to write JSON"
    )


def find_sources(inputs: Iterable[str]) -> tuple[list[str], list[str]]:
    """The files that inputs (files, folders, globs, `s3://` URLs) stand for, and the inputs that do not exist."""
    found: dict[str, None] = {}
    missing = []
    for given in inputs:
        files = _expand(given)
        if not files:
            missing.append(given)
        found.update(dict.fromkeys(files))
    return list(found), missing


def _expand(given: str) -> list[str]:
    if any(mark in given for mark in "*?[") and not storage.exists(given):
        return [file for match in storage.glob(given) for file in _expand(match)]
    if storage.is_folder(given):
        return [file for file in storage.list_files(given) if file.lower().endswith(_SUFFIXES)]
    return [given] if storage.exists(given) else []
