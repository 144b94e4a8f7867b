"""The address of an app, and the app of an address."""

import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from dewar import Dewar
from dewar.tasks.errors import TaskSetupError, UnknownTask
from dewar.tasks.serialization.task_address import AppFinder, TaskAddress, app_path, find_task
from dewar.tasks.tasks import Tasks


@pytest.fixture
def module() -> Iterator[Any]:
    module = types.ModuleType("findable")
    module.__file__ = __file__
    sys.modules["findable"] = module
    yield module
    del sys.modules["findable"]


def test_an_app_is_found_by_its_module_and_name(module: Any) -> None:
    """The path leads to the very app."""
    module.site = Dewar("findable", static_folder=None)
    assert app_path(module.site) == "findable:site"
    assert AppFinder().find("findable:site") is module.site


def test_an_app_that_no_name_leads_to_says_what_to_do(module: Any) -> None:
    """An app from a factory needs an explicit path."""
    for repair in (
        r"Tasks\(app, app='module:create_app\(\)'\)",
        "TASKS_APP",
        r"TaskPool\(\.\.\., app=",
    ):
        with pytest.raises(TaskSetupError, match=repair):
            app_path(Dewar("findable", static_folder=None))
    with pytest.raises(TaskSetupError, match="cannot be found from another process"):
        app_path(Dewar("not a module", static_folder=None))


def test_a_task_without_an_app_is_what_has_the_name_of_its_function(module: Any) -> None:
    """If the function itself has the name there, the error says how to declare the task."""
    tasks = Tasks(ledger="unused.sqlite")
    module.named = tasks.task("given")(lambda: 1)
    module.function = lambda: 1
    assert find_task(TaskAddress("given", None, "findable", "named")) is module.named
    for name in ("function", "nothing"):
        with pytest.raises(UnknownTask, match=r"@tasks\.task\(\) above its function"):
            find_task(TaskAddress("given", None, "findable", name))


def test_a_factory_is_called_once(module: Any) -> None:
    """Threads that need the app at the same time get the same one."""
    barrier = threading.Barrier(4)
    module.create_app = object
    finder = AppFinder()
    found: list[object] = []

    def find() -> None:
        barrier.wait(10)
        found.append(finder.find("findable:create_app()"))

    threads = [threading.Thread(target=find) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert "findable:create_app()" in repr(finder)


@pytest.mark.parametrize("path", ["findable:gone", "no_such_module_here:app", "__main__:no_app"])
def test_what_is_not_there_is_named(module: Any, path: str) -> None:
    """The error has the path in it."""
    with pytest.raises(TaskSetupError, match=path):
        AppFinder().find(path)


def test_a_path_has_two_parts() -> None:
    """A module alone names no app."""
    with pytest.raises(TaskSetupError, match="module:app"):
        AppFinder().find("findable")


def test_a_name_may_be_an_attributes_attribute(module: Any) -> None:
    """``module:holder.app`` works as import paths do elsewhere."""
    module.holder = types.SimpleNamespace(app="it")
    assert AppFinder().find("findable:holder.app") == "it"
