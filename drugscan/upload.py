"""Bringing the folder of a published model to the Hugging Face Hub."""

import os
from fnmatch import fnmatch
from typing import Any, Final

from drugscan.models import ModelError, hub

CARD: Final = "README.md"
REQUIRED: Final = ("config.json", CARD)


def files_of(folder: str) -> dict[str, int]:
    """What would be uploaded: name -> size in bytes. Weights, configuration, tokenizer and card; nothing else goes.

    Raises `ModelError` when it is no folder with a model and a card.
    """
    if not os.path.isdir(folder):
        raise ModelError(f"{folder} is no folder; make one with `drugscan models card MODEL --out DIR`")
    found = sorted(file for file in os.listdir(folder) if os.path.isfile(os.path.join(folder, file)))
    missing = [file for file in REQUIRED if file not in found]
    if missing or not any(fnmatch(file, hub.WEIGHTS) for file in found):
        raise ModelError(
            f"{folder} cannot be published: it lacks {', '.join(missing) or 'weights in safetensors'}; "
            "make a folder that has all with `drugscan models card MODEL --out DIR`"
        )
    chosen = [file for file in found if file == CARD or any(fnmatch(file, each) for each in hub.FILES)]
    return {file: os.path.getsize(os.path.join(folder, file)) for file in chosen}


def check_name(name: str) -> None:
    """Raises `ModelError` when it is no name that a repository of the Hub can have."""
    if not hub.is_name(name) or "@" in name:
        raise ModelError(f"{name} is no name on the Hub; give OWNER/NAME")


def push(folder: str, name: str, private: bool, api: Any = None) -> str:  # noqa: ANN401
    """Upload the folder as the model repository `name`, made if it is not there; its address.

    `api`: a `huggingface_hub.HfApi`; by default one with the user's token. Raises `ModelError`: nothing to publish, no
    token, no network, no permission, or a public repository where a private one was asked for.
    """
    files = files_of(folder)
    check_name(name)
    api = api or _api()
    try:
        made = api.create_repo(name, repo_type="model", private=private or None, exist_ok=True)
        # a repository that exists stays as open as it is, whatever was asked
        if private and not api.model_info(name).private:
            raise ModelError(f"{name} exists and is public, nothing was uploaded; make it private on the Hub first")
        message = f"{CARD} and model, by drugscan"
        api.upload_folder(
            repo_id=name, repo_type="model", folder_path=folder, allow_patterns=list(files), commit_message=message
        )
    except ModelError:
        raise
    except Exception as error:  # the client lets through the errors of its HTTP library, which is now one, now another
        raise ModelError(
            f"{folder} could not be brought to {name} ({_reason(error)}); check the network, that the token may write, "
            "and that OWNER is you or an organisation of yours; the same command goes on"
        ) from error
    return str(made)


def _api() -> Any:  # noqa: ANN401
    # the client is slow to import and needed for an upload only
    import huggingface_hub

    token = huggingface_hub.get_token()
    if token is None:
        raise ModelError(
            "no token for the Hugging Face Hub; make one that may write at https://huggingface.co/settings/tokens, "
            "then run `hf auth login` or set HF_TOKEN"
        )
    return huggingface_hub.HfApi(token=token)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
