"""Run unmodified Flask programs on Dewar: after `install`, ``import flask`` imports Dewar.

::

    import dewar.compat

    dewar.compat.install()

or, without a change to the program, ``python -m dewar.compat script.py``.
"""

from typing import TYPE_CHECKING

from dewar.support.lazy_names import lazy_names

if TYPE_CHECKING:
    from dewar.compat.installing import install
else:
    # Because ``dewar`` asks this package for an option, whatever the program is written for.
    __getattr__, __dir__ = lazy_names(__name__, {"install": "dewar.compat.installing"})

__all__ = ["install"]
