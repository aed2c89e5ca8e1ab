"""The files of a Hugging Face model: from a folder, object storage or the Hub, weights in safetensors only."""

import atexit
import os
import re
import shutil
import tempfile
from fnmatch import fnmatch
from functools import cache
from typing import Final

from drugscan import storage
from drugscan.models.errors import ModelError

WEIGHTS: Final = "*.safetensors"
FILES: Final = ("*.json", WEIGHTS, "vocab*", "merges.txt", "*.model", "*.tiktoken", "bpe.codes")
"""What is taken from a repository; never Python, never pickles."""
_NAME: Final = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w.-]+)?")


def is_name(name: str) -> bool:
    """Whether it looks like a name on the Hub: OWNER/NAME or OWNER/NAME@REVISION."""
    return _NAME.fullmatch(name) is not None


def local_folder(name: str) -> str:
    """Where the model's files are on this machine: the folder itself, or a copy from object storage or the Hub.

    Raises `ModelError` when there are none, or none with weights in safetensors.
    """
    if not storage.is_local(name):
        folder = _copied(name)
    elif os.path.isdir(name):
        folder = name
    elif is_name(name):
        folder = _downloaded(name)
    else:
        raise ModelError(f"{name} is neither a folder nor a Hub name (OWNER/NAME)")
    found = sorted(os.listdir(folder))
    if "config.json" not in found:
        raise ModelError(f"{name} is no Hugging Face model: it has no config.json; give what `save_pretrained` wrote")
    if not any(fnmatch(file, WEIGHTS) for file in found):
        raise ModelError(
            f"{name} has no weights in safetensors (it holds {', '.join(found[:8])}); other formats can run code and "
            "are not read: convert it where you trust it, with `save_pretrained` of transformers 5"
        )
    return folder


def digest(folder: str) -> str:
    """32 hex digits that name the content of the files that change a score: weights, configuration, tokenizer."""
    taken = [file for file in sorted(os.listdir(folder)) if any(fnmatch(file, each) for each in FILES)]
    return storage.digest(*(part for file in taken for part in (file, storage.identity(os.path.join(folder, file)))))


@cache
def _downloaded(name: str) -> str:
    # the hub's client is slow to import and needed for Hub names only
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        return snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{name} is no folder here and cannot be had from the Hugging Face Hub ({reason}); where there is network "
            f"run `hf download {repository} --local-dir DIR`, bring DIR here and give it instead of the name"
        ) from error


@cache
def _copied(url: str) -> str:
    """A copy of a folder in object storage that lasts as long as this process."""
    folder = tempfile.mkdtemp(prefix="drugscan-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for file in storage.list_files(url):
        name = file.removeprefix(storage.join(url, ""))
        if "/" not in name and any(fnmatch(name, each) for each in FILES):
            with open(os.path.join(folder, name), "wb") as copy, storage.open_binary(file) as source:
                shutil.copyfileobj(source, copy)
    return folder
