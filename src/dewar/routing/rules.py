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
        self._on_change: Callable[[], None] | None = None
        super().__init__(*args, **kwargs)

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a rule is added."""
        self._on_change = on_change

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule or a factory of rules."""
        super().add(rulefactory)
        if self._on_change is not None:
            self._on_change()
