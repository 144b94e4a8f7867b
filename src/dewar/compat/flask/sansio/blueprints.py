"""`flask.sansio.blueprints`."""

from dewar.blueprints.blueprint import Blueprint
from dewar.blueprints.blueprint import Recorded as DeferredSetupFunction
from dewar.blueprints.setup_state import BlueprintSetupState

__all__ = [
    "Blueprint",
    "BlueprintSetupState",
    "DeferredSetupFunction",
]
