"""The options that commands and jobs share, defined once, and how errors are told."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

import click

if TYPE_CHECKING:
    from drugscan.models import Choice

Command = TypeVar("Command", bound=Callable[..., Any])
_DAY: Final = click.DateTime(["%Y-%m-%d"])


class Failed(click.ClickException):
    """Some work failed; what and how to go on was said."""

    exit_code = 1


def told(command: Command) -> Command:
    """Bad input and missing files become one clear line; only faults of drugscan itself give a traceback."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        from drugscan.audit import AuditError
        from drugscan.corpus import CorpusError
        from drugscan.demo_texts import DemoError
        from drugscan.evaluation import LabelledError
        from drugscan.keys import KeyFileError
        from drugscan.models import ModelError
        from drugscan.storage import StorageError

        try:
            return command(*args, **kwargs)
        except (AuditError, CorpusError, DemoError, KeyFileError, LabelledError, ModelError, StorageError) as error:
            raise Failed(str(error)) from error

    return guarded  # type: ignore[return-value]


def options(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order given."""

    def add(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return add


def model_choice(given: dict[str, Any]) -> "Choice":
    """The model that `model_options` choose. Raises `click.UsageError` for options that exclude each other."""
    from drugscan.models import Choice

    pair, device = (given["detector"], given["categoriser"]), given["device"]
    if (pair[0] is None) != (pair[1] is None):
        raise click.UsageError("a pair is a detector and a categoriser: give both --detector and --categoriser")
    if pair[0] and given["model"] != "default":
        raise click.UsageError("give either --model, or --detector with --categoriser")
    if "gpus_per_worker" in given and not given["local"]:
        device = _device_of_workers(device, given["gpus_per_worker"])
    parts = [part.rpartition("=") for part in (given["labels"] or "").split(",") if part.strip()]
    if not all(theirs.strip() for theirs, _, _ in parts):
        raise click.UsageError("--labels wants THEIRS=OURS,THEIRS=OURS,...")
    labels = tuple((theirs.strip(), ours.strip()) for theirs, _, ours in parts)
    return Choice(given["model"], *pair, labels, device, batch_tokens=given["batch_tokens"])


def _device_of_workers(device: str, gpus: float) -> str:
    """Workers on Ray have the GPUs that they were given, and no others."""
    if device == "cuda" and not gpus:
        raise click.UsageError("--device cuda needs --gpus-per-worker 1 (or a part: 0.5), or --local")
    if device == "cpu" and gpus:
        raise click.UsageError("--device cpu has no use for --gpus-per-worker; leave out one of them")
    return "cuda" if gpus else "cpu"


def _zone(_: click.Context, __: click.Parameter, given: str) -> str:
    """A name of a time zone, checked before anything is started or made."""
    try:
        ZoneInfo(given)
    except (ValueError, OSError, LookupError) as error:
        raise click.BadParameter(f"no zone {given!r}; for example Europe/Amsterdam, UTC") from error
    return given


def _columns(_: click.Context, __: click.Parameter, given: str | None) -> dict[str, str]:
    """`text=body,sent_at=date` as our names to theirs; empty if nothing was given."""
    pairs = [pair.split("=", 1) for pair in (given or "").split(",") if pair.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise click.UsageError("--columns wants OURS=THEIRS,OURS=THEIRS,...")
    return {ours.strip(): theirs.strip() for ours, theirs in pairs}


corpus_option = click.option("--corpus", required=True, metavar="DIR", help="Folder of the corpus, local or s3://.")
reading_options = options(
    click.option(
        "--timezone",
        default="Europe/Amsterdam",
        show_default=True,
        callback=_zone,
        help="Zone of times without one.",
    ),
    click.option("--include-private", is_flag=True, help="Also read personal, bot and saved-messages chats."),
    click.option(
        "--columns",
        metavar="OURS=THEIRS,...",
        callback=_columns,
        help="Columns of CSV, JSONL or Parquet of another program.",
    ),
    click.option(
        "--key-file",
        metavar="FILE",
        help="Key of the pseudonyms, local or s3:// [default: one of your own, made once].",
    ),
)
worker_options = options(
    click.option("--local", is_flag=True, help="Without Ray, in this process."),
    click.option(
        "--workers", type=click.IntRange(1), help="Workers at most [default: one per CPU, also of nodes that join]."
    ),
    click.option(
        "--address", metavar="ADDRESS", help="Ray cluster to use [default: this machine; in a job: its cluster]."
    ),
)
telling_options = options(
    click.option("--quiet", is_flag=True, help="No progress."),
    click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object."),
)
running_options = options(
    worker_options,
    click.option("--gpus-per-worker", type=float, default=0.0, help="GPUs (or a part of one) per scoring worker."),
    telling_options,
)
model_options = options(
    click.option(
        "--model", default="default", show_default=True, help="fast, accurate, default; a folder, or a Hub name."
    ),
    click.option("--detector", metavar="NAME", help="Hugging Face classifier for drugsad: folder or Hub name."),
    click.option("--categoriser", metavar="NAME", help="Hugging Face classifier for the eight labels."),
    click.option("--labels", metavar="THEIRS=OURS,...", help="What the outputs of Hugging Face classifiers are."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--batch-tokens", type=click.IntRange(1), help="Tokens of a batch [default: what suits the device]."),
)
language_option = click.option(
    "--language", type=click.Choice(["en", "nl"]), default="en", show_default=True, help="Language of the report."
)
selection_options = options(
    click.option("--since", type=_DAY, help="First day that counts."),
    click.option("--until", type=_DAY, help="Last day that counts."),
    click.option("--chat", "chats", multiple=True, help="Id or exact title of a chat that counts; may be repeated."),
    click.option("--threshold", type=click.FloatRange(0, 1), help="Least probability of an ad [default: the model's]."),
    click.option("--keep-identities", is_flag=True, help="Leave handles and phone numbers visible in the results."),
)
