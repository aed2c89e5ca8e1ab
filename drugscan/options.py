"""The options that commands and jobs share, defined once, and how errors are told."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
_DAY: Final = click.DateTime(["%Y-%m-%d"])


class Failed(click.ClickException):
    """Some work failed; what and how to go on was said."""

    exit_code = 1


def told(command: Command) -> Command:
    """Bad input and missing files become one clear line; only faults of drugscan itself give a traceback."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        from drugscan.corpus import CorpusError
        from drugscan.demo_texts import DemoError
        from drugscan.evaluation import LabelledError
        from drugscan.keys import KeyFileError
        from drugscan.models import ModelError
        from drugscan.storage import StorageError

        try:
            return command(*args, **kwargs)
        except (CorpusError, DemoError, KeyFileError, LabelledError, ModelError, StorageError) as error:
            raise Failed(str(error)) from error

    return guarded  # type: ignore[return-value]


def options(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order given."""

    def add(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return add


corpus_option = click.option("--corpus", required=True, metavar="DIR", help="Folder of the corpus, local or s3://.")
reading_options = options(
    click.option("--timezone", default="Europe/Amsterdam", show_default=True, help="Zone of times without one."),
    click.option("--include-private", is_flag=True, help="Also read personal, bot and saved-messages chats."),
    click.option("--columns", metavar="OURS=THEIRS,...", help="Columns of CSV, JSONL or Parquet of another program."),
    click.option("--key-file", metavar="FILE", help="Key of the pseudonyms [default: one of your own, made once]."),
)
running_options = options(
    click.option("--local", is_flag=True, help="Without Ray, in this process."),
    click.option("--workers", type=click.IntRange(1), help="Workers at most [default: one per CPU]."),
    click.option(
        "--address", metavar="ADDRESS", help="Ray cluster to use [default: this machine; in a job: its cluster]."
    ),
    click.option("--gpus-per-worker", type=float, default=0.0, help="GPUs (or a part of one) per scoring worker."),
    click.option("--quiet", is_flag=True, help="No progress."),
    click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object."),
)
model_option = click.option("--model", default="default", show_default=True, help="Folder of a model pair.")
selection_options = options(
    click.option("--since", type=_DAY, help="First day that counts."),
    click.option("--until", type=_DAY, help="Last day that counts."),
    click.option("--chat", "chats", multiple=True, help="Id or exact title of a chat that counts; may be repeated."),
    click.option("--threshold", type=click.FloatRange(0, 1), help="Least probability of an ad [default: the model's]."),
    click.option("--keep-identities", is_flag=True, help="Leave handles and phone numbers visible in the results."),
)
