"""`BlueprintSetupState`: one registration of a blueprint, under one name, prefix and subdomain."""

from collections.abc import Callable
from typing import Any, Protocol

from dewar.registration.url_rules import endpoint_of


class PlacedBlueprint(Protocol):
    """The members of a blueprint that a registration uses: its defaults."""

    name: str
    url_prefix: str | None
    subdomain: str | None
    url_values_defaults: dict[str, Any]


class BlueprintSetupState:
    """The argument of a blueprint's recorded functions when it is registered.

    - ``app``, ``blueprint``, ``options``: the registration; the options are those given to
      `register_blueprint`.
    - ``first_registration``: whether the blueprint is new to the app.
    - ``name``, ``name_prefix``: the name it is registered under, and its parents'.
    - ``url_prefix``, ``subdomain``, ``url_defaults``: added to its rules.

    Args:
        blueprint: The blueprint.
        app: The app it is registered on.
        options: The options of `register_blueprint`.
        first_registration: Whether the blueprint is new to the app.
    """

    def __init__(
        self,
        blueprint: PlacedBlueprint,
        app: Any,
        options: dict[str, Any],
        first_registration: bool,
    ) -> None:
        self.app = app
        self.blueprint = blueprint
        self.options = options
        self.first_registration = first_registration
        self.name: str = options.get("name", blueprint.name)
        self.name_prefix: str = options.get("name_prefix", "")
        self.url_prefix: str | None = _first(options.get("url_prefix"), blueprint.url_prefix)
        self.subdomain: str | None = _first(options.get("subdomain"), blueprint.subdomain)
        self.url_defaults = {**blueprint.url_values_defaults, **options.get("url_defaults", {})}

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        """Add a rule of the blueprint to the app: under its prefix, its endpoint under its name."""
        if self.url_prefix is not None:
            rule = join_paths(self.url_prefix, rule) if rule else self.url_prefix
        options.setdefault("subdomain", self.subdomain)
        defaults = {**self.url_defaults, **options.pop("defaults", {})}
        endpoint = endpoint_of(view_func) if endpoint is None else endpoint
        self.app.add_url_rule(
            rule,
            f"{full_name(self)}.{endpoint}".lstrip("."),
            view_func,
            defaults=defaults,
            **options,
        )


def full_name(state: BlueprintSetupState) -> str:
    """Return the name of a registration with those of the parents: ``"parent.child"``."""
    return f"{state.name_prefix}.{state.name}".lstrip(".")


def options_for(
    child: PlacedBlueprint, state: BlueprintSetupState, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the options to register a nested blueprint with: beneath a registration.

    Args:
        child: The nested blueprint.
        state: The registration of the outer one.
        options: The options that it is nested with.
    """
    prefix = _first(options.get("url_prefix"), child.url_prefix)
    if state.url_prefix is not None and prefix is not None:
        prefix = join_paths(state.url_prefix, prefix)
    subdomain = _first(options.get("subdomain"), child.subdomain)
    if state.subdomain is not None and subdomain is not None:
        subdomain = f"{subdomain}.{state.subdomain}"
    return {
        **options,
        "url_prefix": _first(prefix, state.url_prefix),
        "subdomain": _first(subdomain, state.subdomain),
        "name_prefix": full_name(state),
    }


def beneath(name: str, key: str | None) -> str:
    """Return the name of a nested blueprint under that of the outer one; None stands for that."""
    return name if key is None else f"{name}.{key}"


def join_paths(prefix: str, path: str) -> str:
    """Return a URL path under a prefix, with one slash between them."""
    return f"{prefix.rstrip('/')}/{path.lstrip('/')}"


def _first(*values: str | None) -> str | None:
    return next((value for value in values if value is not None), None)
