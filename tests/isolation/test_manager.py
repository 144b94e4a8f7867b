"""`LocalManager`: several locals released together."""

from typing import Any

from dewar import Local, LocalManager, LocalStack


def test_cleanup_releases_every_local() -> None:
    """One call empties them all for this owner."""
    local, stack = Local(), LocalStack[int]()
    local.x = 1
    stack.push(1)
    manager = LocalManager([local])
    manager.locals.append(stack)
    assert repr(manager) == "<LocalManager locals: 2>"
    manager.cleanup()
    assert (dict(local), stack.top) == ({}, None)
    assert manager.get_ident() == local.__ident_func__()


def test_one_local_or_none_can_be_given() -> None:
    """The list is optional."""
    local = Local()
    assert LocalManager(local).locals == [local]
    assert LocalManager().locals == []


def test_middleware_releases_when_the_response_is_closed() -> None:
    """The values live as long as the body is being sent."""
    local = Local()
    manager = LocalManager(local)

    @manager.middleware
    def app(environ: Any, start_response: Any) -> Any:
        """Say hello."""
        local.x = 1
        yield b"hello"

    assert app.__doc__ == "Say hello."
    body: Any = app({}, lambda *args: None)
    assert list(body) == [b"hello"]
    assert local.x == 1
    body.close()
    assert dict(local) == {}
