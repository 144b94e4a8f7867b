"""Running unmodified Flask programs on Dewar: ``import flask`` leads here once it is installed.

::

    import dewar.compat

    dewar.compat.install()

or, without touching the program, ``python -m dewar.compat script.py``.
"""

from dewar.compat.installing import install

__all__ = ["install"]
