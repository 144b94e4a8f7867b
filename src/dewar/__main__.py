"""``python -m dewar`` is the ``dewar`` command."""

from dewar.cli.main import main

main()
