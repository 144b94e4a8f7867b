"""Building a URL from an endpoint and values."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from werkzeug.routing import BuildError

from dewar.contexts.current import maybe_current, maybe_current_request
from dewar.errors import DewarError
from dewar.messages.request import split_blueprint_path
from dewar.mounting.errors import MountLinkError
from dewar.mounting.links import Target, maybe_target, named_target
from dewar.pipeline.interface import PipelineApp

# The characters that a fragment may hold unquoted: RFC 3986 §3.5.
_FRAGMENT = "%!#$&'()*+,/:;=?@"


class NoServerNameError(DewarError, RuntimeError):
    """Raised when a URL is built outside of a request and the host is not known."""


def build_url(
    app: PipelineApp,
    endpoint: str,
    values: dict[str, Any],
    *,
    anchor: str | None,
    method: str | None,
    scheme: str | None,
    external: bool | None,
) -> str:
    """Return the URL of an endpoint; `dewar.helpers.url_for` says what the arguments mean."""
    context = maybe_current()
    carrier = maybe_current_request()
    if carrier is not None:
        endpoint = _absolute(endpoint, carrier.request.blueprint)
        external = scheme is not None if external is None else external
    else:
        external = True if external is None else external
    try:
        target, endpoint = _target(app, context, carrier, endpoint, values)
    except MountLinkError as error:
        return app.handle_url_build_error(error, endpoint, values)
    app, adapter, is_elsewhere = target
    if adapter is None:
        raise NoServerNameError(
            "Unable to build URLs outside an active request without 'SERVER_NAME' configured:"
            " app.config['SERVER_NAME'] = 'example.com'. Also configure 'APPLICATION_ROOT' and"
            " 'PREFERRED_URL_SCHEME' as needed."
        )
    external = external or is_elsewhere
    if scheme is not None and not external:
        # The scheme would be ignored, and the link be less safe than its author thinks.
        raise ValueError("When specifying '_scheme', '_external' must be True.")
    app.inject_url_defaults(endpoint, values)
    try:
        url = adapter.build(
            endpoint, values, method=method, url_scheme=scheme, force_external=external
        )
    except BuildError as error:
        values.update(_anchor=anchor, _method=method, _scheme=scheme, _external=external)
        return app.handle_url_build_error(error, endpoint, values)
    return url if anchor is None else f"{url}#{quote(anchor, safe=_FRAGMENT)}"


def _target(
    app: PipelineApp, context: Any, carrier: Any, endpoint: str, values: dict[str, Any]
) -> tuple[Target, str]:
    """Return the app of an endpoint, this one or one mounted beside it, and the name there.

    Raises:
        MountLinkError: If it names an app that is not mounted.
    """
    found = None
    if ":" in endpoint and not _has_endpoint(app, endpoint):
        name, _, inner = endpoint.partition(":")
        handling, environ = (
            (app, None) if carrier is None else (carrier.app, carrier._dewar_environ)
        )
        found = _once(carrier, name, lambda: named_target(handling, environ, endpoint, values))
        if found is not None:
            return found, inner
    elif carrier is not None and carrier.app is not app:
        handling, environ = carrier.app, carrier._dewar_environ
        found = _once(carrier, app, lambda: maybe_target(app, handling, environ, endpoint))
        if found is not None:
            return found, endpoint
    if carrier is not None:
        return Target(app, carrier.url_adapter), endpoint
    adapter = app.create_url_adapter(None) if context is None else context.url_adapter
    return Target(app, adapter), endpoint


def _once(carrier: Any, key: object, find: Callable[[], Target | None]) -> Target | None:
    """Return the target of links, which is found once per request: a page has many links."""
    known = {} if carrier is None else vars(carrier).setdefault("_dewar_link_targets", {})
    if key not in known:
        known[key] = find()
    found: Target | None = known[key]
    return found


def _has_endpoint(app: PipelineApp, endpoint: str) -> bool:
    try:
        return any(True for _ in app.url_map.iter_rules(endpoint))
    except KeyError:
        return False


def inject_defaults(app: PipelineApp, endpoint: str, values: dict[str, Any]) -> None:
    """Let the app's and the endpoint's blueprints' `url_defaults` functions add values."""
    blueprint = endpoint.rpartition(".")[0]
    for name in (None, *(reversed(split_blueprint_path(blueprint)) if blueprint else ())):
        for function in app.url_default_functions.get(name, ()):
            function(endpoint, values)


def recover(app: PipelineApp, error: BuildError, endpoint: str, values: dict[str, Any]) -> str:
    """Return the URL of one of the app's `url_build_error_handlers`, or raise the error."""
    for handler in app.url_build_error_handlers:
        try:
            url = handler(error, endpoint, values)
        except BuildError as another:
            error = another
        else:
            if url is not None:
                return url
    raise error


def _absolute(endpoint: str, blueprint: str | None) -> str:
    """Return an endpoint with the current blueprint in front, if it starts with a dot."""
    if endpoint[:1] != ".":
        return endpoint
    return endpoint[1:] if blueprint is None else f"{blueprint}{endpoint}"
