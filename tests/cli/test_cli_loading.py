"""From a module to the app in it."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import flask
import flask.cli
import pytest

import dewar
from dewar.cli import loading
from dewar.cli.errors import AppNotNamedError, NoAppError
from dewar.cli.modules import prepare_import

Write = Callable[[str, str], Path]


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """A plain WSGI app."""
    return []


class Middleware:
    """A WSGI app that is an object."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def module_with(**names: Any) -> Any:
    """Return something with names, as a module has."""
    module = ModuleType("shop")
    vars(module).update(names)
    return module


def broken_factory() -> None:
    """Fail inside, with an error that looks like a wrong call."""
    raise TypeError("inside")


def contents(make: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    """Return what may be in a module, with apps of one framework."""
    return {
        "app": {"app": make("a")},
        "application": {"application": make("a"), "other": make("b")},
        "other name": {"shop": make("a")},
        "two": {"x": make("a"), "y": make("b")},
        "none": {"x": 1},
        "factory": {"create_app": lambda: make("a")},
        "other factory": {"make_app": lambda: make("a")},
        "optional arguments": {"create_app": lambda a=None, b=None: make("a")},
        "needed argument": {"create_app": lambda config: make("a")},
        "two needed arguments": {"create_app": lambda config, debug: make("a")},
        "factory of nothing": {"create_app": lambda: None},
        "broken factory": {"create_app": broken_factory},
        "app before factory": {"app": make("a"), "create_app": lambda: make("b")},
        "class": {"app": type(make("a"))},
        "proxy": {"current_app": dewar.current_app, "shop": make("a")},
    }


def outcome(find: Callable[..., Any], *args: Any) -> str:
    """Return the name of the app that was found, or the kind of failure."""
    try:
        return str(find(*args).name)
    except click.UsageError:
        return "no app"
    except TypeError as error:
        return f"TypeError: {error}"


@pytest.mark.parametrize("case", list(contents(dewar.Dewar)))
def test_the_likeliest_app_is_flask_s(case: str) -> None:
    """A module's app is the one that Flask's command line would find."""
    ours = outcome(loading.find_best_app, module_with(**contents(dewar.Dewar)[case]))
    theirs = outcome(flask.cli.find_best_app, module_with(**contents(flask.Flask)[case]))
    assert ours == theirs


CALLS = [
    "app",
    " app ",
    "make",
    "make()",
    "needs",
    "needs()",
    "needs('x')",
    "needs('x', 'y')",
    "needs(name='x')",
    "needs(nome='x')",
    "needs(name=['x'][0])",
    "needs(os)",
    "nothing",
    "number",
    "broken",
    "missing",
    "a.b",
    "a.b()",
    "a b",
    "",
    "make(",
    "'app'",
    "make()()",
]


@pytest.mark.parametrize("text", CALLS)
def test_a_name_or_call_means_what_it_means_to_flask(text: str) -> None:
    """``module:text`` finds the app, or fails, as it does with Flask."""

    def names(make: Callable[[str], Any]) -> dict[str, Any]:
        return {
            "app": make("a"),
            "make": lambda: make("made"),
            "needs": lambda name: make(name),
            "nothing": lambda: None,
            "number": 5,
            "broken": broken_factory,
            "a": SimpleNamespace(b=make("b")),
        }

    ours = outcome(loading.find_app_by_string, module_with(**names(dewar.Dewar)), text)
    theirs = outcome(flask.cli.find_app_by_string, module_with(**names(flask.Flask)), text)
    assert ours == theirs


@pytest.mark.parametrize("app", [wsgi, Middleware()], ids=["function", "object"])
def test_any_wsgi_callable_is_an_app(app: Any) -> None:
    """A plain WSGI callable is found by its name, and as ``app`` or ``application`` without."""
    assert loading.find_app_by_string(module_with(served=app), "served") is app
    assert loading.find_best_app(module_with(app=app)) is app
    assert loading.find_best_app(module_with(application=app)) is app


def test_a_factory_may_make_any_wsgi_callable() -> None:
    """What a factory returns need not be a Dewar app."""
    assert loading.find_app_by_string(module_with(make=lambda name: wsgi), "make('x')") is wsgi


def test_a_dewar_app_goes_before_a_plain_one() -> None:
    """Where a module wraps its app, the app itself is found, as with Flask."""
    app = dewar.Dewar("a")
    assert loading.find_best_app(module_with(application=Middleware(), shop=app)) is app


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app."""


@pytest.mark.parametrize(
    ("names", "text", "message"),
    [
        ({"shop": 1}, "shpo", r"attribute 'shpo' in 'shop'. Did you mean 'shop'\?"),
        ({}, "zzz", r"Failed to find attribute 'zzz' in 'shop'.$"),
        ({"make": lambda name: 1}, "make", r"It takes \(name\): 'shop:make\(...\)' passes"),
        ({"make": lambda name: 1}, "make(1, 2)", r"with the specified arguments. It takes \(name"),
        ({"make": lambda: None}, "make", r"it is None. A factory ends with 'return app'"),
        ({"make": lambda: None}, "make(x)", r"as literal values: 'make\(x\)'"),
        ({"app": asgi}, "app", r"ASGI app, and Dewar serves WSGI"),
        ({"App": Middleware}, "App", r"It is a class; .* call it: 'shop:App\(\)'"),
        ({"app": 5}, "app", r"it is 5. An app is called with \(environ, start_response\)"),
        ({}, "a.b()", r"Function reference must be a simple name: 'a.b\(\)'"),
        ({}, "a b", r"Write 'module:app' or"),
    ],
)
def test_errors_show_the_repair(names: dict[str, Any], text: str, message: str) -> None:
    """Each mistake is answered with what to write instead."""
    with pytest.raises(NoAppError, match=message):
        loading.find_app_by_string(module_with(**names), text)


def test_several_apps_are_named() -> None:
    """Where any of several could be meant, they are listed."""
    module = module_with(x=dewar.Dewar("a"), y=dewar.Dewar("b"))
    with pytest.raises(NoAppError, match=r"multiple apps in module 'shop': x, y. Say which"):
        loading.find_best_app(module)


def test_an_app_without_a_name_of_its_own_is_asked_for() -> None:
    """Where nothing could be meant, the usual names are told."""
    with pytest.raises(NoAppError, match="Call it 'app' or 'create_app'"):
        loading.find_best_app(module_with(x=1))


def test_a_class_can_be_called() -> None:
    """``module:Class()`` is the object that a class makes."""
    module = module_with(App=Middleware)
    assert isinstance(loading.find_app_by_string(module, "App()"), Middleware)


@pytest.mark.parametrize(
    "target",
    ["shop", "shop:app", "shop.py", "shop.py:app", "shop:make('shop')", "./shop.py:app", "pkg.a:x"],
)
def test_a_target_is_loaded(target: str, write: Write) -> None:
    """Module or file, name or call: each leads to the app."""
    text = "from dewar import Dewar\n\nNAME = Dewar('shop')\n\ndef make(name): return Dewar(name)\n"
    write("shop.py", text.replace("NAME", "app"))
    write("pkg/__init__.py", "")
    write("pkg/a.py", text.replace("NAME", "x"))
    assert loading.load_app(target).name == "shop"


@pytest.mark.parametrize("name", ["app.py", "wsgi.py", "app/__init__.py"])
def test_without_a_target_the_usual_files_are_tried(name: str, write: Write) -> None:
    """``wsgi.py`` and ``app.py``, or packages of these names, need not be named."""
    write(name, "from dewar import Dewar\n\napp = Dewar('shop')\n")
    assert loading.load_default_app().name == "shop"


def test_wsgi_goes_before_app(write: Write) -> None:
    """Where both files are there, ``wsgi.py`` is meant, as with Flask."""
    write("app.py", "from dewar import Dewar\n\napp = Dewar('from app')\n")
    write("wsgi.py", "from dewar import Dewar\n\napp = Dewar('from wsgi')\n")
    assert loading.load_default_app().name == "from wsgi"


def test_where_there_is_none_the_way_to_name_one_is_told(write: Write) -> None:
    """The error gives the option and the variable, with a file that is there."""
    write("shop.py", "")
    with pytest.raises(AppNotNamedError, match=r"'dewar --app shop', or set DEWAR_APP=shop"):
        loading.load_default_app()


def test_locating_can_be_quiet(write: Write) -> None:
    """A missing module can be None; a broken one is an error all the same."""
    assert loading.locate_app("zzz", None, raise_if_not_found=False) is None
    with pytest.raises(NoAppError):
        loading.locate_app("zzz", None)
    write("shop.py", "1 / 0")
    prepare_import("shop.py")
    with pytest.raises(NoAppError, match="ZeroDivisionError"):
        loading.locate_app("shop", None, raise_if_not_found=False)
