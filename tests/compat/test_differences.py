"""The page of differences is right: Flask does one thing, Dewar the other.

A difference that is gone fails here, and so does a statement of the page without a test.
"""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask
import pytest

import dewar
from compat.differing import DIFFERENCES

TESTS = Path(__file__).parents[1]
REFERENCE = TESTS.parent / "docs" / "reference"
PAGE = (REFERENCE / "differences-from-flask.md").read_text(encoding="utf-8")
COMPATIBILITY = (REFERENCE / "compatibility.md").read_text(encoding="utf-8")
#: For each statement of the page its tests: keys of `DIFFERENCES`, or functions of a file.
STATED: dict[str, list[str]] = {
    "The shipped session is opened when it is first read": [
        "the URL adapter is made when needed",
        "sessions/test_laziness.py::test_the_shipped_interface_may_open_late",
        "sessions/test_laziness.py::test_a_subclass_may_not",
        "sessions/test_laziness.py::test_a_class_of_g_is_made_before_the_hooks",
    ],
    "Every teardown function runs": ["every teardown function runs"],
    "The request is still visible in `teardown_appcontext` functions": [
        "the request is visible at the end",
        "the request is visible at the beginning",
    ],
    "A `MethodView` without the method responds 405": ["a MethodView without the method"],
    "`ensure_sync` is called once for each function": ["ensure_sync is called once"],
    "Coroutine views need no extra.": ["a coroutine view inside a loop"],
    "`as_view` returns a coroutine function for a class of coroutines": ["a class of coroutines"],
    "A mounted app has a separate session cookie": [
        "a mounted app has its cookie",
        (
            "sessions/test_mounted_sessions.py::"
            "test_the_root_keeps_its_cookie_and_a_mounted_app_has_its_own"
        ),
    ],
    "An endpoint with a colon can name another app.": [
        "a link with a colon",
        "mounting/test_mount_links.py::test_an_endpoint_that_has_a_colon_is_the_app_s_own",
        (
            "mounting/test_mount_links.py::"
            "test_an_app_s_own_url_for_in_a_request_of_another_builds_its_own_urls"
        ),
    ],
    "The contexts are one object.": [
        "the contexts are one object",
        (
            "contexts/test_context_names.py::"
            "test_g_of_a_request_inside_an_app_context_is_that_of_the_app_context"
        ),
    ],
    "Popping a context out of order raises an error and changes nothing.": ["a pop out of order"],
    "A streamed response never leaves a context behind.": [
        "between two pieces",
        "contexts/test_streaming.py::test_an_abandoned_stream_leaves_nothing_on_the_thread",
    ],
    "A stream reads the context variables of its request, and keeps what it sets.": [
        "what a stream sets",
        "property/test_context_variables.py::test_each_part_reads_what_it_reads_on_flask",
    ],
    "`copy_current_request_context` copies for each call.": ["each call has a context"],
    "`SECRET_KEY_FALLBACKS` must be a list.": ["fallback keys are a list"],
    "A chunked body above `MAX_CONTENT_LENGTH` always gets a 413.": ["a long chunked body"],
    "`open_resource` reads text as UTF-8": ["the encoding of a resource"],
    "Each app has its own session interface.": ["an interface of each app"],
    "Errors are `DewarError`s": [
        "the repr of an app",
        "compat/test_same_errors.py::test_an_error_is_of_the_class_that_flask_raises",
    ],
    "Environment variables": ["variables"],
    "The server is Dewar's own.": [
        "test_running.py::test_by_default_it_listens_as_flask_does",
        "test_running.py::test_host_port_and_the_servers_settings_are_passed_on",
        "cli/test_cli_run.py::test_an_app_is_served",
    ],
    "The access log is off": [
        "cli/test_cli_run.py::test_requests_are_shown_on_request",
        "test_running.py::test_it_does_nothing_while_a_command_imports_the_script",
    ],
    "A chunked body has a length.": [
        "server/test_server_apps.py::test_a_chunked_body_has_a_length",
        "server/wire/test_reader.py::test_the_environ_has_what_pep_3333_asks_for",
    ],
    "`SystemExit` in a view is answered with status 500": [
        "server/test_server_apps.py::test_an_app_that_exits_answers_500",
    ],
    "Middleware around a coroutine view gets its answer later": [
        "server/test_server_async_middleware.py::test_middleware_gives_on_what_coroutines_answer",
    ],
    "The reloader needs watchfiles": [
        "test_running.py::test_without_watchfiles_it_serves_all_the_same",
        "server/test_reload.py::test_the_child_knows_what_it_is",
        "server/test_reload.py::test_clients_are_told_while_no_child_can_serve",
        "server/test_reload.py::test_a_running_program_takes_up_its_changes_and_refuses_no_client",
    ],
    "`ssl_context` and `flask run --cert` are suitable for production": [
        "test_running.py::test_ssl_context_means_what_it_means_in_flask",
        "test_running.py::test_adhoc_names_what_it_needs",
    ],
    "The debugger needs a loopback address.": [
        "test_running.py::test_debug_mode_brings_the_debugger_on_loopback_only",
    ],
    "`run_simple` is `dewar.running.run_simple`": [
        "test_running.py::test_run_simple_warns_of_what_has_no_effect",
        "test_running.py::test_app_run_warns_of_what_has_no_effect",
    ],
    "`werkzeug.serving.make_server` is Werkzeug's": [
        "compat/test_make_server.py::test_make_server_serves_until_it_is_shut_down",
    ],
    "A program's own signal handlers run beside the server's.": [
        (
            "server/test_server_program_handlers.py::"
            "test_a_signal_that_stops_the_server_is_handled_by_the_program_too"
        ),
    ],
    "`template_filter`, `template_test` and `template_global` work without parentheses": [
        "template functions without parentheses",
    ],
    "`g` names what is missing": ["g names what is missing"],
    "[WebSockets](../how-to/websockets.md) are views": [
        "pipeline/test_websocket_ways.py::test_it_ends_with_the_block",
    ],
}
#: Old names that Werkzeug no longer has: `test_compat_identities.py` sees them.
INSTALLED = {"werkzeug.wsgi.DispatcherMiddleware", "werkzeug.run_simple"}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_the_page_is_right_about_both(difference: str) -> None:
    """Flask does the one thing and Dewar the other."""
    see, on_flask, on_dewar = DIFFERENCES[difference]
    assert see(flask) == on_flask
    assert see(dewar) == on_dewar


def test_each_statement_of_the_page_has_its_tests() -> None:
    """A statement begins in bold; none of the table is left over either."""
    begins = re.findall(r"^\*\*(.+?)\*\*", PAGE, re.MULTILINE)
    assert sorted(begins) == sorted(STATED)
    named = [name for names in STATED.values() for name in names]
    assert {name for name in named if "::" not in name} == set(DIFFERENCES)
    for name in named:
        path, _, function = name.partition("::")
        assert not function or f"def {function}(" in (TESTS / path).read_text("utf-8"), name


def test_the_names_in_the_tables_are_there() -> None:
    """Those of Flask and Werkzeug, and those of Dewar for which they are replaced."""
    compatibility = COMPATIBILITY.partition("| import |")[2].partition("If a test replaces")[0]
    for table in (PAGE.partition("## Import paths")[2], compatibility):
        names = re.findall(r"`((?:dewar|flask|werkzeug)(?:\.\w+)+)`", table)
        assert len(names) > 10
        for name in set(names) - INSTALLED:
            assert found(name) is not None, name


def test_the_names_that_are_said_to_be_missing_are() -> None:
    """Of Flask 3.1 a few in one module, and of older releases three."""
    text = COMPATIBILITY
    listed = text[text.index("these are missing:") : text.index("in `flask.debughelpers`")]
    names = re.findall(r"`(\w+)`", listed)
    assert len(names) == 3
    for name in names:
        assert hasattr(found("flask.debughelpers"), name)
        assert not hasattr(found("dewar.compat.flask.debughelpers"), name)
    app = dewar.Dewar("missing", static_folder=None)
    assert not hasattr(app, "before_first_request")
    assert not hasattr(app, "env")
    for module in ("dewar.compat.flask", "dewar.compat.flask.json"):
        assert not hasattr(found(module), "JSONEncoder")


def test_the_names_of_older_releases_are_there() -> None:
    """Each of the table, where it says."""
    text = COMPATIBILITY
    table = text[text.index("| name | description |") : text.index("A script that uses these")]
    names = re.findall(r"`flask\.([\w.]+)`", table)
    assert len(names) == 7
    # In a process of its own: the stacks watch all contexts from the first look at them.
    looked_up = "\n".join(f"import_string('dewar.compat.flask.{name}')" for name in names)
    program = f"from werkzeug.utils import import_string\n{looked_up}"
    subprocess.run([sys.executable, "-c", program], check=True)


def found(path: str) -> Any:
    """Return a module, or what a module or a class has under a name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        owner, _, name = path.rpartition(".")
        return getattr(found(owner), name)
