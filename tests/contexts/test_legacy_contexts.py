"""The current context, looked at as Flask 3's two variables and Flask 2.1's two stacks."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import greenlet
import pytest

from dewar import Dewar
from dewar.contexts.current import contexts
from dewar.contexts.legacy import ContextStack, Kind, app_cell, request_cell
from dewar.errors import UnboundError
from dewar.globals import app_ctx, request_ctx
from dewar.isolation.owner import current_ident
from dewar.signals import appcontext_popped, appcontext_pushed


@pytest.fixture
def app() -> Dewar:
    return Dewar("legacy", static_folder=None)


@pytest.fixture
def stacks() -> Iterator[tuple[ContextStack, ContextStack]]:
    """The stack of app contexts and that of request contexts."""
    yield ContextStack(Kind.APP), ContextStack(Kind.REQUEST)
    assert contexts.state is None


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_outside_of_any_context_there_is_nothing(
    stacks: tuple[ContextStack, ContextStack],
) -> None:
    """A default, a LookupError, an error that says what to do, or None on the stacks."""
    for cell, repair in ((app_cell, "app_context"), (request_cell, "test_request_context")):
        assert cell.get(None) is None
        assert cell.get("default") == "default"
        with pytest.raises(LookupError, match=repair):
            cell.get()
        with pytest.raises(UnboundError, match=repair):
            cell.current()
    for stack in stacks:
        assert stack.top is None
        assert stack.pop() is None
        assert stack._local.__storage__ == {}
        assert repr(stack) == "<ContextStack []>"
    assert not app_ctx
    assert not request_ctx
    assert repr(app_cell) == "<ContextCell flask.app_ctx: None>"


def test_an_app_context_is_no_request(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """It is on top of the app's stack, and the request's is empty."""
    apps, requests = stacks
    with app.app_context() as context:
        assert app_cell.get() is app_cell.current() is apps.top is context
        assert app_ctx.app is app
        assert request_cell.get(None) is requests.top is None
        with pytest.raises(RuntimeError, match="request context"):
            request_ctx.request
        assert apps._local.__storage__ == {current_ident(): {"stack": [context]}}
        assert requests._local.__storage__ == {}
    assert apps._local.__storage__ == {}


def test_a_request_is_both(app: Dewar, stacks: tuple[ContextStack, ContextStack]) -> None:
    """One context stands for the two that Flask pushes."""
    apps, requests = stacks
    with app.test_request_context("/path") as context:
        assert app_cell.get() is request_cell.get() is apps.top is requests.top is context
        assert (request_ctx.request.path, app_ctx.app) == ("/path", app)
        assert apps.top.g is app_ctx.g
        storage = {current_ident(): {"stack": [context]}}
        assert (apps._local.__storage__, requests._local.__storage__) == (storage, storage)


def test_a_request_within_its_app_s_context_shares_it(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """As in Flask: the app's context stays the outer one, another app's gets one of its own."""
    apps, requests = stacks
    other = Dewar("other", static_folder=None)
    with app.app_context() as outer, app.test_request_context("/inner") as inner:
        assert (app_cell.get(), request_cell.get()) == (outer, inner)
        assert (apps.top, requests.top) == (outer, inner)
        assert apps._local.__storage__ == {current_ident(): {"stack": [outer]}}
        assert requests._local.__storage__ == {current_ident(): {"stack": [inner]}}
        with other.test_request_context("/other") as third:
            assert app_cell.get() is request_cell.get() is third
            assert apps._local.__storage__ == {current_ident(): {"stack": [outer, third]}}
            assert requests._local.__storage__ == {current_ident(): {"stack": [inner, third]}}
        assert (app_cell.get(), request_cell.get()) == (outer, inner)


def test_a_context_can_be_put_there_without_its_hooks(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """By the variable's `set` and `reset`, and by the stack's `push` and `pop`."""
    told: list[str] = []
    app.teardown_appcontext(lambda error: told.append("torn down"))
    outer, inner = app.app_context(), app.test_request_context("/")
    first = app_cell.set(outer)
    second = request_cell.set(inner)
    assert (app_cell.get(), request_cell.get()) == (outer, inner)
    request_cell.reset(second)
    assert (app_cell.get(), request_cell.get(None)) == (outer, None)
    app_cell.set(inner)
    app_cell.reset(first)  # whatever came on top since
    assert app_cell.get(None) is None
    apps, requests = stacks
    assert apps.push(outer) == [outer]
    assert requests.top is None
    assert apps.pop() is outer
    assert told == []


class Elsewhere:
    """A request context that another thread, greenlet or task is in until told to leave."""

    def __init__(self, app: Dewar) -> None:
        self.app = app
        self.context: Any = None
        self.ident = 0

    def enter(self) -> None:
        self.context = self.app.test_request_context("/elsewhere")
        self.context.push()
        self.ident = current_ident()


def check_shown(stacks: tuple[ContextStack, ContextStack], there: Elsewhere, app: Dewar) -> None:
    """Hold that the storage shows the others' context, and our own beside it."""
    for stack in stacks:
        assert stack.top is None
        assert stack._local.__storage__ == {there.ident: {"stack": [there.context]}}
        with app.test_request_context("/here") as here:
            assert stack.top is here
            assert stack._local.__storage__ == {
                there.ident: {"stack": [there.context]},
                current_ident(): {"stack": [here]},
            }
    assert there.ident != current_ident()


def test_the_contexts_of_other_threads_are_shown(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """As long as they are in them; a thread that ends in one leaves nothing."""
    there = Elsewhere(app)
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        there.enter()
        entered.set()
        leave.wait(10)
        # It ends without popping.

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    check_shown(stacks, there, app)
    leave.set()
    thread.join()
    assert [stack._local.__storage__ for stack in stacks] == [{}, {}]
    alive = weakref.ref(there.context)
    there.context = None
    gc.collect()
    assert alive() is None


def test_the_contexts_of_other_greenlets_are_shown(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """And each sees its own on top."""
    there = Elsewhere(app)
    main = greenlet.getcurrent()

    def work() -> None:
        there.enter()
        main.switch()
        tops.extend(stack.top for stack in stacks)
        there.context.pop()

    tops: list[Any] = []
    worker = greenlet.greenlet(work)
    worker.switch()
    check_shown(stacks, there, app)
    worker.switch()
    assert tops == [there.context] * 2
    assert [stack._local.__storage__ for stack in stacks] == [{}, {}]


def test_the_contexts_of_other_tasks_are_shown(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """And each sees its own on top."""
    there = Elsewhere(app)

    async def work(entered: asyncio.Event, leave: asyncio.Event) -> list[Any]:
        there.enter()
        entered.set()
        await leave.wait()
        tops = [stack.top for stack in stacks]
        there.context.pop()
        return tops

    async def main() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(work(entered, leave))
        await entered.wait()
        check_shown(stacks, there, app)
        leave.set()
        assert await task == [there.context] * 2
        assert [stack._local.__storage__ for stack in stacks] == [{}, {}]

    asyncio.run(main())


def test_many_threads_each_see_their_own(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """While all are in a request, each has its own on top, and the storage shows them all."""
    count = 8
    inside, looked = threading.Barrier(count, timeout=10), threading.Barrier(count, timeout=10)
    seen: dict[int, Any] = {}

    def work(number: int) -> None:
        with app.test_request_context(f"/{number}") as context:
            inside.wait()
            storage = stacks[1]._local.__storage__
            seen[number] = (
                stacks[0].top is stacks[1].top is context,
                request_ctx.request.path,
                storage[current_ident()]["stack"] == [context],
                sorted(values["stack"][0].request.path for values in storage.values()),
            )
            looked.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paths = [f"/{number}" for number in range(count)]
    assert seen == {number: (True, f"/{number}", True, paths) for number in range(count)}
    assert stacks[1]._local.__storage__ == {}


def test_another_thread_sees_nothing_of_ours(
    app: Dewar, stacks: tuple[ContextStack, ContextStack]
) -> None:
    """Neither on top nor in the variables."""
    with app.test_request_context("/"):
        found = in_thread(
            lambda: (app_cell.get(None), request_cell.get(None), *(stack.top for stack in stacks))
        )
    assert found == (None, None, None, None)


def test_a_stack_nobody_holds_stops_looking(app: Dewar) -> None:
    """It is told of contexts only while it is there."""

    def listening() -> tuple[int, int]:
        gc.collect()
        with app.app_context():
            return len(appcontext_pushed.receivers), len(appcontext_popped.receivers)

    before = listening()
    stack = ContextStack(Kind.APP)
    assert listening() == (before[0] + 1, before[1] + 1)
    with app.app_context():
        assert stack.top is not None
    del stack
    assert listening() == before
