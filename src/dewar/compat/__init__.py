"""Run unmodified Flask programs on Dewar: after `install`, ``import flask`` imports Dewar.

::

    import dewar.compat

    dewar.compat.install()

or, without a change to the program, ``python -m dewar.compat script.py``.
"""

from dewar.compat.installing import install

__all__ = ["install"]
