"""Every public name of Flask's modules, classes and functions is in the modules that map them.

Nothing is installed here: the real Flask is looked at beside `dewar.compat.flask`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from inspect import Parameter
from types import ModuleType
from typing import Any, TypeVar

import flask
import pytest

import dewar
import dewar.compat.flask

#: What Flask's modules define and the mapped ones don't have, each with its reason.
NOT_MAPPED = {
    # Bases of Flask's, which are one class here; `flask.sansio` has them.
    "flask.app.App",
    "flask.blueprints.SansioBlueprint",
    "flask.debughelpers.App",
    # Imported for its own use.
    "flask.app.get_load_dotenv",
    "flask.debughelpers.Blueprint",
    "flask.json.tag.dumps",
    "flask.json.tag.loads",
    # Parts of debug mode: `dewar.messages.errors` and `dewar.template_lookup` do their work.
    "flask.debughelpers.UnexpectedUnicodeError",
    "flask.debughelpers.attach_enctype_error_multidict",
    "flask.debughelpers.explain_template_loading_attempts",
    # Each app has an interface of its own; a subclass may still set it.
    "flask.Flask.session_interface",
}
#: Parameters that are called or placed otherwise, each with its reason.
OTHER_PARAMETERS = {
    "flask.cli.get_version": ["param"],  # a callback: Click passes it by place
    "flask.cli.FlaskGroup.get_command": ["name"],  # Click calls it cmd_name
    "flask.json.provider.DefaultJSONProvider.default": ["o"],  # called by `json` by place
    "flask.debughelpers.FormDataRoutingRedirect": ["redirect"],  # raised by the framework
    "flask.sansio.app.setupmethod": ["f"],  # a decorator
}


def module_names() -> list[str]:
    found = [module.name for module in pkgutil.walk_packages(flask.__path__, "flask.")]
    # A folder without an `__init__`, which is not walked.
    found += [f"flask.sansio.{name}" for name in ("app", "blueprints", "scaffold")]
    return ["flask", *(name for name in found if not name.endswith("__main__"))]


MODULES = module_names()


def mapped(name: str) -> ModuleType:
    return importlib.import_module(f"dewar.compat.{name}")


def defined(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Return the public names that Flask defines, or offers without defining them."""
    for name, value in vars(module).items():
        origin = getattr(value, "__module__", None) or ""
        is_own = isinstance(origin, str) and origin.startswith("flask")
        if (
            name.startswith("_")
            or name == "annotations"
            or isinstance(value, (TypeVar, ModuleType))
        ):
            continue
        # Proxies and signals tell of no module; the documented ones are exported.
        if is_own or (module is flask and not inspect.isbuiltin(value)):
            yield name, value


def functions_and_classes() -> Iterator[tuple[str, Any, Any]]:
    seen: set[int] = set()
    for module in MODULES:
        for name, theirs in defined(importlib.import_module(module)):
            ours = getattr(mapped(module), name, None)
            is_code = inspect.isclass(theirs) or inspect.isfunction(theirs)
            if id(theirs) in seen or ours is None or not is_code:
                continue
            seen.add(id(theirs))
            yield f"{module}.{name}", theirs, ours


SURFACE = list(functions_and_classes())
CLASSES = [(name, theirs, ours) for name, theirs, ours in SURFACE if inspect.isclass(theirs)]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_mapped_with_its_names(module: str) -> None:
    """Public ones; what is not there is listed above with its reason, and is really not there."""
    theirs, ours = importlib.import_module(module), mapped(module)
    missing = {f"{module}.{name}" for name, _ in defined(theirs) if not hasattr(ours, name)}
    assert missing == {
        name for name in NOT_MAPPED if name.rpartition(".")[0] == module and not is_on_class(name)
    }
    assert ours.__all__ == sorted(set(ours.__all__)) if hasattr(ours, "__all__") else True


def is_on_class(name: str) -> bool:
    return name.rpartition(".")[0] in {name for name, _, _ in CLASSES}


def test_nothing_is_mapped_that_is_not_flask_s() -> None:
    """A mapped module has no public name that Flask's does not have."""
    for module in MODULES:
        names = set(getattr(mapped(module), "__all__", ()))
        extra = names - set(dir(importlib.import_module(module)))
        # Flask 2 had it there.
        assert extra - {"Map"} == set(), module


def test_submodules_are_attributes_of_the_package() -> None:
    """``import flask`` is enough for ``flask.cli``, as it is with Flask."""
    for module in MODULES[1:]:
        mapped(module)
    for name, value in vars(flask).items():
        if isinstance(value, ModuleType) and value.__name__.startswith("flask."):
            assert getattr(dewar.compat.flask, name) is mapped(value.__name__)


@pytest.mark.parametrize(("name", "theirs", "ours"), CLASSES, ids=[name for name, _, _ in CLASSES])
def test_every_attribute_of_a_class_is_there(name: str, theirs: type, ours: type) -> None:
    """Public ones; a method is a method, and what is none is none."""
    missing = {f"{name}.{member}" for member in public(theirs) if not hasattr(ours, member)}
    assert missing == {member for member in NOT_MAPPED if member.rpartition(".")[0] == name}
    for member in public(theirs):
        if hasattr(ours, member):
            kinds = [is_method(cls, member) for cls in (theirs, ours)]
            assert kinds[0] == kinds[1], member


def public(cls: type) -> list[str]:
    return [name for name in dir(cls) if not name.startswith("_")]


def is_method(cls: type, name: str) -> bool:
    member = inspect.getattr_static(cls, name)
    return isinstance(member, (staticmethod, classmethod)) or inspect.isfunction(member)


def instances(framework: Any) -> Iterator[tuple[str, Any]]:
    app = (framework.Flask if framework is flask else dewar.Dewar)("instances")
    app.secret_key = "key"
    yield "app", app
    yield "blueprint", framework.Blueprint("blueprint", __name__)
    yield "config", app.config
    yield "json", app.json
    yield "client", app.test_client()
    yield "runner", app.test_cli_runner()
    with app.app_context() as context:
        yield "app context", context
    with app.test_request_context("/") as context:
        yield "request context", context
        yield "request", context.request
        yield "session", context.session
        yield "g", framework.g._get_current_object()
        yield "response", app.make_response("")


def test_every_attribute_of_an_object_is_there() -> None:
    """Those that its class does not show are there as well, once it is made."""
    for (kind, theirs), (_, ours) in zip(instances(flask), instances(dewar), strict=True):
        names = [name for name in vars(theirs) if not name.startswith("_")]
        missing = [name for name in names if not hasattr(ours, name)]
        assert missing == [], kind


def routines() -> Iterator[tuple[str, Any, Any]]:
    for name, theirs, ours in SURFACE:
        yield name, theirs, ours
        if inspect.isclass(theirs):
            for member in public(theirs):
                if is_method(theirs, member) and hasattr(ours, member):
                    pair = [unwrapped(cls, member) for cls in (theirs, ours)]
                    yield f"{name}.{member}", *pair


def unwrapped(cls: type, name: str) -> Any:
    member = inspect.getattr_static(cls, name)
    return member.__func__ if isinstance(member, (staticmethod, classmethod)) else member


def refused(theirs: Iterable[Parameter], ours: Iterable[Parameter]) -> Iterator[str]:
    """Return the parameters with which a call that is right there would be wrong here."""
    wanted, offered = list(theirs), {parameter.name: parameter for parameter in ours}
    kinds = {parameter.kind for parameter in offered.values()}
    places = places_of(offered.values())
    for number, parameter in enumerate(p for p in wanted if p.name not in {"self", "cls"}):
        if parameter.kind in {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}:
            if parameter.kind not in kinds:
                yield f"{parameter.kind.description} {parameter.name}"
            continue
        found = offered.get(parameter.name)
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            found = offered[places[number]] if number < len(places) else None
        if found is None:
            if Parameter.VAR_KEYWORD not in kinds or parameter.kind < Parameter.KEYWORD_ONLY:
                yield parameter.name
        elif parameter.default is not Parameter.empty and found.default is Parameter.empty:
            yield f"{parameter.name} is optional"
        elif parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and (
            found.kind is not Parameter.POSITIONAL_OR_KEYWORD or places.index(found.name) != number
        ):
            yield f"{parameter.name} at another place"
    names = {parameter.name for parameter in wanted}
    for parameter in offered.values():
        is_needed = parameter.default is Parameter.empty and parameter.kind not in {
            Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL,
        }  # fmt: skip
        has_place = any(p.kind is Parameter.POSITIONAL_ONLY for p in wanted)
        if is_needed and parameter.name not in {*names, "self", "cls"} and not has_place:
            yield parameter.name


def places_of(parameters: Iterable[Parameter]) -> list[str]:
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind <= Parameter.POSITIONAL_OR_KEYWORD
        and parameter.name not in {"self", "cls"}
    ]


def parameters_of(thing: Any) -> list[Parameter] | None:
    try:
        return list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):
        return None


def test_every_call_that_is_right_on_flask_is_right_here() -> None:
    """Names, places and defaults of parameters; the differences are listed above."""
    found: dict[str, list[str]] = {}
    count = 0
    for name, theirs, ours in routines():
        wanted, offered = parameters_of(theirs), parameters_of(ours)
        if wanted is None or offered is None:
            continue
        count += 1
        wrong = list(refused(wanted, offered))
        if wrong:
            found[name] = wrong
    known = {name: names for name, names in found.items() if name in OTHER_PARAMETERS}
    assert {name: wrong for name, wrong in found.items() if name not in OTHER_PARAMETERS} == {}
    assert sorted(known) == sorted(OTHER_PARAMETERS)
    for name, wrong in known.items():
        assert set(OTHER_PARAMETERS[name]) <= set(wrong), name
    assert count > 300


def test_the_comparison_finds_what_is_missing() -> None:
    """A parameter that is renamed, moved, needed or not there is told of."""

    def theirs(a: int, b: int = 1, *, c: int = 2, **more: int) -> None: ...
    def renamed(x: int, b: int = 1, *, c: int = 2, **more: int) -> None: ...
    def moved(b: int = 1, a: int = 0, *, c: int = 2, **more: int) -> None: ...
    def needed(a: int, b: int, *, c: int = 2, d: int, **more: int) -> None: ...
    def fewer(a: int, b: int = 1) -> None: ...

    def compare(ours: Any) -> list[str]:
        return list(refused(parameters_of(theirs) or [], parameters_of(ours) or []))

    assert compare(theirs) == []
    assert compare(renamed) == ["a", "x"]
    assert compare(moved) == ["a at another place", "b at another place"]
    assert compare(needed) == ["b is optional", "d"]
    assert compare(fewer) == ["c", "variadic keyword more"]
