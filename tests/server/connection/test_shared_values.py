"""`SharedValues`: equal values are one string, and nothing of one client is kept."""

from typing import Any

from dewar.server.connection.shared_values import SharedValues


def environ(**values: str) -> dict[str, Any]:
    """Return an environ whose strings are objects of their own."""
    return {name: "".join(list(value)) for name, value in values.items()}


def test_equal_values_become_one_object() -> None:
    """Whatever differs stays as it is."""
    values = SharedValues()
    one = environ(HTTP_USER_AGENT="a browser", HTTP_HOST="one.example")
    two = environ(HTTP_USER_AGENT="a browser", HTTP_HOST="two.example")
    assert one["HTTP_USER_AGENT"] is not two["HTTP_USER_AGENT"]
    for each in (one, two):
        values.replace_in(each)
    assert one["HTTP_USER_AGENT"] is two["HTTP_USER_AGENT"]
    assert (one["HTTP_HOST"], two["HTTP_HOST"]) == ("one.example", "two.example")


def test_what_identifies_a_client_is_not_kept() -> None:
    """It would outlive the connection."""
    values = SharedValues()
    secret = environ(HTTP_COOKIE="s", HTTP_AUTHORIZATION="s", HTTP_SEC_WEBSOCKET_PROTOCOL="s")
    values.replace_in(secret)
    assert repr(values) == "<SharedValues, 0 known>"


def test_values_that_come_once_take_bounded_memory() -> None:
    """Long ones are not kept, and many are forgotten."""
    values = SharedValues()
    for number in range(5000):
        values.replace_in(environ(HTTP_USER_AGENT=str(number), HTTP_ORIGIN="x" * 300))
    assert int(repr(values).split()[1]) <= 1040
