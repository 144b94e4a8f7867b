"""Which pages and which hosts may open a WebSocket."""

import logging
from typing import Any

import pytest

import dewar
from dewar.testing.errors import WebSocketRefusedError


@pytest.fixture
def app() -> dewar.Dewar:
    """An app with two WebSockets, one of them with origins of its own."""
    app = dewar.Dewar("origins", static_folder=None)

    @app.websocket("/chat")
    async def chat(ws: Any) -> None:
        await ws.accept()

    @app.websocket("/feed", origins=["https://reader.example"])
    async def feed(ws: Any) -> None:
        await ws.accept()

    return app


def status(app: dewar.Dewar, path: str, origin: str | None, **options: Any) -> int:
    """Return the status of the answer to a page of an origin; None for a program."""
    headers = {} if origin is None else {"Origin": origin}
    try:
        with app.test_client().websocket(path, headers=headers, **options):
            return 101
    except WebSocketRefusedError as error:
        return error.response.status_code


def test_pages_of_the_app_may_connect(app: dewar.Dewar) -> None:
    """And programs, which send no Origin; no page of another origin."""
    assert status(app, "/chat", None) == 101
    assert status(app, "/chat", "http://localhost") == 101
    assert status(app, "http://shop.example:8000/chat", "http://shop.example:8000") == 101
    assert status(app, "wss://shop.example/chat", "https://shop.example") == 101
    for origin in ("http://shop.example", "https://shop.example:8000", "null"):
        assert status(app, "http://shop.example:8000/chat", origin) == 403


def test_the_configuration_allows_others(app: dewar.Dewar) -> None:
    """A route's own list stands in place of it."""
    app.config["WEBSOCKET_ORIGINS"] = ["https://shop.example"]
    assert status(app, "/chat", "https://shop.example") == 101
    assert status(app, "/chat", "https://reader.example") == 403
    assert status(app, "/feed", "https://shop.example") == 403
    assert status(app, "/feed", "https://reader.example") == 101
    assert status(app, "/feed", "http://localhost") == 101
    app.config["WEBSOCKET_ORIGINS"] = "*"
    assert status(app, "/chat", "null") == 101


def test_the_refusal_says_how_to_allow(app: dewar.Dewar, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, and in debug mode in the answer."""

    def refused() -> str:
        with pytest.raises(WebSocketRefusedError) as error:
            app.test_client().websocket(
                "/chat", headers={"Origin": "https://a.example"}
            ).__enter__()
        text: str = error.value.response.text
        return text

    with caplog.at_level(logging.WARNING):
        assert "a.example" not in refused()
    assert "app.config['WEBSOCKET_ORIGINS'] = ['https://a.example']" in caplog.text
    app.debug = True
    assert "a.example" in refused()


def test_refused_pages_do_not_fill_the_log(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names the first of them, and the module that says so; the others are counted."""
    with caplog.at_level(logging.WARNING):
        for number in range(50):
            assert status(app, "/chat", f"https://a{number}.example") == 403
    (record,) = caplog.records
    assert "https://a0.example" in record.getMessage()
    assert (record.name, record.module) == ("origins", "websockets")


def test_no_before_request_function_can_leave_the_check_out(app: dewar.Dewar) -> None:
    """It belongs to the handshake, and the view is not called before."""
    app.before_request(lambda: None)
    assert status(app, "/chat", "https://a.example") == 403


def test_trusted_hosts_hold(app: dewar.Dewar) -> None:
    """As for every request: 400."""
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    assert status(app, "http://shop.example/chat", "http://shop.example") == 101
    assert status(app, "http://other.example/chat", "http://other.example") == 400
