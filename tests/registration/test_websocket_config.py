"""What the configuration says about WebSockets."""

from datetime import timedelta
from typing import Any

import pytest

import dewar
from dewar.registration.websocket_config import WebSocketConfig
from dewar.websocket.settings import WebSocketSettings


def test_without_keys_there_are_the_defaults() -> None:
    """And no origin is allowed but the app's own."""
    config = WebSocketConfig.of(dewar.Dewar("plain").config)
    assert config.settings == WebSocketSettings()
    assert not config.origins.allow("https://a.example", "https://b.example")


def test_each_setting_has_a_key() -> None:
    """Times may be timedeltas; None switches off."""
    config = WebSocketConfig.of(
        {
            "WEBSOCKET_MAX_MESSAGE_SIZE": 100,
            "WEBSOCKET_PING_INTERVAL": timedelta(minutes=1),
            "WEBSOCKET_PING_TIMEOUT": None,
            "WEBSOCKET_COMPRESSION": False,
            "WEBSOCKET_ORIGINS": ["https://a.example"],
        }
    )
    assert config.settings == WebSocketSettings(
        max_message_size=100, ping_interval=60.0, ping_timeout=None, compression=False
    )
    assert config.origins.allow("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("WEBSOCKET_MAX_MESAGE_SIZE", 1, "Did you mean WEBSOCKET_MAX_MESSAGE_SIZE"),
        ("WEBSOCKET_ORIGIN", [], "Did you mean WEBSOCKET_ORIGINS"),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", "1 MB", "^WEBSOCKET_MAX_MESSAGE_SIZE='1 MB' should be"),
        ("WEBSOCKET_PING_INTERVAL", 0, "^WEBSOCKET_PING_INTERVAL=0 should be"),
        ("WEBSOCKET_COMPRESSION", "no", "^WEBSOCKET_COMPRESSION='no' should be True or False"),
        ("WEBSOCKET_ORIGINS", ["a.example"], "'a.example', which is no origin"),
        ("WEBSOCKET_ORIGINS", True, "is a list of origins, and not True. Write: WEBSOCKET_ORIGINS"),
        ("WEBSOCKET_ORIGINS", 0, "is a list of origins, and not 0"),
    ],
)
def test_an_error_keeps_the_app_from_serving(key: str, value: Any, message: str) -> None:
    """It names the key."""
    app = dewar.Dewar("chat")
    app.config[key] = value

    @app.websocket("/chat")
    async def chat(ws: Any) -> None:
        pass

    with pytest.raises(ValueError, match=message):
        app.begin_serving()


def test_a_program_may_have_keys_of_its_own() -> None:
    """A key that is like none of ours is not looked at, and none is without a WebSocket."""
    assert WebSocketConfig.of({"WEBSOCKET_URL": "wss://a.example"}).settings == WebSocketSettings()
    app = dewar.Dewar("plain")
    app.config["WEBSOCKET_PING_INTERVAL"] = "every minute"
    app.begin_serving()
