"""The command line: thin shells over the stages. Results go to stdout, words for people to stderr."""

import json
import os
from typing import Any

import click

from drugscan import __version__, steps
from drugscan.audit_commands import audit as audit_group
from drugscan.export_commands import export
from drugscan.model_commands import models as models_group
from drugscan.options import (
    Failed,
    corpus_option,
    language_option,
    model_choice,
    model_options,
    reading_options,
    running_options,
    selection_options,
    telling_options,
    told,
    worker_options,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="drugscan")
def main() -> None:
    """Find, count and map drug ads in Telegram messages.

    Start with: drugscan scan EXPORT... --corpus DIR
    """


main.add_command(models_group)
main.add_command(export)
main.add_command(audit_group)


@main.command()
@click.argument("exports", nargs=-1, required=True)
@corpus_option
@model_options
@reading_options
@selection_options
@language_option
@running_options
@told
def scan(exports: tuple[str, ...], corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Read exports, score every text, count, and write tables and report."""
    steps.something_to_read(exports)
    runner = steps.runner_for(rest)
    try:
        failures = steps.ingest(exports, corpus, runner, rest)
        failures += steps.score(corpus, runner, rest)
        result = steps.publish_what_there_is(corpus, failures, rest, runner)
    finally:
        steps.stop(rest)
    steps.finish(failures, result, rest)


@main.command("ingest")
@click.argument("exports", nargs=-1, required=True)
@corpus_option
@reading_options
@running_options
@told
def ingest_command(exports: tuple[str, ...], corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Read exports (files, folders, globs, s3://) into a corpus."""
    steps.something_to_read(exports)
    runner = steps.runner_for(rest)
    try:
        failures = steps.ingest(exports, corpus, runner, rest)
    finally:
        steps.stop(rest)
    steps.finish(failures, {}, rest)


@main.command("score")
@corpus_option
@model_options
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
@model_options
@selection_options
@language_option
@worker_options
@telling_options
@told
def stats(corpus: str, **rest: Any) -> None:  # noqa: ANN401
    """Compute all tables and the report from what is scored."""
    steps.finish([], steps.publish_results(corpus, rest), rest)


@main.command()
@corpus_option
@click.option("--output", type=click.Path(dir_okay=False, writable=True), help="Where to write the page.")
@click.option("--language", type=click.Choice(["en", "nl"]), help="Language of the page [default: as before].")
@told
def report(corpus: str, output: str | None, language: str | None) -> None:
    """Write the report page of the current tables again, or to a file of your own."""
    from drugscan import corpus as corpora
    from drugscan import publish

    current = corpora.manifest(corpus)
    if current is None:
        raise Failed(f"{corpus} has no tables yet; run `drugscan stats --corpus {corpus}`")
    click.echo(publish.rewrite(corpus, current, language, output))


@main.command()
@click.argument("corpus")
@model_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@told
def status(corpus: str, as_json: bool, **rest: Any) -> None:  # noqa: ANN401
    """Tell what is in a corpus and what is pending."""
    from drugscan import models, show, stages

    model = models.load(stages.settled(corpus, model_choice(rest)))
    facts = stages.status(corpus, model.model_id)
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


@train.command("encoder")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--out", required=True, metavar="DIR", help="Folder for the new model.")
@click.option("--base", required=True, metavar="NAME_OR_DIR", help="Pretrained encoder, e.g. from `models fetch`.")
@click.option("--folds", default=0, show_default=True, help="Groups of files left out in turn, for honest figures.")
@click.option("--epochs", default=7, show_default=True)
@click.option("--layers", default=0, show_default=True, help="First layers of the base that are kept; 0: all.")
@click.option("--vocabulary", default=15_500, show_default=True, help="Pieces that are kept; 0: all.")
@click.option("--max-tokens", default=160, show_default=True, help="What is behind these is not read.")
@click.option("--rate", default=3e-4, show_default=True, help="Highest learning rate.")
@click.option("--early-stop", "held_out", default=0.0, show_default=True, help="Share of texts to stop early on.")
@click.option("--class-weights", is_flag=True, help="Let rare labels count more.")
@click.option(
    "--teacher", "teachers", multiple=True, metavar="MODEL", help="Model to learn from, too; may be repeated."
)
@click.option("--demo-texts", default=0, show_default=True, help="Texts like the demo's that the teachers label.")
@click.option("--pair", is_flag=True, help="A detector and a categoriser instead of one merged encoder.")
@click.option("--small", is_flag=True, help="Store the weights as integers.")
@click.option("--bits", type=click.IntRange(2, 8), default=8, show_default=True, help="Bits of a weight with --small.")
@click.option("--device", default="auto", show_default=True)
@click.option("--seed", default=0, show_default=True)
@told
def encoder_command(files: tuple[str, ...], **rest: Any) -> None:  # noqa: ANN401
    """Fine-tune a pretrained encoder on JSONL files of labelled texts; a killed run goes on where it was."""
    click.echo(json.dumps(steps.train_encoder(files, rest)))


@train.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--first", required=True, metavar="DIR", help="A linear pair trained on these files.")
@click.option("--then", required=True, metavar="DIR", help="A merged encoder trained on them with --folds.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the cascade; keep it beside the other two.")
@told
def cascade(files: tuple[str, ...], first: str, then: str, out: str) -> None:
    """Fit a cascade: the pair for every text, the encoder for what may be an ad."""
    from drugscan import stacking

    model_id, found = stacking.train_cascade(files, stacking.Parts(first, then), out)
    click.echo(json.dumps({"model_id": model_id, "folder": out, "estimates": found}))


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@model_options
@click.option("--compare", "other", metavar="MODEL", help="Also measure this model, and tell the difference.")
@click.option("--html", metavar="FILE", help="Write a page with figures, plots and the worst errors.")
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@told
def evaluate(files: tuple[str, ...], other: str | None, html: str | None, as_json: bool, **rest: Any) -> None:  # noqa: ANN401
    """Measure a model on labelled texts, a JSON object a line: text, drugsad, labels."""
    from drugscan import comparison, evaluation, models, show, storage

    sample = evaluation.read_sample(files)
    judged = evaluation.judge(models.ready(model_choice(rest)), sample)
    result = evaluation.measure(judged)
    if other:
        result["comparison"] = comparison.compare(judged, evaluation.judge(models.ready(other), sample))
    if html:
        from drugscan.report import measured

        storage.write_bytes(html, measured.render(result).encode())
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
