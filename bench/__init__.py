"""Measures Dewar beside its peers, in one run, and prints one table: ``python3 -m bench``.

The driver (everything outside ``micro`` and ``apps``) uses the standard library alone, so that it
starts with any Python; what it measures runs inside ``.bench-venv``.
"""
