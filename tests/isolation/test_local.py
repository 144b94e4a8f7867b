"""`Local`: values that belong to one owner."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from types import ModuleType
from typing import Any

import greenlet
import pytest

from dewar import Local, LocalProxy, release_local

_given: ContextVar[dict[str, Any]] = ContextVar("tests.given")


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_a_value_is_seen_only_by_the_thread_that_set_it() -> None:
    """Another thread finds nothing, and what it sets does not come back."""
    local = Local()
    local.name = "main"

    def work() -> tuple[bool, str]:
        found = hasattr(local, "name")
        local.name = "other"
        return found, local.name

    assert in_thread(work) == (False, "other")
    assert local.name == "main"


def test_a_missing_value_is_an_attribute_error_and_can_be_deleted_only_once() -> None:
    """A Local behaves like a plain namespace."""
    local = Local()
    local.name = 1
    del local.name
    with pytest.raises(AttributeError, match="name"):
        local.name
    with pytest.raises(AttributeError, match="name"):
        del local.name


def test_iterating_gives_the_names_and_values_of_the_owner() -> None:
    """``dict(local)`` is what this owner has set."""
    local = Local()
    local.a, local.b = 1, 2
    assert dict(local) == {"a": 1, "b": 2}
    assert repr(local) == "<Local {'a': 1, 'b': 2}>"


def test_calling_a_local_gives_a_proxy_to_one_name() -> None:
    """``local("user")`` follows the value of the owner that uses it."""
    local = Local()
    user = local("user", unbound_message="nobody is logged in")
    assert isinstance(user, LocalProxy)
    assert not user
    with pytest.raises(RuntimeError, match="nobody is logged in"):
        str(user)
    local.user = "ada"
    assert user == "ada"


def test_releasing_forgets_only_this_owner() -> None:
    """`release_local` leaves other threads alone."""
    local = Local()
    local.x = "main"
    entered, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def work() -> None:
        local.x = "other"
        entered.set()
        go_on.wait(5)
        seen.append(local.x)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(5)
    release_local(local)
    go_on.set()
    thread.join()
    assert seen == ["other"]
    assert dict(local) == {}


def test_storage_lists_every_live_owner_by_ident() -> None:
    """`__storage__` is a snapshot ``{ident: {name: value}}`` of owners that still run."""
    local = Local()
    local.who = "main"
    entered, go_on = threading.Event(), threading.Event()

    def work() -> None:
        local.who = "other"
        entered.set()
        go_on.wait(5)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(5)
    assert local.__storage__ == {
        threading.get_ident(): {"who": "main"},
        thread.ident: {"who": "other"},
    }
    go_on.set()
    thread.join()
    gc.collect()
    assert local.__storage__ == {local.__ident_func__(): {"who": "main"}}
    release_local(local)
    assert local.__storage__ == {}


def test_a_snapshot_does_not_change_and_changes_nothing() -> None:
    """Writing into a snapshot of the storage leaves the Local as it is."""
    local = Local()
    local.x = 1
    snapshot = local.__storage__
    snapshot[threading.get_ident()]["x"] = 2
    assert local.x == 1


def test_an_ident_that_is_used_again_starts_empty() -> None:
    """Threads reuse idents all the time; a new thread never finds its namesake's values."""
    local = Local()
    idents: set[int] = set()
    leftovers: list[Any] = []

    def work() -> int:
        leftovers.extend(local)
        local.value = object()
        return threading.get_ident()

    for _ in range(300):
        idents.add(in_thread(work))
    assert len(idents) < 300, "no ident was used again, so this test showed nothing"
    assert leftovers == []
    assert local.__storage__ == {}


def test_nothing_is_kept_after_a_thread_ends() -> None:
    """The value itself is freed with its thread."""
    local = Local()

    class Big:
        pass

    alive = []

    def work() -> None:
        import weakref

        big = Big()
        alive.append(weakref.ref(big))
        local.big = big

    in_thread(work)
    assert alive[0]() is None


def test_a_task_sees_what_its_creator_set_and_keeps_its_own_changes() -> None:
    """Values go down into tasks and never come back up, nor across."""
    local = Local()

    async def child(name: str, gate: asyncio.Event) -> tuple[str, str]:
        inherited = local.value
        local.value = name
        await gate.wait()
        return inherited, local.value

    async def main() -> list[tuple[str, str]]:
        local.value = "parent"
        gate = asyncio.Event()
        tasks = [asyncio.create_task(child(f"task {i}", gate)) for i in range(50)]
        await asyncio.sleep(0)
        assert len(local.__storage__) == 51
        gate.set()
        results = await asyncio.gather(*tasks)
        assert local.value == "parent"
        # The tasks are held by this list, and still they are gone from the storage.
        assert list(local.__storage__.values()) == [{"value": "parent"}]
        return results

    assert asyncio.run(main()) == [("parent", f"task {i}") for i in range(50)]
    assert local.__storage__ == {}


def test_greenlets_of_one_thread_are_different_owners() -> None:
    """Each greenlet has its own values, and leaves nothing behind."""
    local = Local()
    local.value = "main"
    seen = []

    def work(name: str) -> None:
        seen.append(hasattr(local, "value"))
        local.value = name
        greenlet.getcurrent().parent.switch()
        seen.append(local.value)

    workers = [greenlet.greenlet(work) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.switch(f"greenlet {number}")
    assert len(local.__storage__) == 4
    for worker in workers:
        worker.switch()
    assert seen == [False, False, False, "greenlet 0", "greenlet 1", "greenlet 2"]
    del workers, worker
    gc.collect()
    assert list(local.__storage__.values()) == [{"value": "main"}]


@pytest.mark.parametrize("loaded", [None, ModuleType("asyncio")], ids=["not at all", "in part"])
def test_the_owner_is_known_before_asyncio_is_loaded(
    loaded: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the thread: nobody can run a task then. Another thread may be importing asyncio."""
    local = Local()
    ident = local.__ident_func__()
    monkeypatch.setitem(sys.modules, "asyncio", loaded)
    local.word = "here"
    assert local.__ident_func__() == ident
    assert local.__storage__ == {ident: {"word": "here"}}


def test_a_copied_context_shares_nothing_it_sets() -> None:
    """What runs in a copied context cannot change the original."""
    local = Local()
    local.value = "outside"

    def work() -> None:
        local.value = "inside"
        local.more = 1

    copy_context().run(work)
    assert dict(local) == {"value": "outside"}


def test_a_context_variable_can_be_given() -> None:
    """The values can be kept in a variable of the user's own."""
    local = Local(_given)
    local.x = 1
    assert _given.get() == {"x": 1}


def test_many_writes_keep_no_record_of_old_values() -> None:
    """What a Local remembers of its owners does not grow with the number of writes."""
    local = Local()
    for number in range(10_000):
        local.x = number
    live = vars(Local)["_live"].__get__(local)
    assert len(live._refs) <= 130
    assert local.__storage__ == {threading.get_ident(): {"x": 9999}}
