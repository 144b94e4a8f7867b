"""`LocalProxy`: the whole data model, passed on to whatever is current."""

import asyncio
import copy
import math
import operator
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from dewar import Local, LocalProxy, LocalStack

_variable: ContextVar[Any] = ContextVar("tests.proxy")


def proxy_to(value: Any) -> Any:
    return LocalProxy(lambda: value)


class Holder:
    """An object with attributes to reach for."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def bind_local() -> tuple[Any, Callable[[Any], Any]]:
    local = Local()
    return local("value"), lambda value: setattr(local, "value", value)


def bind_stack() -> tuple[Any, Callable[[Any], Any]]:
    stack: LocalStack[Any] = LocalStack()
    return stack(), stack.push


def bind_stack_attribute() -> tuple[Any, Callable[[Any], Any]]:
    stack: LocalStack[Any] = LocalStack()
    return stack("inner.value"), lambda value: stack.push(Holder(inner=Holder(value=value)))


def bind_variable() -> tuple[Any, Callable[[Any], Any]]:
    variable: ContextVar[Any] = ContextVar("tests.bound")
    return LocalProxy(variable), variable.set


def bind_variable_attribute() -> tuple[Any, Callable[[Any], Any]]:
    variable: ContextVar[Any] = ContextVar("tests.bound")
    return LocalProxy(variable, "value"), lambda value: variable.set(Holder(value=value))


def bind_function() -> tuple[Any, Callable[[Any], Any]]:
    found: list[Any] = []

    def find() -> Any:
        if not found:
            raise RuntimeError("object unbound")
        return found[0]

    return LocalProxy(find), found.append


def bind_function_attribute() -> tuple[Any, Callable[[Any], Any]]:
    found: list[Any] = []

    def find() -> Any:
        if not found:
            raise RuntimeError("object unbound")
        return Holder(value=found[0])

    return LocalProxy(find, "value"), found.append


SOURCES = [
    bind_local,
    bind_stack,
    bind_stack_attribute,
    bind_variable,
    bind_variable_attribute,
    bind_function,
    bind_function_attribute,
]


@pytest.mark.parametrize("bind", SOURCES)
class TestEverySource:
    """What holds for a proxy over anything that can be proxied."""

    def test_unbound_it_is_false_and_empty_and_says_so(self, bind: Any) -> None:
        """An unbound proxy can be tested, compared and shown, and nothing else."""
        proxy, _ = bind()
        assert not proxy
        assert dir(proxy) == []
        assert repr(proxy) == "<LocalProxy unbound>"
        assert proxy.__class__ is LocalProxy
        assert "LocalProxy" in proxy.__doc__
        assert proxy.__wrapped__ is not None
        other, _ = bind()
        assert proxy not in (None, "", other)
        assert proxy in (other, proxy)
        assert (proxy == None, proxy != None, proxy != proxy) == (False, True, False)  # noqa: E711  # its own operators
        for use in (str, len, hash, iter, lambda p: p.name, lambda p: p + 1, lambda p: p()):
            with pytest.raises(RuntimeError, match="object unbound"):
                use(proxy)

    def test_bound_it_is_what_it_stands_for(self, bind: Any) -> None:
        """Type, truth, text and equality are the target's."""
        proxy, set_value = bind()
        target = [1, 2]
        set_value(target)
        assert proxy._get_current_object() is target
        assert isinstance(proxy, list)
        assert isinstance(proxy, LocalProxy)
        assert type(proxy) is LocalProxy
        assert proxy == [1, 2]
        assert repr(proxy) == "[1, 2]"
        assert dir(proxy) == dir([])
        proxy.append(3)
        assert target == [1, 2, 3]

    def test_an_attribute_can_be_set_and_deleted(self, bind: Any) -> None:
        """Attributes go to the target, never to the proxy."""
        proxy, set_value = bind()
        target = Holder()
        set_value(target)
        proxy.name = "x"
        assert target.name == "x"
        del proxy.name
        assert not hasattr(target, "name")
        with pytest.raises(AttributeError, match="name"):
            proxy.name


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    divmod, pow, operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge,
]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATORS)
def test_operators_work_from_both_sides(operation: Callable[[Any, Any], Any]) -> None:
    """A proxy may be either operand."""
    assert operation(proxy_to(7), 2) == operation(7, 2)
    assert operation(7, proxy_to(2)) == operation(7, 2)
    assert operation(proxy_to(7), proxy_to(2)) == operation(7, 2)


@pytest.mark.parametrize(
    "operation",
    [
        operator.neg, operator.pos, abs, operator.invert, complex, int, float, operator.index,
        math.trunc, math.floor, math.ceil, hash, str, repr, bool, hex, oct, bin, round,
    ],
)  # fmt: skip
def test_functions_of_a_number_give_the_targets_answer(operation: Callable[[Any], Any]) -> None:
    """Conversions and unary operators are the target's."""
    assert operation(proxy_to(-3)) == operation(-3)


def test_pow_round_and_format_take_their_arguments_along() -> None:
    """Optional arguments of special methods are passed on."""
    assert pow(proxy_to(7), 3, 5) == pow(7, 3, 5)
    assert round(proxy_to(3.14159), 2) == 3.14
    assert f"{proxy_to(3.14159):.1f}" == "3.1"
    assert bytes(proxy_to(b"abc")) == b"abc"


IN_PLACE = [
    operator.iadd, operator.isub, operator.imul, operator.imatmul, operator.itruediv,
    operator.ifloordiv, operator.imod, operator.ipow, operator.ilshift, operator.irshift,
    operator.iand, operator.ior, operator.ixor,
]  # fmt: skip


@pytest.mark.parametrize("operation", IN_PLACE)
def test_in_place_operators_change_the_target_and_keep_the_proxy(
    operation: Callable[[Any, Any], Any],
) -> None:
    """``proxy += x`` leaves the name bound to the proxy."""

    class Recorder:
        seen: Any = None

    def change(self: Recorder, other: object) -> Recorder:
        self.seen = other
        return self

    setattr(Recorder, f"__{operation.__name__.strip('_')}__", change)
    target = Recorder()
    proxy = proxy_to(target)
    assert operation(proxy, 5) is proxy
    assert target.seen == 5


def test_a_container_can_be_used_through_its_proxy() -> None:
    """Items, slices, membership, iteration and length go through."""
    target = [1, 2, 3]
    proxy = proxy_to(target)
    proxy[0] = 9
    del proxy[1]
    proxy[2:] = [4, 5]
    assert target == [9, 3, 4, 5]
    assert (len(proxy), 4 in proxy, 8 in proxy) == (4, True, False)
    assert (list(proxy), list(reversed(proxy))) == (target, target[::-1])
    assert next(proxy_to(iter("ab"))) == "a"
    assert operator.length_hint(proxy_to(iter("abc"))) == 3
    assert [1, 2, 3][proxy_to(1)] == 2
    assert {"k": 1}[proxy_to("k")] == 1


def test_matmul_goes_through_from_both_sides() -> None:
    """``@`` is an operator like any other."""

    class Matrix:
        def __matmul__(self, other: object) -> tuple[str, object]:
            return "left", other

        def __rmatmul__(self, other: object) -> tuple[str, object]:
            return "right", other

    assert proxy_to(Matrix()) @ 1 == ("left", 1)
    assert 1 @ proxy_to(Matrix()) == ("right", 1)


def test_a_call_takes_all_arguments_along() -> None:
    """A proxied function is called with what the proxy is called with."""
    assert proxy_to(dict)([("a", 1)], b=2) == {"a": 1, "b": 2}


def test_a_proxied_class_can_be_asked_for_its_instances() -> None:
    """Isinstance and issubclass take a proxy to a class."""
    assert isinstance(1, proxy_to(int))
    assert issubclass(bool, proxy_to(int))
    assert not isinstance("1", proxy_to(int))


def test_copies_are_copies_of_the_target() -> None:
    """Copy and deepcopy give the target's kind, not a proxy."""
    inner: list[int] = []
    proxy = proxy_to([inner])
    assert type(copy.copy(proxy)) is list
    assert copy.copy(proxy)[0] is inner
    assert copy.deepcopy(proxy)[0] is not inner


def test_context_managers_go_through() -> None:
    """``with proxy`` and ``async with proxy`` enter and leave the target."""
    log: list[str] = []

    class Managed:
        def __enter__(self) -> str:
            log.append("enter")
            return "value"

        def __exit__(self, *exc: object) -> None:
            log.append("exit")

        async def __aenter__(self) -> str:
            log.append("aenter")
            return "avalue"

        async def __aexit__(self, *exc: object) -> None:
            log.append("aexit")

    async def main() -> str:
        async with proxy_to(Managed()) as value:
            return str(value)

    with proxy_to(Managed()) as value:
        assert value == "value"
    assert asyncio.run(main()) == "avalue"
    assert log == ["enter", "exit", "aenter", "aexit"]


def test_awaiting_and_async_iteration_go_through() -> None:
    """A proxied coroutine can be awaited, a proxied stream iterated."""

    async def answer() -> int:
        return 42

    async def numbers() -> Any:
        for number in range(3):
            yield number

    async def main() -> tuple[int, list[int]]:
        return await proxy_to(answer()), [n async for n in proxy_to(numbers())]

    assert asyncio.run(main()) == (42, [0, 1, 2])


def test_wrapped_and_doc_belong_to_the_target_when_there_is_one() -> None:
    """Introspection tools look at the target."""

    def documented() -> None:
        """What I do."""

    proxy = LocalProxy(_variable)
    assert proxy.__wrapped__ is _variable
    _variable.set(documented)
    assert proxy.__doc__ == "What I do."
    with pytest.raises(AttributeError):
        proxy.__wrapped__


def test_a_proxy_to_a_proxy_gives_the_inner_one() -> None:
    """`_get_current_object` takes off one layer."""
    inner = proxy_to([1])
    assert proxy_to(inner)._get_current_object() is inner


def test_a_local_needs_a_name_and_a_number_is_refused() -> None:
    """What cannot be proxied is refused with the right call shown."""
    with pytest.raises(TypeError, match=r"local\('user'\)"):
        LocalProxy(Local())
    with pytest.raises(TypeError, match="Don't know how to proxy 'int'"):
        LocalProxy(1)


def test_the_unbound_message_can_be_chosen() -> None:
    """Errors say what the author of the proxy wants them to say."""
    proxy = LocalProxy(ContextVar("tests.message"), unbound_message="log in first")
    with pytest.raises(RuntimeError, match="log in first"):
        proxy.name


def test_an_error_of_a_proxied_function_is_not_changed() -> None:
    """Only RuntimeError means unbound; anything else comes through."""
    proxy = LocalProxy(lambda: {}["missing"])
    with pytest.raises(KeyError, match="missing"):
        bool(proxy)
