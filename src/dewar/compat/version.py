"""The version of Flask whose behaviour is offered."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["FLASK_VERSION", "flask_version"]

#: The release that Dewar is held to.
FLASK_VERSION = "3.1.3"


def flask_version() -> str:
    """Return the version of the Flask that is installed, else of the one that is stood in for."""
    try:
        return version("flask")
    except PackageNotFoundError:
        return FLASK_VERSION
