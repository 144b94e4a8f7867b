"""Plans, as far as no test of the lanes shows them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dewar import Dewar


def first(number: int) -> str:
    return f"first {number}"


def first_of_two(number: int, other: str = "two") -> str:
    return f"{number} {other}"


def later(other: str = "one", *, number: int) -> str:
    return f"{other} {number}"


def second(other: str = "one", number: int = 0) -> str:
    return f"{other} {number}"


def any_names(**values: int) -> str:
    return f"any {values}"


def any_values(*values: int, **named: int) -> str:
    return f"{values} {named}"


def positional_only(number: int = 5, /, **named: int) -> str:
    return f"{number} {named}"


class Shown:
    """Something that can be called."""

    def __call__(self, number: int) -> str:
        return f"shown {number}"

    def method(self, number: int) -> str:
        return f"method {number}"


@pytest.mark.parametrize(
    "view",
    [
        first,
        first_of_two,
        later,
        second,
        any_names,
        any_values,
        positional_only,
        Shown(),
        Shown().method,
        partial(first_of_two, other="partial"),
    ],
    ids=lambda view: getattr(view, "__name__", type(view).__name__),
)
def test_a_view_gets_the_value_by_its_name(view: Callable[..., Any]) -> None:
    """Whatever its parameters are."""
    app = Dewar("views", static_folder=None)
    app.add_url_rule("/<int:number>", "view", view)
    assert app.test_client().get("/7").text == view(number=7)


def test_a_view_without_that_name_fails_as_in_python() -> None:
    """It is not given the value under another name."""
    app = Dewar("views", static_folder=None)
    app.testing = True
    app.add_url_rule("/<int:number>", "view", lambda count: str(count))
    with pytest.raises(TypeError, match="unexpected keyword argument 'number'"):
        app.test_client().get("/7")
