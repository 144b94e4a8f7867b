"""What a test replaces in a module of Flask's or Werkzeug's has the effect that it has on Flask."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Program = Callable[..., CompletedProcess[str]]

PROGRAM = Path(__file__).with_name("replacing.py")
#: The replacements that only Flask uses, each with its reason.
NOT_USED = {
    # Dewar's code does the same in another way.
    "flask.cli.is_running_from_reloader",
    "flask.cli.locate_app",
    "flask.cli.prepare_import",
    "flask.cli.show_server_banner",  # by `flask run` alone: Dewar's server says what it serves
    "flask.helpers._prepare_send_file_kwargs",
    "flask.json.tag.dumps",
    "flask.json.tag.loads",
    "flask.sansio.scaffold._find_package_path",
    "flask.testing._get_werkzeug_version",
    # One variable of the environment, which Dewar's code reads by another function.
    "flask.app.get_load_dotenv",
    "flask.cli.get_load_dotenv",
    # Of the standard library, for decorators.
    "flask.cli.update_wrapper",
    "flask.ctx.update_wrapper",
}
#: What only Dewar uses: it has code of two of Flask's modules in one, `dewar.app_parts`.
USED_TOO = {"flask.sansio.scaffold.find_package"}


def used_in(done: CompletedProcess[str]) -> set[str]:
    assert (done.stderr, done.returncode) == ("", 0)
    found = json.loads(done.stdout.splitlines()[-1])
    return {f"{module}.{name}" for module, names in found.items() for name in names}


def test_what_flask_looks_up_when_it_is_called_can_be_replaced(program: Program) -> None:
    """Functions, signals and classes, in their own module: no more and no less than on Flask."""
    theirs = used_in(program(str(PROGRAM)))
    ours = used_in(program("-m", "dewar.compat", str(PROGRAM)))
    assert len(theirs) > 60
    assert theirs - ours == NOT_USED
    assert ours - theirs == USED_TOO


PATCHES = """
from unittest import mock
import flask, flask.helpers, werkzeug.utils

app = flask.Flask("patches", static_folder=None)
app.add_url_rule("/", "file", lambda: flask.send_file("x"))
app.add_url_rule("/page", "page", lambda: flask.render_template("x"))
client = app.test_client()
sent = app.response_class("sent")
original = werkzeug.utils.send_file

with mock.patch("werkzeug.utils.send_file", return_value=sent) as send_file:
    print(client.get("/").text, send_file.call_args.args, sorted(send_file.call_args.kwargs))
assert werkzeug.utils.send_file is original
with mock.patch("flask.send_file", return_value="replaced"):
    print(client.get("/").text)
with mock.patch("flask.render_template", return_value="page"):
    print(client.get("/page").text)
with mock.patch("flask.templating._render", return_value="rendered"):
    app.jinja_env.loader = __import__("jinja2").DictLoader({"x": "template"})
    print(client.get("/page").text)
print(client.get("/page").text)
with mock.patch("flask.sansio.app.get_debug_flag", return_value=True):
    print(flask.Flask("other").debug)
with mock.patch("flask.helpers.get_debug_flag", return_value=True):
    print(flask.Flask("other").debug)
with mock.patch("flask.app.request_started") as started:
    client.get("/page")
    print(started.send.called)
with mock.patch("flask.json.dumps", return_value="dumped"):
    print(flask.json.dumps(1), client.get("/page").text)
with mock.patch.object(flask.Flask, "make_response", lambda app, rv: sent):
    print(client.get("/page").text)
with mock.patch.object(flask.Request, "endpoint", "patched"), app.test_request_context("/x"):
    print(flask.request.endpoint)
with mock.patch("flask.testing.FlaskClient") as made:
    print(app.test_client() is made.return_value)
"""


def test_mocks_have_their_effect_and_end(program: Program) -> None:
    """As on Flask, where a program imports the functions by either name."""
    theirs = program("theirs.py", theirs=PATCHES)
    ours = program("-m", "dewar.compat", "ours.py", ours=PATCHES)
    assert (ours.stderr, ours.returncode) == (theirs.stderr, theirs.returncode) == ("", 0)
    assert ours.stdout == theirs.stdout
    assert ours.stdout.splitlines()[1:5] == ["replaced", "page", "rendered", "template"]
