"""After `dewar.compat.install()`, Flask's names are Dewar's objects."""

import importlib.metadata
import subprocess
from collections.abc import Callable

Program = Callable[..., subprocess.CompletedProcess[str]]

IDENTITIES = """
import warnings
import dewar, dewar.compat
dewar.compat.install()
dewar.compat.install()  # a second time does nothing

import flask, flask.views
from flask import Flask, request, g
import werkzeug, werkzeug.local, werkzeug.wsgi
from werkzeug.local import LocalProxy, LocalStack, Local, LocalManager, release_local, get_ident
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple, WSGIRequestHandler
import dewar.globals, dewar.isolation.manager, dewar.isolation.owner, dewar.running
import dewar.mounting.dispatcher

assert flask.Flask is Flask is flask.app.Flask is dewar.Dewar
assert issubclass(Flask, flask.sansio.app.App) and not hasattr(flask.sansio.app.App, "wsgi_app")
assert flask.request is request is dewar.request is flask.globals.request
assert g is dewar.g and flask.session is dewar.session and flask.current_app is dewar.current_app
assert flask.Blueprint is dewar.Blueprint is flask.blueprints.Blueprint
assert flask.views.MethodView is dewar.views.MethodView
assert flask.ctx.AppContext is flask.ctx.RequestContext is dewar.contexts.context.Context
assert flask.globals.app_ctx is dewar.globals.app_ctx
assert LocalProxy is dewar.LocalProxy is werkzeug.local.LocalProxy
assert (Local, LocalStack, release_local) == (dewar.Local, dewar.LocalStack, dewar.release_local)
assert LocalManager is dewar.isolation.manager.LocalManager
assert get_ident is dewar.isolation.owner.current_ident
assert DispatcherMiddleware is werkzeug.wsgi.DispatcherMiddleware
assert DispatcherMiddleware is dewar.mounting.dispatcher.DispatcherMiddleware
assert run_simple is werkzeug.run_simple is dewar.running.run_simple
assert flask.cli.FlaskGroup and flask.json.tag and flask.testing.FlaskClient

# Names of older releases.
import markupsafe
from flask import _app_ctx_stack, _request_ctx_stack, Markup, escape, safe_join
from flask.ctx import _request_ctx_stack as the_same
assert the_same is _request_ctx_stack and werkzeug.LocalStack is dewar.LocalStack
assert (Markup, escape) == (markupsafe.Markup, markupsafe.escape)
assert flask.globals._request_ctx_stack is _request_ctx_stack is not _app_ctx_stack
assert _app_ctx_stack.top is None and _request_ctx_stack._local.__storage__ == {}
app = Flask("identities")
with app.test_request_context("/path") as context:
    assert _app_ctx_stack.top is _request_ctx_stack.top is context
    assert _request_ctx_stack.top.request.path == "/path"
    assert _app_ctx_stack._local.__storage__ == {get_ident(): {"stack": [context]}}
assert _app_ctx_stack._local.__storage__ == {}
for module in (flask, flask.globals):
    try:
        module.never_there
    except AttributeError as error:
        assert "never_there" in str(error)
    else:
        raise AssertionError(module)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    version = flask.__version__
assert [warning.category for warning in caught] == [DeprecationWarning]
from importlib.metadata import PackageNotFoundError, metadata, version as version_of
print(version, version_of("flask"), version_of("Flask"), metadata("flask")["Name"])
try:
    version_of("flask-nothing")
except PackageNotFoundError:
    print("fine")
"""

#: Before anything else, what a Python without Flask would answer.
WITHOUT_FLASK = """
import importlib.metadata, sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

class NoFlask(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "flask" or name.startswith("flask."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

finders = importlib.metadata.MetadataPathFinder
find = finders.find_distributions

def without(context=importlib.metadata.DistributionFinder.Context()):
    return (found for found in find(context) if found.metadata["Name"].lower() != "flask")

finders.find_distributions = staticmethod(without)
# Where Python would find an installed one.
sys.meta_path.insert(sys.meta_path.index(PathFinder), NoFlask())
try:
    import flask
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("Flask is there.")
try:
    importlib.metadata.version("flask")
except importlib.metadata.PackageNotFoundError:
    pass
else:
    raise AssertionError("Flask's version is there.")
"""


def test_the_names_are_ours_where_flask_is_installed(program: Program) -> None:
    """The version is the installed one's."""
    done = program("main.py", main=IDENTITIES)
    version = importlib.metadata.version("flask")
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == f"{version} {version} {version} Flask\nfine\n"


def test_the_names_are_ours_where_flask_is_not_installed(program: Program) -> None:
    """The version is that of the release Dewar is held to."""
    done = program("main.py", main=WITHOUT_FLASK + IDENTITIES)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "3.1.3 3.1.3 3.1.3 Flask\nfine\n"


TOO_LATE = """
import warnings
import flask
theirs = flask.Flask
import dewar, dewar.compat

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    dewar.compat.install()
    dewar.compat.install()
print([(w.category.__name__, w.filename.endswith("main.py")) for w in caught])
assert "before dewar.compat.install()" in str(caught[0].message)
import flask as again, flask.helpers
assert again.Flask is dewar.Dewar is not theirs
assert again.helpers.url_for is dewar.url_for
"""


def test_flask_imported_before_is_told_of(program: Program) -> None:
    """Once, where `install` is called; whoever imports it from then on gets Dewar."""
    done = program("main.py", main=TOO_LATE)
    assert (done.stderr, done.stdout) == ("", "[('RuntimeWarning', True)]\n")


def test_what_a_test_puts_in_a_function_s_place_takes_effect(program: Program) -> None:
    """Set on Flask's module, it is what the framework itself calls; and it can be put back."""
    done = program(
        "main.py",
        main="""
        import dewar.compat
        dewar.compat.install()
        import flask, flask.templating

        app = flask.Flask("patched")
        kept = flask.templating._render
        flask.templating._render = lambda app, template, context: "patched"
        with app.app_context():
            print(flask.render_template_string("plain"))
            flask.templating._render = kept
            print(flask.render_template_string("plain"))
        """,
    )
    assert (done.stderr, done.stdout) == ("", "patched\nplain\n")
