"""Which functions, apps and classes a Celery message may name."""

import json
import os
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import farjobs
from dewar.tasks.engines.celery.function_names import (
    check_app,
    checked_loads,
    find_function,
    importable_name,
    is_under,
    parse_allowed,
    resolve,
)
from dewar.tasks.engines.execution import perform_remote
from dewar.tasks.errors import NotSupported, UnknownTask, Unreadable
from dewar.tasks.serialization.values import pack, unpack

ALLOWED = frozenset({"farjobs"})


class Holder:
    def method(self) -> None:
        pass


def test_a_function_is_found_by_its_name() -> None:
    """Its name leads back to the function."""
    assert importable_name(farjobs.add) == "farjobs:add"
    assert resolve("farjobs:add", ALLOWED) is farjobs.add


@pytest.mark.parametrize(
    "function", [lambda: 1, len, Holder().method, farjobs._private, Holder, print]
)
def test_what_cannot_be_found_by_name_is_refused(function: Any) -> None:
    """A lambda, a built-in, a method of an object, a private function, a class."""
    with pytest.raises(NotSupported) as caught:
        importable_name(function)
    assert caught.value.engine == "celery"


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "builtins:eval",
        "farjobs:os.system",
        "farjobs:_private",
        "farjobs:Path",
        "farjobs:Path.unlink",
        "farjobs:request.get_json",
        "farjobs:app",
        "farjobs:missing",
        "farjobs:add.__globals__",
        "farjobs:",
        ":add",
        "farjobs",
        "farjobsx:add",
        "farjobs.missing:add",
        "farjobs:capture",
        "__main__:add",
        "",
    ],
)
def test_a_worker_refuses_other_names(name: str) -> None:
    """Everything except public functions that are defined in an allowed module."""
    with pytest.raises(UnknownTask):
        resolve(name, ALLOWED)


def test_nothing_is_imported_for_a_name_that_is_refused() -> None:
    """Importing a module would run its code."""
    sys.modules.pop("antigravity", None)
    for refuse in (
        lambda: resolve("antigravity:fly", ALLOWED),
        lambda: check_app("antigravity:app", ALLOWED),
        lambda: check_app("antigravity:app()", ALLOWED),
    ):
        with pytest.raises(UnknownTask):
            refuse()
    assert "antigravity" not in sys.modules


@given(st.text())
def test_no_name_gets_past_the_allowed_modules(name: str) -> None:
    """For any name, the function is defined in one of them."""
    try:
        function = resolve(name, ALLOWED)
    except UnknownTask:
        return
    assert function.__module__ == "farjobs"


def test_without_a_list_nothing_runs() -> None:
    """A worker without allowed modules refuses everything."""
    with pytest.raises(UnknownTask, match="DEWAR_CELERY_ALLOW"):
        resolve("farjobs:add", parse_allowed(""))


def test_a_prefix_is_a_package_and_not_a_beginning() -> None:
    """The prefix myapp allows myapp.jobs, and not myapplication."""
    assert parse_allowed(" myapp, other.jobs ,") == {"myapp", "other.jobs"}
    assert is_under("myapp.jobs", ["myapp"])
    assert not is_under("myapplication", ["myapp"])
    assert not is_under("other", ["other.jobs"])


def test_an_app_is_checked_as_a_function_is() -> None:
    """Its module must be allowed, and its factory must be defined in that module."""
    check_app(None, ALLOWED)
    check_app("farjobs:app", ALLOWED)
    for path in ("os:environ", "farjobs:os.abort()", "os:abort()", "farjobs:Path()"):
        with pytest.raises(UnknownTask):
            check_app(path, ALLOWED)


def test_a_task_of_a_ledger_is_checked_by_its_address() -> None:
    """Running it imports the module in its address, so that is checked first."""
    runs = "dewar.tasks.engines.execution:perform_remote"
    for address in (
        {"app": "os:environ", "module": "farjobs", "qualname": "add"},
        {"app": None, "module": "os", "qualname": "system"},
        {"app": None, "module": "farjobs", "qualname": "os.system"},
    ):
        with pytest.raises(UnknownTask):
            find_function(runs, [address], ALLOWED)


def test_a_task_of_an_allowed_app_runs() -> None:
    """Its own name is not checked: the app finds its tasks."""
    runs = "dewar.tasks.engines.execution:perform_remote"
    address = {"task": "t", "app": "farjobs:app", "module": "farjobs", "qualname": "x"}
    assert find_function(runs, [address], ALLOWED) is perform_remote
    assert importable_name(perform_remote) == runs


def test_values_name_no_class_that_would_be_imported() -> None:
    """A class of a module that is imported or allowed may be named."""
    text = pack(farjobs.Point(1, 2))
    assert unpack(text, checked_loads()) == farjobs.Point(1, 2)
    strange = json.dumps({"$dataclass": ["antigravity:Point", {}]})
    for loads in (checked_loads(), checked_loads(ALLOWED)):
        with pytest.raises(Unreadable):
            unpack(strange, loads)
    assert "antigravity" not in sys.modules
    assert os.path  # which is there all the same


def test_the_decoder_of_messages_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder that checks the classes is made once for all messages."""
    made: list[object] = []
    make = json.JSONDecoder.__init__

    def note(decoder: json.JSONDecoder, **given: Any) -> None:
        made.append(decoder)
        make(decoder, **given)

    loads = checked_loads(ALLOWED)
    monkeypatch.setattr(json.JSONDecoder, "__init__", note)
    assert [loads("[1]"), loads("[2]")] == [[1], [2]]
    assert made == []
