"""The version of Flask that Dewar is compatible with."""

from importlib.metadata import PackageNotFoundError, version

#: The release whose behaviour and tests Dewar follows.
FLASK_VERSION = "3.1.3"


def flask_version() -> str:
    """Return the version of the installed Flask, or `FLASK_VERSION` if it is not installed."""
    try:
        return version("flask")
    except PackageNotFoundError:
        return FLASK_VERSION
