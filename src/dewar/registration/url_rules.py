"""The URL rule of a route."""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.routing import Rule

from dewar.errors import DewarError


class DuplicateEndpointError(DewarError, AssertionError):
    """Raised when a second view is registered for an endpoint."""

    def __init__(self, endpoint: str, known: Callable[..., Any], new: Callable[..., Any]) -> None:
        super().__init__(
            "View function mapping is overwriting an existing endpoint function:"
            f" {endpoint}. It belongs to {known!r} already. Give {new!r} another name, or the"
            f" route another endpoint: @app.route(..., endpoint={endpoint + '2'!r})."
        )


class NoEndpointError(DewarError, AssertionError):
    """Raised for a rule without an endpoint and without a view to name it after."""


class MethodsAreTextError(DewarError, TypeError):
    """Raised when ``methods="POST"`` is given for ``methods=["POST"]``."""


def endpoint_of(view: Callable[..., Any] | None) -> str:
    """Return the default endpoint of a view: its name.

    Raises:
        NoEndpointError: If there is no view either.
    """
    if view is None:
        raise NoEndpointError(
            "A rule needs an endpoint or a view function:"
            " app.add_url_rule('/', view_func=index) or app.add_url_rule('/', 'index')."
        )
    return view.__name__


def make_rule(
    rule_class: type[Rule],
    rule: str,
    view: Callable[..., Any] | None,
    options: dict[str, Any],
    *,
    automatic_options: bool | None,
    automatic_by_default: bool,
) -> Rule:
    """Return the rule, with the methods that the view or its class asks for.

    Args:
        rule_class: The class of the rule.
        rule: The URL rule.
        view: The view; its ``methods``, ``required_methods`` and
            ``provide_automatic_options`` count where the options don't say.
        options: The options of the route; ``methods`` among them.
        automatic_options: Whether OPTIONS is answered without asking the view.
        automatic_by_default: The default for that.
    """
    given = options.pop("methods", None)
    # An empty list is an answer: OPTIONS only.
    methods = _upper((getattr(view, "methods", None) or ("GET",)) if given is None else given)
    required = _upper(getattr(view, "required_methods", ()))
    if automatic_options is None:
        automatic_options = getattr(view, "provide_automatic_options", None)
    if automatic_options is None:
        automatic_options = "OPTIONS" not in methods and automatic_by_default
        if automatic_options:
            required.add("OPTIONS")
    made = rule_class(rule, methods=methods | required, **options)
    made.provide_automatic_options = automatic_options  # type: ignore[attr-defined]  # Flask's addition
    return made


def _upper(methods: Iterable[str]) -> set[str]:
    if isinstance(methods, str):
        raise MethodsAreTextError(
            f"Allowed methods must be a list of strings: methods=[{methods!r}]."
        )
    return {method.upper() for method in methods}
