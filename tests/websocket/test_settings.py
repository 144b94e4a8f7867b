"""`WebSocketSettings` are checked once."""

import re
from dataclasses import fields

import pytest

from dewar.websocket.errors import WebSocketValueError
from dewar.websocket.settings import WebSocketSettings


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout", "idle_timeout"])
def test_times_can_be_switched_off(name: str) -> None:
    """With None; others cannot."""
    assert getattr(WebSocketSettings(**{name: None}), name) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("max_message_size", 0, "a whole number greater than 0."),
        ("max_message_size", None, "a whole number greater than 0."),
        ("max_message_size", 1.5, "a whole number greater than 0."),
        ("max_message_size", True, "a whole number greater than 0."),
        ("max_message_size", "1 MB", "a whole number greater than 0."),
        ("ping_interval", 0, "a number greater than 0, or None."),
        ("ping_interval", -1, "a number greater than 0, or None."),
        ("ping_interval", float("nan"), "a number greater than 0, or None."),
        ("close_timeout", None, "a number greater than 0."),
        ("receive_high_water", 0, "a whole number greater than 0."),
        ("compression", "no", "True or False."),
        ("compression", None, "True or False."),
    ],
)
def test_a_wrong_value_is_named(name: str, value: object, kind: str) -> None:
    """With what it should be."""
    with pytest.raises(WebSocketValueError, match=re.escape(f"{name}={value!r} should be {kind}")):
        WebSocketSettings(**{name: value})  # type: ignore[arg-type]


def test_no_setting_takes_a_text() -> None:
    """A variable of the environment is one, and "no" or "0" would count as true."""
    for field in fields(WebSocketSettings):
        with pytest.raises(WebSocketValueError, match=f"^{field.name}='0' should be "):
            WebSocketSettings(**{field.name: "0"})  # type: ignore[arg-type]
