"""``python -m dewar.compat script.py [args]``: run a Flask program on Dewar."""

from dewar.compat.script import main

main()
