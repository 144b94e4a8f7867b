"""`flask.testing`."""

from click.testing import CliRunner, Result
from werkzeug.test import Client

from dewar.cli.group import ScriptInfo
from dewar.sessions.session import SessionMixin
from dewar.testing.cli_runner import DewarCliRunner as FlaskCliRunner
from dewar.testing.client import DewarClient as FlaskClient
from dewar.testing.environ import EnvironBuilder

__all__ = [
    "CliRunner",
    "Client",
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "Result",
    "ScriptInfo",
    "SessionMixin",
]
