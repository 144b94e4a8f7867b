"""Tools that trace a program wait for the import of Flask's modules, and wrap what is in them."""

import subprocess
from collections.abc import Callable

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]

HOOKS = """
import sys
from importlib.util import find_spec

def wrapping(function, note):
    def wrapped(*args, **kwargs):
        print(note)
        return function(*args, **kwargs)
    return wrapped

def hook_app(module):
    Flask = module.Flask
    Flask.dispatch_request = wrapping(Flask.dispatch_request, "dispatch")
    module.Flask = type("Traced", (Flask,), {})

def hook_templating(module):
    module.render_template_string = wrapping(module.render_template_string, "render")

HOOKS = {"flask": lambda module: print("flask"), "flask.app": hook_app,
         "flask.templating": hook_templating}

class Hooked:
    def __init__(self, loader, spec):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        # By the name of the module, as wrapt and ddtrace do.
        HOOKS.pop(module.__name__)(module)

class Finder:
    def __init__(self):
        self.searched = set()

    def find_spec(self, name, *_):
        if name not in HOOKS or name in self.searched:
            return None
        self.searched.add(name)
        spec = find_spec(name)
        spec.loader = Hooked(spec.loader, spec)
        return spec

sys.meta_path.insert(0, Finder())
"""
IS_OURS = "assert flask.Flask.__mro__[1].__module__ == 'dewar.app'\n"
CHILD = "import subprocess, sys; subprocess.run([sys.executable, 'ours.py'])"
INSTALL = "import dewar.compat\ndewar.compat.install()\n"
PROGRAM = """
import flask
from flask import Flask, render_template_string

app = Flask("traced")
app.add_url_rule("/", view_func=lambda: flask.render_template_string("one"), endpoint="one")
app.add_url_rule("/two", view_func=lambda: render_template_string("two"), endpoint="two")
client = app.test_client()
print(client.get("/").text, client.get("/two").text, type(app).__name__, flask.__name__)
print(flask.app.Flask is flask.Flask, flask.templating.__name__)
"""


@pytest.mark.parametrize("hooks_first", [True, False])
@pytest.mark.parametrize("way", ["command", "lines", "child"])
def test_hooks_run_when_flask_is_imported(program: Program, way: str, hooks_first: bool) -> None:
    """In the order and with the effects that they have on Flask, whichever was there first."""
    theirs = program("theirs.py", theirs=HOOKS + PROGRAM)
    assert theirs.stdout.splitlines()[:3] == ["flask", "dispatch", "render"], theirs.stderr
    install = INSTALL if way == "lines" else ""
    ours = (HOOKS + install if hooks_first else install + HOOKS) + PROGRAM + IS_OURS
    arguments = ["ours.py"] if way == "lines" else ["-m", "dewar.compat", "ours.py"]
    if way == "child":
        arguments[2:] = ["-c", CHILD]
    done = program(*arguments, ours=ours)
    assert (done.stdout, done.stderr) == (theirs.stdout, "")
