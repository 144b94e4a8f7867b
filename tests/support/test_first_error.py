"""All steps run, and the first error is raised at the end."""

import pytest

from dewar.support.first_error import FirstError


def fail(error: BaseException) -> None:
    raise error


def test_the_first_error_is_raised_after_all_steps() -> None:
    """Later errors go to the log, an exit among them."""
    logged: list[BaseException] = []
    ran: list[int] = []
    first, second, third = ValueError("1"), SystemExit("2"), KeyError("3")
    errors = FirstError(logged.append)
    errors.run(fail, first)
    errors.run(ran.append, 1)
    errors.run(fail, second)
    errors.keep(third)
    assert (ran, logged) == ([1], [second, third])
    with pytest.raises(ValueError, match="1") as raised:
        errors.raise_first()
    assert raised.value is first


def test_without_an_error_nothing_is_raised() -> None:
    """Steps that succeed leave nothing behind."""
    errors = FirstError()
    errors.run(int, "7")
    errors.raise_first()
    assert errors.error is None
