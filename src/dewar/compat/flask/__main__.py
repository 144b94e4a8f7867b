"""``python -m dewar.compat -m flask``: the command line."""

from dewar.compat.flask.cli import main

main()
