"""Curves: one parameter at many values, each measured on all contestants in turns.

``python3 -m bench.curves`` measures them and plots each to a file of ``docs/figures``.
"""
