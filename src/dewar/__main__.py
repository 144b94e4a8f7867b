"""The ``dewar`` command, which is also ``python -m dewar``."""

from dewar.cli.main import DewarGroup, make_cli
from dewar.compat.option import flask_option
from dewar.support.standard_streams import open_closed_streams


def cli() -> DewarGroup:
    """Return the command line with all commands and options."""
    return make_cli(flask_option)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    open_closed_streams()
    cli().main(prog_name="dewar")


if __name__ == "__main__":
    main()
