"""`LocalStack`: a stack that belongs to one owner."""

import asyncio
import threading
from contextvars import ContextVar, copy_context
from typing import Any

import greenlet
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dewar import LocalStack, release_local

_given: ContextVar[Any] = ContextVar("tests.stack")


def test_push_pop_and_top_are_those_of_a_stack() -> None:
    """Last in, first out; an empty stack gives None."""
    stack: LocalStack[int] = LocalStack()
    assert stack.top is None
    assert stack.pop() is None
    assert list(stack.push(1).push(2)) == [1, 2]
    assert (stack.top, len(stack)) == (2, 2)
    assert (stack.pop(), stack.pop(), stack.pop()) == (2, 1, None)
    assert repr(stack.push(7)) == "<LocalStack [7]>"


def test_a_false_value_can_be_on_top() -> None:
    """None, zero and the empty list are values like any other."""
    stack: LocalStack[Any] = LocalStack()
    proxy = stack()
    for value in (0, "", [], None):
        stack.push(value)
        assert proxy._get_current_object() is value
    assert len(stack) == 4


def test_each_thread_has_a_stack_of_its_own() -> None:
    """What one thread pushes no other thread finds."""
    stack: LocalStack[str] = LocalStack()
    stack.push("main")
    seen = []
    thread = threading.Thread(target=lambda: seen.append((stack.top, stack.push("x").top)))
    thread.start()
    thread.join()
    assert seen == [(None, "x")]
    assert list(stack) == ["main"]


def test_a_task_sees_its_creators_stack_and_pushes_on_its_own() -> None:
    """Nodes below are shared; what a task pushes or pops stays with it."""
    stack: LocalStack[str] = LocalStack()

    async def child(name: str, gate: asyncio.Event) -> list[str]:
        stack.push(name)
        await gate.wait()
        kept = list(stack)
        stack.pop()
        stack.pop()
        assert stack.top is None
        return kept

    async def main() -> list[list[str]]:
        stack.push("parent")
        gate = asyncio.Event()
        tasks = [asyncio.create_task(child(str(i), gate)) for i in range(20)]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*tasks)
        assert list(stack) == ["parent"]
        return results

    assert asyncio.run(main()) == [["parent", str(i)] for i in range(20)]


def test_a_greenlet_starts_with_an_empty_stack() -> None:
    """Greenlets of one thread do not share a stack."""
    stack: LocalStack[str] = LocalStack()
    stack.push("main")
    seen = []
    greenlet.greenlet(lambda: seen.append((stack.top, stack.push("g").top))).switch()
    assert seen == [(None, "g")]
    assert list(stack) == ["main"]


def test_a_proxy_to_the_top_follows_it() -> None:
    """``stack()`` stands for the top, ``stack("name")`` for an attribute of it."""
    stack: LocalStack[Any] = LocalStack()
    top, real = stack(), stack("real")
    with pytest.raises(RuntimeError, match="object unbound"):
        top.real
    with pytest.raises(RuntimeError, match="object unbound"):
        real + 1
    stack.push(7)
    assert (top, real) == (7, 7)


def test_releasing_empties_the_owners_stack() -> None:
    """`release_local` works on a stack as on a Local."""
    stack: LocalStack[int] = LocalStack(_given)
    stack.push(1).push(2)
    release_local(stack)
    assert stack.top is None
    assert _given.get() is None


def test_pushing_copies_nothing() -> None:
    """Each state of the stack stays as it was: a copied context keeps the one it had."""
    stack: LocalStack[int] = LocalStack()
    contexts = []
    for number in range(100):
        stack.push(number)
        contexts.append(copy_context())
    assert [context.run(lambda: len(stack)) for context in contexts] == list(range(1, 101))


class StackLikeAList(RuleBasedStateMachine):
    """A LocalStack does what a list does, whatever copied contexts do in between."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: LocalStack[int] = LocalStack()
        self.model: list[int] = []

    @rule(value=st.integers())
    def push(self, value: int) -> None:
        self.stack.push(value)
        self.model.append(value)

    @rule()
    def pop(self) -> None:
        assert self.stack.pop() == (self.model.pop() if self.model else None)

    @rule(values=st.lists(st.integers(), max_size=3), pops=st.integers(0, 5))
    def disturb_in_a_copy(self, values: list[int], pops: int) -> None:
        def work() -> None:
            for value in values:
                self.stack.push(value)
            for _ in range(pops):
                self.stack.pop()

        copy_context().run(work)

    @invariant()
    def same(self) -> None:
        assert list(self.stack) == self.model
        assert self.stack.top == (self.model[-1] if self.model else None)


TestStackLikeAList = StackLikeAList.TestCase
TestStackLikeAList.settings = settings(max_examples=60, stateful_step_count=30)


def test_older_code_sees_the_stacks_of_all_owners() -> None:
    """``_local.__storage__`` has them by owner, from when it was first looked at."""
    stack: LocalStack[int] = LocalStack()
    stack.push(1)
    mine = threading.get_ident()
    assert stack._local.__storage__ == {mine: {"stack": [1]}}
    assert stack._local.stack == [1]
    seen: list[Any] = []

    def push() -> None:
        stack.push(2)
        seen.append((threading.get_ident(), stack._local.__storage__))

    thread = threading.Thread(target=push)
    thread.start()
    thread.join()
    ident, storage = seen[0]
    assert storage == {mine: {"stack": [1]}, ident: {"stack": [2]}}
    stack.pop()
    assert stack._local.__storage__ == {}
