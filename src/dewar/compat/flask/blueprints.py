"""`flask.blueprints`."""

from dewar.blueprints.blueprint import Blueprint
from dewar.blueprints.setup_state import BlueprintSetupState

__all__ = [
    "Blueprint",
    "BlueprintSetupState",
]
