"""The command line: thin shells over the stages. Results go to stdout, words for people to stderr."""

import json
import os
from typing import Any

import click

from drugscan import __version__, steps
from drugscan.model_commands import models as models_group
from drugscan.options import (
    Failed,
    corpus_option,
    model_option,
    reading_options,
    running_options,
    selection_options,
    told,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="drugscan")
def main() -> None:
    """Find, count and map drug ads in Telegram messages.

    Start with: drugscan scan EXPORT... --corpus DIR
    """


main.add_command(models_group)


@main.command()
@click.argument("exports", nargs=-1, required=True)
@corpus_option
@model_option
@reading_options
@selection_options
@running_options
@told
def scan(exports: tuple[str, ...], corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Read exports, score every text, count, and write tables and report."""
    runner = steps.runner_for(rest)
    try:
        failures = steps.ingest(exports, corpus, runner, rest)
        failures += steps.score(corpus, runner, rest)
    finally:
        steps.stop(rest)
    result = steps.publish_results(corpus, rest)
    steps.finish(failures, result, rest)


@main.command("ingest")
@click.argument("exports", nargs=-1, required=True)
@corpus_option
@reading_options
@running_options
@told
def ingest_command(exports: tuple[str, ...], corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Read exports (files, folders, globs, s3://) into a corpus."""
    runner = steps.runner_for(rest)
    try:
        failures = steps.ingest(exports, corpus, runner, rest)
    finally:
        steps.stop(rest)
    steps.finish(failures, {}, rest)


@main.command("score")
@corpus_option
@model_option
@running_options
@told
def score_command(corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Score every text of a corpus that this model has not scored."""
    from drugscan import corpus as corpora

    corpora.open_corpus(corpus)
    runner = steps.runner_for(rest)
    try:
        failures = steps.score(corpus, runner, rest)
    finally:
        steps.stop(rest)
    steps.finish(failures, {}, rest)


@main.command()
@corpus_option
@model_option
@selection_options
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@told
def stats(corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Compute all tables and the report from what is scored."""
    steps.finish([], steps.publish_results(corpus, rest), rest)


@main.command()
@corpus_option
@click.option("--output", type=click.Path(dir_okay=False, writable=True), help="Where to write the page.")
@told
def report(corpus: str, output: str | None) -> None:
    """Write the report page of the current tables again, or to a file of your own."""
    from drugscan import corpus as corpora
    from drugscan import publish, storage

    current = corpora.manifest(corpus)
    if current is None:
        raise Failed(f"{corpus} has no tables yet; run `drugscan stats --corpus {corpus}`")
    tables, facts = publish.read_run(current)
    path = output or current.report
    storage.write_bytes(path, publish.render(tables, facts).encode())
    click.echo(path)


@main.command()
@click.argument("corpus")
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@told
def status(corpus: str, model: str, as_json: bool) -> None:
    """Tell what is in a corpus and what is pending."""
    from drugscan import models, show, stages

    facts = stages.status(corpus, models.load(model).model_id)
    click.echo(json.dumps(facts) if as_json else show.status(facts))


@main.command()
@click.argument("corpus")
@click.option("--quiet", is_flag=True, help="No progress.")
@told
def compact(corpus: str, quiet: bool) -> None:
    """Merge the many small files of a corpus into few."""
    from drugscan import compact as compaction
    from drugscan import corpus as corpora
    from drugscan import progress

    bar = progress.choose(quiet)
    bar.start("compact", corpora.snapshot(corpus).buckets, "buckets")
    before, after = compaction.compact(corpus, lambda: bar.advance(1, 0))
    bar.finish()
    click.echo(f"{before} files -> {after}")


@main.group()
def train() -> None:
    """Train a model pair of your own."""


@train.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--out", required=True, metavar="DIR", help="Folder for the new model.")
@click.option("--seed", default=0, show_default=True)
@told
def linear(files: tuple[str, ...], out: str, seed: int) -> None:
    """Train the linear pair on JSONL files of labelled texts (text, drugsad, labels)."""
    try:
        from drugscan import training

        result = training.train_linear(files, out, seed)
    except ModuleNotFoundError as error:
        raise Failed(f"training needs {error.name}; install it with: pip install 'drugscan[train]'") from error
    click.echo(json.dumps({"model_id": result.model_id, "folder": out, "estimates": result.estimates}))


@main.command()
@click.argument("file")
@model_option
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@told
def evaluate(file: str, model: str, as_json: bool) -> None:
    """Measure a model on labelled texts, a JSON object a line: text, drugsad, labels."""
    from drugscan import evaluation, models, show

    result = evaluation.evaluate(models.load(model), evaluation.read_labelled(file))
    click.echo(show.evaluation(result), err=as_json)
    if as_json:
        click.echo(json.dumps(result))


@main.command()
@click.option("--messages", type=click.IntRange(1000), required=True, help="Rows in all exports together.")
@click.option("--out", required=True, metavar="DIR", help="New folder for exports/ and truth/.")
@click.option("--format", "formats", multiple=True, default=("desktop",), show_default=True, help="May be repeated.")
@click.option("--seed", default=0, show_default=True)
@click.option("--authored", metavar="DIR", help="Folder of authored messages [default: the repository's].")
@told
def demo(messages: int, out: str, formats: tuple[str, ...], seed: int, authored: str | None) -> None:
    """Make exports that look like NOS's collection, and the truth about them."""
    from drugscan import demo as demos

    chosen = demos.DemoOptions(messages, out, formats, seed, authored or demos.AUTHORED, os.cpu_count() or 1)
    click.echo(demos.generate(chosen).line())


if __name__ == "__main__":
    main()
