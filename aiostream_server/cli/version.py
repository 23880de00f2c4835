"""`aiostream-server version`."""

import click

from aiostream_server import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)
