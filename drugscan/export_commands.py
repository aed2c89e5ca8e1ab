"""`drugscan export`: the results for other programs."""

import time

import click

from drugscan.options import told


@click.command()
@click.argument("corpus")
@click.option("--sqlite", metavar="FILE", help="A SQLite database of all tables and listings, e.g. for Datasette.")
@click.option("--gexf", metavar="FILE", help="The network of chats and linked sellers, for Gephi.")
@click.option("--replace", is_flag=True, help="Replace FILE if it is there.")
@told
def export(corpus: str, sqlite: str | None, gexf: str | None, replace: bool) -> None:
    """Write the current results of a corpus for another program: a database or a network."""
    if (sqlite is None) == (gexf is None):
        raise click.UsageError("give one of --sqlite FILE and --gexf FILE")
    started = time.perf_counter()
    if sqlite is not None:
        from drugscan.export import write_sqlite

        made = write_sqlite(corpus, sqlite, replace)
        seconds = max(time.perf_counter() - started, 1e-9)
        speed = f"{made.bytes / 1e6:,.0f} MB in {seconds:.0f} s, {made.listings / seconds:,.0f} listings/s"
        click.echo(f"{made.listings:,} listings and {made.tables} tables, {speed}", err=True)
    if gexf is not None:
        from drugscan.export_gexf import write_gexf

        network = write_gexf(corpus, gexf, replace)
        click.echo(f"{network.chats:,} chats, {network.sellers:,} sellers, {network.edges:,} edges", err=True)
    click.echo(sqlite or gexf)
