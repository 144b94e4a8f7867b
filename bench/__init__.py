"""Benchmarks Dewar and its peers in one run, and prints one table: ``python3 -m bench``.

The driver (everything outside ``micro`` and ``apps``) only uses the standard library, so that any
Python can run it. The measured programs run in ``.bench-venv``.
"""
