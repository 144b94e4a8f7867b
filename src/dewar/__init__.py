"""Dewar: Flask's programming model on a core that keeps every request's state to itself."""

from dewar.version import __version__

__all__ = ["__version__"]
