"""What an application says about the body of a request, before that is received."""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from dewar.layers import maybe_own_method
from dewar.server.connection.question_warning import warn_of_question
from dewar.server.proxies.middleware import with_proxy_middleware
from dewar.server.settings.settings import Settings
from dewar.server.wire.request import Environ
from dewar.support.bounded_log import BoundedLog

#: Returns how many bytes of the body the application takes, or None if it does not say.
BodyLimit = Callable[[Environ], int | None]


def maybe_body_limit(
    app: WSGIApplication, settings: Settings, bounded_log: BoundedLog
) -> BodyLimit | None:
    """Return the function that asks *app*, or None if it cannot be asked.

    An application is asked by its method ``body_limit_for``, with a copy of the environ behind the
    proxy middleware. It answers from routing alone: no hook and no view has run. The method of an
    application inside of other middleware does not count, because that may change the request.
    """
    ask = maybe_own_method(app, "body_limit_for")
    if ask is None:
        return None

    def answer(environ: Environ, _: object) -> Any:
        return ask(environ)

    through_middleware = with_proxy_middleware(answer, settings)

    def body_limit(environ: Environ) -> int | None:
        try:
            limit = through_middleware(environ.copy(), _ignore)
        except BaseException as error:  # noqa: BLE001  # the leader asks, and must not end with it
            warn_of_question(bounded_log, app, "body_limit_for", error)
            return None
        # Middleware that refuses the request returns the pieces of a response.
        return limit if limit is None or isinstance(limit, int) else 0

    return body_limit


def _ignore(*_: object) -> None:
    """Stand for ``start_response``: middleware has refused a request that is only asked about."""
