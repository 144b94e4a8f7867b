"""`copy_current_request_context`: the request in another thread, greenlet or task."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import greenlet
import pytest

from dewar import Dewar, copy_current_request_context, current_app, g, request, session
from dewar.contexts.current import contexts


@pytest.fixture
def app() -> Dewar:
    app = Dewar("copying", static_folder=None)
    app.secret_key = "key"
    return app


def test_ten_calls_at_once_each_have_a_context_of_their_own(app: Dewar) -> None:
    """The wrapped function may run many times at the same time, after the request ended."""
    barrier = threading.Barrier(10)

    with app.test_request_context("/here?n=1"):
        session["user"] = "ada"
        g.x = "of the request"

        @copy_current_request_context
        def work(number: int) -> tuple[Any, ...]:
            assert not hasattr(g, "x")
            g.number = number
            barrier.wait(5)
            return request.path, session["user"], g.number, current_app.name, contexts.state

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(work, range(10)))
    assert [result[:4] for result in results] == [
        ("/here", "ada", number, "copying") for number in range(10)
    ]
    assert len({id(result[4]) for result in results}) == 10


def test_it_works_in_greenlets_and_tasks(app: Dewar) -> None:
    """Whoever runs it sees the request, and is left without one."""
    seen: list[Any] = []
    with app.test_request_context("/here"):
        work = copy_current_request_context(lambda: seen.append(request.path))

    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(3)))
        work()
        seen.append(bool(request))

    greenlet.greenlet(work).switch()
    asyncio.run(main())
    assert seen == ["/here"] * 5 + [False]


def test_the_name_of_the_function_is_kept(app: Dewar) -> None:
    """Wrapping does not hide what is wrapped."""
    with app.test_request_context("/"):

        @copy_current_request_context
        def send_mail() -> None:
            """Send it."""

    assert (send_mail.__name__, send_mail.__doc__) == ("send_mail", "Send it.")


def test_outside_of_a_request_there_is_nothing_to_copy(app: Dewar) -> None:
    """The error names the function that was called."""
    with pytest.raises(RuntimeError, match="'copy_current_request_context' was called here"):
        copy_current_request_context(print)
    with app.app_context(), pytest.raises(RuntimeError, match="outside of request context"):
        copy_current_request_context(print)


def test_a_copy_made_before_anybody_looked_has_the_same_session(app: Dewar) -> None:
    """What the view puts into the session later is there for the thread as well."""
    with app.test_request_context("/"):
        work = copy_current_request_context(lambda: session["later"])
        session["later"] = 1
        thread_saw: list[int] = []
        thread = threading.Thread(target=lambda: thread_saw.append(work()))
        thread.start()
        thread.join()
    assert thread_saw == [1]
