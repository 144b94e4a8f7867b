"""No class and no module holds mutable state, but for what is named here."""

import ast
from pathlib import Path

import pytest

from architecture.state import caches, find_changes, find_kept
from architecture.tree import SOURCES, name_of, parse

#: What a process has once, by its nature, each with its reason.
PROCESS_WIDE = {
    ("contexts/current.py", "_cell"): "which contexts are current, for each thread, task, greenlet",
    ("contexts/current.py", "contexts"): "the stack in that cell",
    ("isolation/owner.py", "_this_thread"): "which thread this is",
    ("loop/process_loop.py", "process_loop"): "the one event loop, for all apps",
    ("loop/task_scope.py", "current_scope"): "whose tasks are begun, for each task",
    (
        "server/system/forked_signals.py",
        "forked_signals",
    ): "inboxes of signals, to be told of a fork: Python keeps one list",
    (
        "tasks/serialization/task_address.py",
        "finder",
    ): "apps that jobs of other processes made here, by their paths",
    (
        "tasks/engines/execution.py",
        "is_remote",
    ): "whether this job runs on an engine elsewhere, for each job",
    (
        "tasks/engines/process_hooks.py",
        "process_hooks",
    ): "pools, to be told of a fork and the interpreter's end",
    (
        "tasks/ledger/inherited_connections.py",
        "_inherited",
    ): "connections of the parent, which its drivers would close",
    (
        "tasks/ledger/socket_notifications.py",
        "_fork_reset",
    ): "sockets, to be closed in a fork: Python keeps one list",
    (
        "tasks/ledger/sqlite.py",
        "_fork_barrier",
    ): "ledgers, to be told of a fork: Python keeps one list",
    ("tasks/progress.py", "running"): "the current job, for each thread and task",
    ("support/metric_sources.py", "metric_sources"): "who counts something here: a scrape asks all",
    ("tasks/metrics.py", "job_counts"): "the counts of this process, which go on in the next app",
    ("tasks/attached_apps.py", "_runtimes"): "Tasks that must not take each other's jobs",
}
#: What Flask has on its modules and classes, where programs look for it.
AS_FLASK = {
    ("app_parts.py", "AppParts.default_config"): "copied for each app",
    ("app_parts.py", "AppParts.jinja_options"): "copied for each app",
    ("views.py", "View.decorators"): "read for each view",
    ("logging.py", "default_handler"): "what an app logs with when nobody has set up logging",
    ("compat/flask/cli.py", "cli"): "the group of Flask's commands",
    ("compat/flask/sessions.py", "session_json_serializer"): "the serializer of Flask's sessions",
    **{
        ("signals.py", name): "receivers are Blinker's, and are told of one app or of all"
        for name in (
            "appcontext_popped",
            "appcontext_pushed",
            "appcontext_tearing_down",
            "before_render_template",
            "got_request_exception",
            "message_flashed",
            "request_finished",
            "request_started",
            "request_tearing_down",
            "signals",
            "template_rendered",
        )
    },
    **{
        ("tasks/signals.py", f"job_{name}"): "as the others"
        for name in ("accepted", "ended", "progressed", "retried", "started")
    },
}
#: Objects that could be changed, and are not.
NEVER_CHANGED = {
    ("contexts/portable.py", "_SERIALIZER"): "its tags are those of the class, and none is added",
    ("cli/main.py", "DewarGroup._dewar_commands"): "the commands of `dewar`",
    ("contexts/legacy.py", "app_cell"): "a view of the stack of its kind",
    ("contexts/legacy.py", "request_cell"): "a view of the stack of its kind",
    ("isolation/owner.py", "_modules"): "the interpreter's own, to look into",
    ("messages/error_pages.py", "_STOCK_PARTS"): "members of a class, to compare",
    ("messages/error_pages.py", "_stock_parts"): "asks a class for its members",
    ("messages/request.py", "_STOCK"): "members of a class, to compare",
    ("messages/sending.py", "_STOCK"): "members of a class, to compare",
    ("server/connection/exchange.py", "_INTERNAL_ERROR"): "an answer",
    ("server/settings/settings.py", "_ADDRESSES"): "a kind of setting",
    ("server/settings/settings.py", "_NETWORKS"): "a kind of setting",
    ("server/wire/errors.py", "BODY_TIMEOUT"): "an answer",
    ("server/wire/field_parser.py", "_DETACHED_PARSER"): "stands for no parser",
    ("sessions/cookie_fields.py", "_VARY"): "a member of the class of responses, at import",
}
#: Functions that remember what they returned, each with what bounds it.
CACHES = {
    (
        "contexts/unavailable.py",
        "_namespace_class",
    ): "a class for each class of `g` and what it lacks",
    ("messages/error_pages.py", "_known_page"): "the pages of 64 errors, of 1,024 characters each",
    ("server/connection/thread_bound.py", "_role"): "a word for each of 512 types",
    ("compat/historic.py", "_stack"): "two, made when an older program asks for them",
    ("support/redaction.py", "_compiled"): "a function for each list of names; an app has one",
    ("sessions/cookie_fields.py", "_compose"): "the attributes of 64 cookies",
    ("sessions/cookie_fields.py", "_write_date"): "the texts of 64 seconds",
    ("tasks/ledger/claim_statements.py", "levels_of"): "a statement for each number of queues",
    ("tasks/ledger/statements.py", "change_of"): "a statement for each set of columns",
}
#: Modules that act on the process when they are imported, which is what they are for.
PROGRAMS = {
    "compat/flask/__main__.py",
    "compat/startup/sitecustomize.py",
    "tasks/engines/celery/worker.py",
}


def test_modules_and_classes_hold_no_mutable_state() -> None:
    """What is registered belongs to an app."""
    found = find_kept([path for path in SOURCES if name_of(path) not in PROGRAMS])
    known = PROCESS_WIDE | AS_FLASK | NEVER_CHANGED
    kept = {(one.file, one.name): one.kind for one in found}
    assert {where: kind for where, kind in kept.items() if where not in known} == {}
    assert set(known) - set(kept) == set(), "an exception that is not needed"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_function_changes_what_a_module_holds(path: Path) -> None:
    """Tables of a module are constants, and no function has a ``global``."""
    known = {name for _, name in PROCESS_WIDE}
    assert [(name, line) for name, line in find_changes(parse(path)) if name not in known] == []


def test_caches_are_known() -> None:
    """A cache of a function is state of its module."""
    found = {(name_of(path), name) for path in SOURCES for name in caches(parse(path))}
    assert found == set(CACHES)


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    global X\n    X = 1",
        "X = {}\ndef f():\n    X['a'] = 1",
        "X = {}\ndef f():\n    del X['a']",
        "X = []\ndef f():\n    X.append(1)",
        "X = []\ndef f():\n    X[0] += 1",
        "X = object()\ndef f():\n    X.a = 1",
        "from dewar.x import X\ndef f():\n    X.update(a=1)",
    ],
)
def test_a_change_is_found(text: str) -> None:
    """Of what is assigned in a module, or imported from another one."""
    assert [name for name, _ in find_changes(ast.parse(text))] == ["X"]


@pytest.mark.parametrize(
    "text",
    [
        "X = {}\nX['a'] = 1",
        "X = {}\ndef f(X):\n    X['a'] = 1",
        "X = {}\ndef f():\n    X = {}\n    X['a'] = 1",
        "X = {}\ndef f():\n    return X['a']",
        "from os import environ\ndef f():\n    environ.pop('a')",
    ],
)
def test_other_changes_are_not(text: str) -> None:
    """While a module is imported, of what a function has made, and of what is not ours."""
    assert list(find_changes(ast.parse(text))) == []
