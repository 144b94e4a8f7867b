"""Tasks on a module, attached to each app that a function makes."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar, current_app
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.records import JobState
from dewar.tasks.tasks import Tasks
from dewar.tasks_http.blueprint import tasks_blueprint
from polling import eventually

_SOON = 20.0

MakeApp = Callable[..., Dewar]


class Shop:
    """A module with tasks and a function that makes the app."""

    def __init__(self) -> None:
        self.tasks = tasks = Tasks(poll=0.02)

        @tasks.task()
        def tell(word: str) -> list[str]:
            return [current_app.config["NAME"], word]

        self.tell = tell
        self.pages = tasks_blueprint(tasks, access=lambda *_: True)

    def create_app(self, **config: Any) -> Dewar:
        app = Dewar("shop")
        app.config.update(config, TESTING=True)
        app.register_blueprint(self.pages)
        self.tasks.init_app(app)
        app.add_url_rule("/<word>", view_func=lambda word: self.tell.submit(word).accepted())
        return app


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.tasks.stop(_SOON)


@pytest.fixture
def make(shop: Shop, tmp_path: Path) -> MakeApp:
    """Makes an app with its own ledger."""

    def create(name: str, **config: Any) -> Dewar:
        return shop.create_app(NAME=name, TASKS_LEDGER=tmp_path / f"{name}.sqlite3", **config)

    return create


def test_each_test_may_make_its_app(shop: Shop, make: MakeApp) -> None:
    """Its jobs are in its ledger, run in its context, and `stop` in the fixture ends them."""
    for name in ("first", "second", "third"):
        app = make(name)
        job = app.test_client().get("/hello").get_json()
        with app.app_context():
            assert shop.tasks.get(job["id"]).result(_SOON) == [name, "hello"]
            assert len(shop.tasks.ledger.list()) == 1
        assert app.test_client().get(job["links"]["self"]).get_json()["state"] == "done"
        assert shop.tasks.stop(_SOON)


def test_apps_that_live_at_once_have_their_own_jobs(shop: Shop, make: MakeApp) -> None:
    """In the context of an app its ledger and settings count; without one, those of the last."""
    apps = [make("one", TASKS_LEASE=11.0), make("two", TASKS_LEASE=12.0)]
    jobs = []
    for app in apps:
        with app.app_context():
            jobs.append(shop.tell.submit("x"))
            assert shop.tasks.app is app
            assert shop.tasks.settings().lease == 10.0 + len(jobs)
    assert [job.result(_SOON)[0] for job in jobs] == ["one", "two"]
    assert shop.tell.submit("y").result(_SOON) == ["two", "y"]
    with apps[0].app_context():
        assert [job.id for job in shop.tasks.ledger.list()] == [jobs[0].id]
    assert shop.tasks.app is apps[1]
    with Dewar("stranger").app_context():
        assert shop.tasks.app is apps[1]


def test_requests_to_two_apps_on_many_threads_stay_apart(shop: Shop, make: MakeApp) -> None:
    """Each job runs for the app whose request submitted it."""
    apps = {name: make(name) for name in ("one", "two")}
    barrier = threading.Barrier(8)
    found: list[tuple[str, list[str]]] = []

    def visit(name: str, word: str) -> None:
        barrier.wait(_SOON)
        id = apps[name].test_client().get(f"/{word}").get_json()["id"]
        with apps[name].app_context():
            found.append((name, shop.tasks.get(id).result(_SOON)))

    threads = [
        threading.Thread(target=visit, args=(name, str(number)))
        for number in range(4)
        for name in apps
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SOON)
    expected = [(name, [name, str(number)]) for number in range(4) for name in apps]
    assert sorted(found) == sorted(expected)


def test_an_app_that_stops_serving_stops_its_own_jobs_only(shop: Shop, make: MakeApp) -> None:
    """The other one goes on."""
    one, two = make("one"), make("two")
    one.begin_serving()
    two.begin_serving()
    with two.app_context():
        runtime = shop.tasks.runtime
    one.end_serving(_SOON)
    assert runtime.is_running
    with two.app_context():
        assert shop.tell.submit("on").result(_SOON) == ["two", "on"]
    two.end_serving(_SOON)
    assert not runtime.is_running


def test_tasks_that_are_declared_later_belong_to_all_apps(shop: Shop, make: MakeApp) -> None:
    """As with a module that is imported after the app was made."""
    one, _ = make("one"), make("two")
    late = shop.tasks.task("late")(lambda: current_app.config["NAME"])
    with one.app_context():
        assert late.submit().result(_SOON) == "one"
        assert shop.tasks.names() == ["tell", "late"]


def test_apps_with_the_same_ledger_know_each_others_jobs(shop: Shop, tmp_path: Path) -> None:
    """A test suite without a setting for the ledger keeps all jobs in one file."""
    where = tmp_path / "jobs.sqlite3"
    first = shop.create_app(NAME="first", TASKS_LEDGER=where)
    with first.app_context():
        job = shop.tell.submit("x")
        assert job.result(_SOON) == ["first", "x"]
    with shop.create_app(NAME="second", TASKS_LEDGER=where).app_context():
        assert shop.tasks.status(job.id).state is JobState.DONE
        assert shop.tell.submit("y").result(_SOON)[1] == "y"


def test_an_app_that_nobody_uses_is_freed(shop: Shop, make: MakeApp) -> None:
    """However many apps a test suite makes, only the last one stays."""
    apps = [weakref.ref(make(f"app{number}")) for number in range(5)]

    def are_freed() -> bool:
        gc.collect()
        return not any(app() for app in apps[:-1])

    eventually(are_freed)
    assert apps[-1]() is shop.tasks.app


def test_an_app_is_attached_once(shop: Shop, make: MakeApp) -> None:
    """The second time is a mistake, with the same tasks and with others."""
    app = make("one")
    for tasks in (shop.tasks, Tasks()):
        with pytest.raises(TaskSetupError, match="an app has one Tasks"):
            tasks.init_app(app)


def test_an_app_of_flask_is_refused_with_what_to_do(shop: Shop, make: MakeApp) -> None:
    """Nothing is attached, and the error says how such a program is run."""
    from flask import Flask

    app = make("one")
    with pytest.raises(TaskSetupError, match="dewar run --flask"):
        shop.tasks.init_app(Flask("shop"))
    assert shop.tasks.app is app
