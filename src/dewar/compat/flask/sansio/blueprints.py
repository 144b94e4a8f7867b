"""`flask.sansio.blueprints`."""

from dewar.blueprints.blueprint import Blueprint
from dewar.blueprints.blueprint import Recorded as DeferredSetupFunction
from dewar.blueprints.setup_state import BlueprintSetupState
from dewar.registration.registrar import Registrar as Scaffold
from dewar.registration.registrar import setup_method as setupmethod
from dewar.registration.url_rules import endpoint_of as _endpoint_from_view_func

__all__ = [
    "Blueprint",
    "BlueprintSetupState",
    "DeferredSetupFunction",
    "Scaffold",
    "_endpoint_from_view_func",
    "setupmethod",
]
