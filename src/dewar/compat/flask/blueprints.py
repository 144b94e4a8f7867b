"""`flask.blueprints`."""

from dewar.blueprints.blueprint import Blueprint
from dewar.blueprints.setup_state import BlueprintSetupState
from dewar.cli.group import AppGroup
from dewar.files import send_from_directory
from dewar.globals import current_app

__all__ = [
    "AppGroup",
    "Blueprint",
    "BlueprintSetupState",
    "current_app",
    "send_from_directory",
]
