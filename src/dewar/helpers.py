"""Functions for views: URLs, redirects, flashed messages, files.

Each is one step to the app or the context that is current.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from werkzeug.exceptions import abort as werkzeug_abort
from werkzeug.utils import redirect as werkzeug_redirect
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.contexts.current import current, current_request, maybe_current, maybe_current_request
from dewar.messages.response import Response
from dewar.signals import message_flashed

F = TypeVar("F", bound=Callable[..., Any])


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: Any,
) -> str:
    """Return the URL of an endpoint: ``url_for("user", id=7)``.

    Args:
        endpoint: The endpoint; one that starts with a dot is in the current blueprint.
        _anchor: The part after ``#``.
        _method: Choose among the endpoint's rules by this method.
        _scheme: The scheme of an external URL.
        _external: Whether scheme and host are included; they are outside of a request.
        values: The rule's variables; others go to the query string.

    Raises:
        werkzeug.routing.BuildError: If no rule fits.
        RuntimeError: Outside of a request, if ``SERVER_NAME`` is not configured.
    """
    url: str = current().app.url_for(
        endpoint,
        _anchor=_anchor,
        _method=_method,
        _scheme=_scheme,
        _external=_external,
        **values,
    )
    return url


def redirect(
    location: str,
    code: int = 302,
    Response: type[WerkzeugResponse] | None = None,  # noqa: N803  # the documented name
) -> WerkzeugResponse:
    """Return a response that sends the client to another URL."""
    context = maybe_current()
    if context is not None:
        response: WerkzeugResponse = context.app.redirect(location, code=code)
        return response
    return werkzeug_redirect(location, code=code, Response=Response)


def abort(code: int | WerkzeugResponse, *args: Any, **kwargs: Any) -> NoReturn:
    """End the request with an HTTP error: ``abort(404)``.

    Raises:
        werkzeug.exceptions.HTTPException: Always; the one for the status.
    """
    context = maybe_current()
    if context is not None:
        context.app.aborter(code, *args, **kwargs)
    werkzeug_abort(code, *args, **kwargs)


def make_response(*args: Any) -> Response:
    """Return the response that a view returning `args` would become, to change it further."""
    app = current().app
    response: Response
    if not args:
        response = app.response_class()
    else:
        response = app.make_response(args[0] if len(args) == 1 else args)
    return response


def after_this_request(f: F) -> F:
    """Call `f` with the response of this request; it returns the response to send.

    Raises:
        UnboundError: If no request is being handled.
    """
    current_request("after_this_request")._after_request_functions.append(f)
    return f


def has_request_context() -> bool:
    """Whether a request is being handled."""
    return maybe_current_request() is not None


def has_app_context() -> bool:
    """Whether an app is current."""
    return maybe_current() is not None


def flash(message: str, category: str = "message") -> None:
    """Keep a message for the next page that this client sees.

    Args:
        message: The text.
        category: Its kind, for instance ``"error"``.
    """
    context = current_request("flash")
    # Assigned, not appended: a session notices only assignment.
    flashes = [*context.session.get("_flashes", []), (category, message)]
    context.session["_flashes"] = flashes
    app = context.app
    message_flashed.send(app, _async_wrapper=app.ensure_sync, message=message, category=category)


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Return the flashed messages and remove them; a second call in a request returns the same.

    Args:
        with_categories: Return pairs ``(category, message)``.
        category_filter: Only these categories; or one name, which has all that are part of it.
    """
    context = current_request("get_flashed_messages")
    if context.flashes is None:
        session = context.session
        # As they are: a program may have put others than pairs there.
        context.flashes = session.pop("_flashes") if "_flashes" in session else []
    # In a name, `in` looks for a part of it.
    wanted = category_filter if isinstance(category_filter, str) else [*category_filter]
    flashes = [kept for kept in context.flashes if not wanted or kept[0] in wanted]
    return flashes if with_categories else [kept[1] for kept in flashes]
