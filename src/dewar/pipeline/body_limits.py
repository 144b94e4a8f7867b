"""`BodyLimits`: how much of a request's body an app takes, said before the body is received."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from dewar.messages.request import Request
from dewar.routing.adapters import make_adapter
from dewar.routing.inert_map import inert_map


@dataclass(slots=True)
class _Routes:
    """What an adapter needs of an app, with a map that calls no code of the program."""

    url_map: Map
    subdomain_matching: bool
    config: Mapping[str, Any]


class BodyLimits:
    """Answers from routing alone: no hook, no view and no converter of the program runs.

    So a server can ask it on a thread that must not block. The answer may be wrong if a hook or a
    view decides otherwise; then the body has to be received after all.

    Args:
        url_map: The rules of the app; None if the app may route in another way.
    """

    __slots__ = ("_raised", "_url_map")

    def __init__(self, url_map: Map | None) -> None:
        self._url_map = None if url_map is None else inert_map(url_map)
        self._raised: dict[str, int | None] = {}

    def __repr__(self) -> str:
        return f"<BodyLimits, raised by {sorted(self._raised)}>"

    def limit_for(self, app: Any, environ: WSGIEnvironment) -> int | None:
        """Return how many bytes of a request's body the app takes; None if it does not say.

        0 means that the answer does not depend on the body: a 404, a 405, a redirect.

        Args:
            app: The app, for its configuration and its request class.
            environ: The request; it is not changed.
        """
        if self._url_map is None:
            return None
        trusted_hosts = getattr(app.request_class, "trusted_hosts", None)
        if not (trusted_hosts is None or isinstance(trusted_hosts, list)):
            return None  # a property of the program
        request = Request(environ, populate_request=False)
        request.trusted_hosts = trusted_hosts
        try:
            routes = _Routes(self._url_map, app.subdomain_matching, app.config)
            adapter = make_adapter(routes, request)
            if adapter is None:
                return None
            rule, _ = adapter.match(return_rule=True)
        except HTTPException:
            return 0
        return self._limit_of(app, rule)

    def note_raised(self, endpoint: str, limit: int | None) -> None:
        """Remember that a view or a hook has set another limit for a request of an endpoint."""
        known = self._raised.get(endpoint, 0)
        self._raised[endpoint] = None if known is None or limit is None else max(known, limit)

    def _limit_of(self, app: Any, rule: Rule) -> int | None:
        limit = getattr(app.request_class, "max_content_length", None)
        if limit is vars(Request)["max_content_length"]:
            limit = app.config["MAX_CONTENT_LENGTH"]
        raised = self._raised.get(rule.endpoint, 0)
        if raised is None or not isinstance(limit, int):
            return None
        return max(limit, raised)
