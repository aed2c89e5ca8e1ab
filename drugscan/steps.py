"""What the commands do, step by step, with what they say on the way; the jobs do the same.

Everything heavy is imported in the step that needs it, so that `drugscan --help` answers at once.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from drugscan.options import Failed, model_choice

if TYPE_CHECKING:
    from drugscan.corpus import CorpusInfo, Snapshot
    from drugscan.listings import Selection
    from drugscan.models import Model
    from drugscan.stages import Outcome, Runner

Rest = dict[str, Any]
"""The options of a command, by the names in `options`."""
WORTH_RAY: Final = 2_000_000
"""Messages from which `stats` starts Ray: its start takes 6 s, a million messages some 10 s, and two cores halve it."""


def runner_for(rest: Rest) -> "Runner":
    """Ray, or this process. Ray writes to stdout, which is for results: it gets stderr instead."""
    from drugscan import stages

    if rest["local"]:
        return stages.InProcess()
    saved = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(saved, "w", encoding="utf-8")
    from drugscan import cluster

    address = rest["address"] or os.environ.get("RAY_ADDRESS")
    if not rest["quiet"]:
        click.echo("starting Ray ..." if address is None else f"connecting to Ray at {address} ...", err=True)
    cluster.start(address, rest["workers"])
    if rest["gpus_per_worker"] and address is None and not cluster.gpus():
        raise Failed("this machine has no GPU that Ray can see; leave out --gpus-per-worker, or give --address")
    workers = rest["workers"] or (cluster.MOST_WORKERS if address else None)
    return cluster.OnRay(workers, rest["gpus_per_worker"])


def stop(rest: Rest) -> None:
    """End what `runner_for` started."""
    if not rest["local"]:
        from drugscan import cluster

        cluster.stop()


def something_to_read(exports: tuple[str, ...]) -> None:
    """Stop before anything is started or made if no input is there: mostly a mistyped name."""
    from drugscan import inputs

    sources, missing = inputs.find_sources(exports)
    if not sources:
        listed = "\n".join(f"  {name}: {inputs.why_nothing(name)}" for name in missing)
        raise Failed(
            f"nothing to read:\n{listed}\n"
            "to go on with what a corpus holds: drugscan score --corpus DIR, drugscan stats --corpus DIR"
        )


def ingest(exports: tuple[str, ...], url: str, runner: "Runner", rest: Rest) -> list[str]:
    """Read what is new; what failed, each with its reason."""
    from drugscan import inputs, keys, progress, stages, storage
    from drugscan.ingest import Destination
    from drugscan.settings import Settings

    settings = Settings(timezone=rest["timezone"], include_private=rest["include_private"], columns=rest["columns"])
    if not storage.is_local(url) and not rest["key_file"] and not os.environ.get("DRUGSCAN_KEY_FILE"):
        raise Failed(f"{url} is shared storage: give the key of its pseudonyms with --key-file, the same for everybody")
    keys.check_outside(rest["key_file"], url)
    key = keys.load_or_make(rest["key_file"])
    sources, _ = inputs.find_sources(exports)
    info = stages.open_or_make(url, settings, keys.check_value(key), sources)
    outcome = stages.run_ingest(
        exports, Destination(url, info.buckets, key, settings), runner, progress.choose(rest["quiet"])
    )
    new = f"{outcome.messages:,} messages in {outcome.done} new ranges" if outcome.done else "nothing new to read"
    known = f"; {outcome.skipped} ranges were read before" if outcome.skipped else ""
    click.echo(f"read: {new}{known}", err=True)
    return outcome.failures


def score(url: str, runner: "Runner", rest: Rest) -> list[str]:
    """Score what is pending; what failed, each with its reason."""
    from drugscan import progress, settings, stages

    choice, bar = model_choice(rest), progress.choose(rest["quiet"])
    outcome = stages.run_score(url, choice, settings.SHARD_TEXTS, runner, bar)
    click.echo(scored_lines(outcome), err=True)
    return outcome.failures


def scored_lines(outcome: "Outcome") -> str:
    """What scoring did, for people: texts, tokens and padding a second, what was cut, and where the time went."""
    if not outcome.done:
        return "scored: every text was scored before"
    seconds, work = max(outcome.elapsed_seconds, 1e-9), outcome.work
    said = [f"scored: {outcome.messages:,} texts, {outcome.messages / seconds:,.0f} texts/s"]
    if work["tokens"]:
        share = work["padding"] / (work["tokens"] + work["padding"])
        said += [f"{work['tokens'] / seconds:,.0f} tokens/s", f"{share:.1%} padding"]
    phases = ", ".join(f"{phase} {spent:,.1f}" for phase, spent in outcome.seconds.items())
    return f"{', '.join(said)}, {work['truncated']:,} truncated\nworker seconds: {phases}"


def _selection(model: "Model", info: "CorpusInfo", rest: Rest) -> "Selection":
    from drugscan.listings import Selection
    from drugscan.schema import DETECTOR_LABEL

    thresholds = dict(model.thresholds)
    if rest["threshold"] is not None:
        thresholds[DETECTOR_LABEL] = rest["threshold"]
    if thresholds[DETECTOR_LABEL] < model.gate:
        raise Failed(
            f"--threshold {thresholds[DETECTOR_LABEL]:g} is below the gate of {model.model_id}: texts under "
            f"{model.gate:g} have no labels; give at least {model.gate:g}"
        )
    return Selection(thresholds, _day(rest["since"]), _day(rest["until"]), rest["chats"], info.timezone)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


@contextmanager
def _counting(snapshot: "Snapshot", rest: Rest) -> "Iterator[Runner]":
    """Where `stats` by itself runs: on Ray if asked for, or if there is so much that the start of Ray is won back."""
    messages = sum(counts.kept for counts in snapshot.ranges())
    on_ray = messages > WORTH_RAY or rest["workers"] or rest["address"] or os.environ.get("RAY_ADDRESS")
    chosen = {**rest, "local": rest["local"] or not on_ray, "gpus_per_worker": 0.0}
    runner = runner_for(chosen)
    try:
        yield runner
    finally:
        stop(chosen)


def publish_results(url: str, rest: Rest, runner: "Runner | None" = None) -> dict[str, Any]:
    """Tables and report, unless the current ones were computed from the very same; the facts for `--json`.

    Without a runner that is there already, one is started if there is something to count.
    """
    from drugscan import aggregate, audit, corpus, models, progress, publish, show, show_audit, stages

    info, model = corpus.open_corpus(url), models.load(stages.settled(url, model_choice(rest)))
    selection, snapshot = _selection(model, info, rest), corpus.snapshot(url)
    basis = publish.basis(snapshot, model.model_id, selection, rest["keep_identities"])
    current = corpus.manifest(url)
    if current is None or current.basis != basis:
        run = publish.new_run()
        into = f"{url.rstrip('/')}/tables/{run}"
        work = aggregate.Work(snapshot, model.model_id, selection, into, rest["keep_identities"])
        with nullcontext(runner) if runner else _counting(snapshot, rest) as counting:
            results = stages.run_stats(work, counting, progress.choose(rest["quiet"]))
        facts = {
            **publish.provenance(snapshot, model.model_id, selection),
            "basis": basis,
            "language": rest["language"],
        }
        current = publish.publish(url, run, results, facts, rest["keep_identities"])
    else:
        click.echo("stats: nothing has changed, the tables stand", err=True)
        publish.rewrite(url, current, rest["language"])
    tables, run_facts = publish.read_run(current)
    audited = audit.current(url, run_facts)
    click.echo(show.summary(tables, run_facts, show_audit.short(audited)))
    if audited:
        click.echo("\n" + show_audit.lines(audited))
    click.echo(f"\ntables  {current.tables}\nreport  {current.report}")
    return {"tables": current.tables, "report": current.report, "ledger": run_facts["ledger"], "run": current.run}


def publish_what_there_is(url: str, failures: list[str], rest: Rest, runner: "Runner") -> dict[str, Any]:
    """The same at the end of a scan: tables that cannot be made are one more failure, and hide no other."""
    from drugscan.corpus import CorpusError
    from drugscan.storage import StorageError

    try:
        return publish_results(url, rest, runner)
    except (CorpusError, StorageError) as error:
        failures.append(str(error))
        return {}


def finish(failures: list[str], result: dict[str, Any], rest: Rest) -> None:
    """Say what failed and how to go on; exit code 1 if anything did."""
    if rest["as_json"]:
        click.echo(json.dumps({**result, "failures": failures}))
    sys.stdout.flush()
    if failures:
        listed = "\n".join(f"  {failure}" for failure in failures[:20])
        more = f"\n  ... and {len(failures) - 20} more" if len(failures) > 20 else ""
        raise Failed(
            f"{len(failures)} failed, everything else is done; run the same command again to retry:\n{listed}{more}"
        )


def train_encoder(files: tuple[str, ...], rest: Rest) -> dict[str, Any]:
    """Train a merged encoder, or a pair; what to print as JSON."""
    from drugscan import demo_texts, merged_training
    from drugscan.encoder_training import EncoderOptions

    names = ("base", "epochs", "layers", "vocabulary", "max_tokens", "rate", "held_out", "class_weights", "device")
    options = EncoderOptions(seed=rest["seed"], **{name: rest[name] for name in names})
    unlabelled = demo_texts.mixed(files, rest["demo_texts"], rest["seed"]) if rest["demo_texts"] else []
    plan = merged_training.Plan(
        files, rest["out"], options, rest["folds"], rest["teachers"], unlabelled, rest["small"], rest["bits"]
    )

    def say(line: str) -> None:
        click.echo(line, err=True)

    if rest["pair"] and (rest["folds"] or rest["small"]):
        raise click.UsageError("--folds and --small are for a merged encoder; leave them out, or leave out --pair")
    if rest["pair"]:
        return {"folders": merged_training.train_pair(plan, say)}
    model_id, found = merged_training.train_merged(plan, say)
    return {"model_id": model_id, "folder": rest["out"], "estimates": found}
