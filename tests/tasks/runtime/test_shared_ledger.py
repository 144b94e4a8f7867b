"""Apps in one process whose tasks bear one name."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar, current_app
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.tasks import Tasks

_SOON = 20.0
Make = Callable[..., Tasks]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make an app with tasks; all apps have one instance folder."""
    made: list[Tasks] = []

    def make_tasks(name: str, *names: str, **settings: Any) -> Tasks:
        app = Dewar(name, instance_path=str(tmp_path), static_folder=None)
        tasks = Tasks(app, poll=0.02, **settings)
        for task in names or ("who",):
            tasks.task(task)(who)
        made.append(tasks)
        return tasks

    yield make_tasks
    for tasks in made:
        tasks.stop(_SOON)


def who() -> str:
    """Return which app runs it."""
    name: str = current_app.name
    return name


def who_else() -> str:
    """Do the same."""
    return who()


def test_each_app_runs_its_own_jobs(make: Make, tmp_path: Path) -> None:
    """By default each has a ledger of its own, though the folder is the same."""
    apps = [make(name) for name in ("shop", "admin")]
    outer = Dewar("outer", static_folder=None)
    for tasks in apps:
        outer.mount(f"/{tasks.app.name}", tasks.app)  # type: ignore
    outer.begin_serving()
    begin = threading.Barrier(2)

    def run(tasks: Tasks) -> None:
        begin.wait(_SOON)
        jobs = [tasks.find("who").submit() for _ in range(100)]
        answers.extend((tasks.app.name, job.result(_SOON)) for job in jobs)  # type: ignore

    answers: list[tuple[str, str]] = []
    threads = [threading.Thread(target=run, args=(tasks,)) for tasks in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SOON)
    outer.end_serving(_SOON)
    assert sorted(answers) == [("admin", "admin")] * 100 + [("shop", "shop")] * 100
    files = sorted(path.name for path in tmp_path.glob("*.sqlite3"))
    assert files == ["admin.tasks.sqlite3", "shop.tasks.sqlite3"]


def test_two_apps_with_one_ledger_and_one_name_are_refused(make: Make, tmp_path: Path) -> None:
    """The second does not begin: it would run jobs of the first."""
    ledger = tmp_path / "one.sqlite3"
    make("shop", "who", "other", ledger=ledger).start()
    late = make("admin", "who", ledger=str(ledger))
    for begin in (late.start, late.find("who").submit):
        with pytest.raises(TaskSetupError, match="'admin' and 'shop' both have a task 'who'") as e:
            begin()
        assert "app.config['TASKS_LEDGER']" in str(e.value)


def test_two_apps_with_one_ledger_and_their_own_names_work(make: Make, tmp_path: Path) -> None:
    """A ledger may be shared."""
    ledger = tmp_path / "one.sqlite3"
    shop, admin = make("shop", "a", ledger=ledger), make("admin", "b", ledger=ledger)
    assert shop.find("a").submit().result(_SOON) == "shop"
    assert admin.find("b").submit().result(_SOON) == "admin"


def test_one_app_that_is_made_again_is_the_same(make: Make) -> None:
    """A test makes an app for itself, and jobs of the last one may wait still."""
    make("shop").start()
    assert make("shop").find("who").submit().result(_SOON) == "shop"


def test_one_app_that_is_made_twice_is_not_served_twice_with_one_ledger(make: Make) -> None:
    """Mounted beside each other they are two, though nothing tells their jobs apart."""
    shop, twin = make("shop").app, make("shop").app
    assert isinstance(shop, Dewar)
    assert isinstance(twin, Dewar)
    shop.mount("/twin", twin)
    with pytest.raises(TaskSetupError, match="one ledger") as caught:
        shop.begin_serving()
    assert "mounted at /twin" in caught.value.__notes__[0]
    twin.config["TASKS_LEDGER"] = str(Path(twin.instance_path) / "twin.sqlite3")
    shop.begin_serving()
    shop.end_serving(_SOON)


def test_two_apps_of_one_name_with_functions_of_their_own_are_refused(make: Make) -> None:
    """As two apps in one module, both made with ``__name__``."""
    make("shop").start()
    other = make("shop", "another")
    other.task("who")(who_else)
    with pytest.raises(TaskSetupError, match="one ledger"):
        other.start()


def test_tasks_that_have_stopped_are_in_nobody_s_way(make: Make, tmp_path: Path) -> None:
    """Their jobs are the other's then, if they are called the same."""
    ledger = tmp_path / "one.sqlite3"
    first = make("shop", ledger=ledger)
    first.start()
    first.stop(_SOON)
    assert make("admin", ledger=ledger).find("who").submit().result(_SOON) == "admin"
