"""Load an app from a module: by its name, by calling a factory, or by guessing."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, overload

from dewar.cli.errors import AppNotNamedError, NoAppError
from dewar.cli.interface import is_command_app
from dewar.cli.modules import import_file, import_named, split_target
from dewar.support.near_match import did_you_mean

_APP_NAMES = ("app", "application")
_FACTORY_NAMES = ("create_app", "make_app")
_DEFAULT_MODULES = ("wsgi", "app")


class Call(NamedTuple):
    """A name, or a name that is called: ``create_app("testing")``."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]
    is_called: bool


def load_app(target: str) -> Any:
    """Return the WSGI app that a user named.

    Args:
        target: ``module``, ``module:app``, ``module:factory(1, debug=True)``, or a file instead
            of the module: ``folder/file.py:app``.

    Raises:
        NoAppError: If it cannot be found, imported or made; the message names a near match.
    """
    path, name = split_target(target)
    return _app_in(import_file(path), name)


def load_default_app() -> Any:
    """Return the app in ``wsgi.py`` or ``app.py`` in the working directory.

    Raises:
        AppNotNamedError: If there is neither file.
        NoAppError: If the file has no app.
    """
    for name in _DEFAULT_MODULES:
        if Path(f"{name}.py").is_file() or Path(name, "__init__.py").is_file():
            return _app_in(
                import_file(f"{name}.py" if Path(f"{name}.py").is_file() else name), None
            )
    others = sorted(path.stem for path in Path.cwd().glob("*.py"))
    example = others[0] if others else "module"
    raise AppNotNamedError(
        f"No app was named, and there is neither a wsgi.py nor an app.py in {Path.cwd()}."
        f" Say which module it is in: 'dewar --app {example}', or set DEWAR_APP={example}"
        " (FLASK_APP is read too)."
    )


@overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: Literal[True] = True
) -> Any: ...
@overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = ...
) -> Any | None: ...
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> Any | None:
    """Return the app in a module that can be imported.

    Args:
        module_name: The name to import.
        app_name: A name or a call in it; None takes what `find_best_app` finds.
        raise_if_not_found: Raise if there is no such module, instead of returning None.

    Raises:
        NoAppError: If there is no app.
    """
    try:
        module = import_named(module_name)
    except NoAppError as error:
        if raise_if_not_found or error.__cause__ is not None:
            raise
        return None
    return _app_in(module, app_name)


def find_best_app(module: ModuleType) -> Any:
    """Return the app of a module, without its name.

    It is ``app`` or ``application``, else the only app in the module, else the result of
    ``create_app()`` or ``make_app()``.

    Raises:
        NoAppError: If there is no app, or more than one.
    """
    named = [getattr(module, name, None) for name in _APP_NAMES]
    apps = {name: value for name, value in vars(module).items() if is_command_app(value)}
    for value in named:
        if is_command_app(value):
            return value
    if len(apps) > 1:
        raise NoAppError(
            f"Detected multiple apps in module {module.__name__!r}: {', '.join(sorted(apps))}."
            f" Say which: '{module.__name__}:{min(apps)}'."
        )
    if apps:
        return next(iter(apps.values()))
    for value in named:
        if _is_wsgi(value):
            return value
    for name in _FACTORY_NAMES:
        factory = getattr(module, name, None)
        if inspect.isfunction(factory):
            return _called(module, factory, Call(name, [], {}, is_called=False))
    raise NoAppError(
        f"Failed to find an app or a factory in module {module.__name__!r}. Call it 'app' or"
        f" 'create_app', or say its name: '{module.__name__}:name'."
    )


def find_app_by_string(module: ModuleType, app_name: str) -> Any:
    """Return the app that a module has under a name, or that a call in it returns.

    Args:
        module: The module.
        app_name: ``name`` or ``name(arguments)``; the arguments are literals.

    Raises:
        NoAppError: If there is no such name, the arguments do not fit, or it is not an app.
    """
    call = _parse(app_name)
    try:
        value = getattr(module, call.name)
    except AttributeError:
        near = did_you_mean(call.name, (name for name in vars(module) if not name.startswith("_")))
        raise NoAppError(
            f"Failed to find attribute {call.name!r} in {module.__name__!r}.{near}"
        ) from None
    if is_command_app(value):
        return value
    if callable(value) and (call.is_called or _is_factory(call.name, value)):
        return _called(module, value, call)
    return _accepted(value, f"{module.__name__}:{app_name}")


def _app_in(module: ModuleType, name: str | None) -> Any:
    return find_app_by_string(module, name) if name else find_best_app(module)


def _parse(text: str) -> Call:
    """Read a name or a call of a name with literal arguments."""
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise NoAppError(_unreadable(text)) from None
    if isinstance(expression, ast.Name):
        return Call(expression.id, [], {}, is_called=False)
    if not isinstance(expression, ast.Call):
        raise NoAppError(_unreadable(text))
    if not isinstance(expression.func, ast.Name):
        raise NoAppError(
            f"Function reference must be a simple name: {text!r}. Import it into the module under"
            " a name of its own."
        )
    try:
        args = [ast.literal_eval(argument) for argument in expression.args]
        kwargs = {
            word.arg: ast.literal_eval(word.value) for word in expression.keywords if word.arg
        }
    except ValueError:
        raise NoAppError(
            f"Failed to parse arguments as literal values: {text!r}. A factory can be given"
            " strings, numbers, lists and the like: 'module:create_app(\"testing\")'."
        ) from None
    return Call(expression.func.id, args, kwargs, is_called=True)


def _unreadable(text: str) -> str:
    return (
        f"Failed to parse {text!r} as an attribute name or function call."
        " Write 'module:app' or 'module:create_app(\"testing\")'."
    )


def _called(module: ModuleType, factory: Callable[..., Any], call: Call) -> Any:
    """Return the app that a factory makes."""
    place = f"{module.__name__}:{call.name}"
    if not _binds(factory, call.args, call.kwargs):
        how = "with the specified arguments" if call.is_called else "without arguments"
        raise NoAppError(
            f"The factory {call.name!r} in module {module.__name__!r} could not be called {how}."
            f" It takes {inspect.signature(factory)}: '{place}(...)' passes arguments."
        )
    return _accepted(factory(*call.args, **call.kwargs), f"{place}()")


def _accepted(value: Any, place: str) -> Any:
    """Return a value if it can be served; raise an error that says why it cannot."""
    if is_command_app(value) or _is_wsgi(value):
        return value
    if value is None and place.endswith("()"):
        repair = "A factory ends with 'return app'."
    elif isinstance(value, type):
        repair = f"It is a class; name an instance, or call it: '{place}()'."
    elif _is_coroutine_function(value):
        repair = "It looks like an ASGI app, and Dewar serves WSGI."
    else:
        repair = "An app is called with (environ, start_response)."
    raise NoAppError(f"A valid app was not obtained from {place!r}: it is {value!r}. {repair}")


def _is_factory(name: str, value: Any) -> bool:
    """Return whether a value is a function that makes the app, not the app itself."""
    if not inspect.isfunction(value) or _is_coroutine_function(value):
        return False
    return name in _FACTORY_NAMES or not _is_wsgi(value)


def _is_wsgi(value: Any) -> bool:
    """Return whether a value can be called as a WSGI app (PEP 3333), and is not a factory."""
    if not callable(value) or isinstance(value, type) or _is_coroutine_function(value):
        return False
    is_factory = inspect.isfunction(value) and _binds(value, [], {})
    return _binds(value, [{}, None], {}) and not is_factory


def _is_coroutine_function(value: Any) -> bool:
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
        getattr(type(value), "__call__", None)  # noqa: B004  # the function itself is looked at
    )


def _binds(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Return whether a function takes these arguments; True if that is unknown."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except ValueError:
        return True
    except TypeError:
        return False
    return True
