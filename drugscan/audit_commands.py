"""`drugscan audit`: a sample of texts for people to label, and the figures corrected by what they say."""

import json
from datetime import date

import click

from drugscan.options import Failed, told


@click.group()
def audit() -> None:
    """Check a scan by hand: draw texts, label them, get corrected figures with intervals."""


@audit.command()
@click.argument("corpus")
@click.option("-n", "--texts", default=1000, show_default=True, help="Distinct texts to draw.")
@click.option("--out", required=True, metavar="FILE|DIR", help="The sheet to write; a folder for label-studio.")
@click.option("--sheet", type=click.Choice(["html", "csv", "label-studio"]), default="html", show_default=True)
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same texts.")
@click.option("--name", metavar="NAME", help="Name of the audit [default: today].")
@click.option("--keep-identities", is_flag=True, help="Leave handles and phone numbers visible in the sheet.")
@told
def draw(corpus: str, texts: int, out: str, sheet: str, **rest: object) -> None:
    """Draw a sample of the scanned texts of CORPUS, and write a sheet to label them on.

    What is drawn from is what the current tables count, so run `drugscan stats` with your selection first.
    """
    from drugscan import audit_frame, audit_sheet, publish
    from drugscan import corpus as corpora

    corpora.open_corpus(corpus)
    current = corpora.manifest(corpus)
    if current is None:
        raise Failed(f"{corpus} has no tables yet; run `drugscan stats --corpus {corpus}`")
    name = str(rest["name"] or date.today().isoformat())
    wanted = audit_frame.Wanted(texts, name, int(str(rest["seed"])), bool(rest["keep_identities"]))
    drawing, sample = audit_frame.draw(corpus, publish.read_facts(current), wanted)
    for path in audit_sheet.write(sheet, out, drawing, sample):
        click.echo(path)
    messages = int(sample["copies"].sum())
    click.echo(f"drew {drawing.drawn:,} of {drawing.texts:,} texts ({messages:,} messages); audit {name}", err=True)
    click.echo(f"when they are labelled: drugscan audit apply {corpus} LABELS... --name {name}", err=True)


@audit.command()
@click.argument("corpus")
@click.argument("files", nargs=-1, required=True, metavar="LABELS...", type=click.Path(exists=True, dir_okay=False))
@click.option("--name", metavar="NAME", help="Name of the audit [default: the newest].")
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@told
def apply(corpus: str, files: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Correct the figures of CORPUS by the labels in these files: one per person, or a column `labeller`."""
    import msgspec

    from drugscan import audit as audits
    from drugscan import audit_figures, audit_frame, audit_labels, publish, show_audit, storage
    from drugscan import corpus as corpora

    drawing, sample, strata = audit_frame.stored(corpus, name)
    labels = audit_labels.read(files, sample["text_id"])
    result = audit_figures.result_of(drawing, sample, strata, labels)
    folder = audits.folder(corpus, drawing.name)
    for part, table in audit_figures.tables(result, sample, labels).items():
        corpora.write_table(storage.join(folder, f"audit_{part}.parquet"), table.to_arrow())
        storage.write_bytes(storage.join(folder, f"audit_{part}.csv"), publish.as_csv(table))
    path = audits.write(corpus, result)
    click.echo(show_audit.checks(result, labels, sample), err=True)
    click.echo(show_audit.lines(result))
    current = corpora.manifest(corpus)
    if current is None or audits.basis_of(publish.read_facts(current)) != result.basis:
        click.echo("the current tables count something else than was drawn from: they stay not audited", err=True)
    click.echo(f"\naudit   {path}")
    if as_json:
        click.echo(json.dumps({"audit": msgspec.to_builtins(result), "folder": folder}))
