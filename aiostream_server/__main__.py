"""`aiostream-server`, also as `python -m aiostream_server`."""

from aiostream_server.cli.commands import cli


def main() -> None:
    """Run one command; ends the process with its status."""
    cli(prog_name="aiostream-server")


if __name__ == "__main__":
    main()
