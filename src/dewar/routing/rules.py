"""`RouteMap`: Werkzeug's map, telling its app when rules change."""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Map
from werkzeug.routing.rules import RuleFactory


class RouteMap(Map):
    """A `werkzeug.routing.Map` that can be watched.

    Args:
        args: As `Map` takes them.
        kwargs: As `Map` takes them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._dewar_on_change: Callable[[], None] | None = None
        super().__init__(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # `host_matching` and its like; the names with an underscore are the map's own bookkeeping.
        if name[0] != "_" and self._dewar_on_change is not None:
            self._dewar_on_change()

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule or a factory of rules."""
        super().add(rulefactory)
        if self._dewar_on_change is not None:
            self._dewar_on_change()


def watch(url_map: RouteMap, on_change: Callable[[], None]) -> None:
    """Call `on_change` whenever a rule is added to a map or an option of it is set."""
    url_map._dewar_on_change = on_change
