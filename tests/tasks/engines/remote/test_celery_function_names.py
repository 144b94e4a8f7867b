"""Which functions a Celery worker runs: what a message may name."""

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
    """There and back."""
    assert importable_name(farjobs.add) == "farjobs:add"
    assert resolve("farjobs:add", ALLOWED) is farjobs.add


@pytest.mark.parametrize(
    "function", [lambda: 1, len, Holder().method, farjobs._private, Holder, print]
)
def test_what_has_no_name_for_others_is_refused(function: Any) -> None:
    """A lambda, a built-in, a method of an object, what is private, a class."""
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
    """Whatever is not a public function, defined in a module that is allowed."""
    with pytest.raises(UnknownTask):
        resolve(name, ALLOWED)


def test_nothing_is_imported_for_a_name_that_is_refused() -> None:
    """A module's import runs its code."""
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
    """Whatever a message says, the function is one of theirs."""
    try:
        function = resolve(name, ALLOWED)
    except UnknownTask:
        return
    assert function.__module__ == "farjobs"


def test_without_a_list_nothing_runs() -> None:
    """A worker that was told nothing refuses everything."""
    with pytest.raises(UnknownTask, match="DEWAR_CELERY_ALLOW"):
        resolve("farjobs:add", parse_allowed(""))


def test_a_prefix_is_a_package_and_not_a_beginning() -> None:
    """The prefix myapp allows myapp.jobs, and not myapplication."""
    assert parse_allowed(" myapp, other.jobs ,") == {"myapp", "other.jobs"}
    assert is_under("myapp.jobs", ["myapp"])
    assert not is_under("myapplication", ["myapp"])
    assert not is_under("other", ["other.jobs"])


def test_an_app_is_checked_as_a_function_is() -> None:
    """Its module must be allowed, and what makes it a function of that module."""
    check_app(None, ALLOWED)
    check_app("farjobs:app", ALLOWED)
    for path in ("os:environ", "farjobs:os.abort()", "os:abort()", "farjobs:Path()"):
        with pytest.raises(UnknownTask):
            check_app(path, ALLOWED)


def test_a_kept_task_is_checked_by_its_address() -> None:
    """What runs it imports what the address says, so that is checked before."""
    runs = "dewar.tasks.engines.execution:perform_remote"
    for address in (
        {"app": "os:environ", "module": "farjobs", "qualname": "add"},
        {"app": None, "module": "os", "qualname": "system"},
        {"app": None, "module": "farjobs", "qualname": "os.system"},
    ):
        with pytest.raises(UnknownTask):
            find_function(runs, [address], ALLOWED)


def test_a_kept_task_of_an_app_that_is_allowed_runs() -> None:
    """Whatever its own name is: the app knows its tasks."""
    runs = "dewar.tasks.engines.execution:perform_remote"
    address = {"task": "t", "app": "farjobs:app", "module": "farjobs", "qualname": "x"}
    assert find_function(runs, [address], ALLOWED) is perform_remote
    assert importable_name(perform_remote) == runs


def test_values_name_no_class_that_would_be_imported() -> None:
    """A class of a module that is here, or allowed, may be named."""
    text = pack(farjobs.Point(1, 2))
    assert unpack(text, checked_loads()) == farjobs.Point(1, 2)
    strange = json.dumps({"$dataclass": ["antigravity:Point", {}]})
    for loads in (checked_loads(), checked_loads(ALLOWED)):
        with pytest.raises(Unreadable):
            unpack(strange, loads)
    assert "antigravity" not in sys.modules
    assert os.path  # which is there all the same


def test_a_message_is_read_by_a_decoder_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What checks the classes is made once for all messages."""
    made: list[object] = []
    make = json.JSONDecoder.__init__

    def note(decoder: json.JSONDecoder, **given: Any) -> None:
        made.append(decoder)
        make(decoder, **given)

    loads = checked_loads(ALLOWED)
    monkeypatch.setattr(json.JSONDecoder, "__init__", note)
    assert [loads("[1]"), loads("[2]")] == [[1], [2]]
    assert made == []
