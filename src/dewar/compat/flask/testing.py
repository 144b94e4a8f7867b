"""`flask.testing`."""

from dewar.cli.group import ScriptInfo
from dewar.sessions.session import SessionMixin
from dewar.testing.cli_runner import DewarCliRunner as FlaskCliRunner
from dewar.testing.client import DewarClient as FlaskClient
from dewar.testing.environ import EnvironBuilder

__all__ = [
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "ScriptInfo",
    "SessionMixin",
]
