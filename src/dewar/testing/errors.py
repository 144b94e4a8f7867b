"""The errors of the tools for tests."""

from typing import Any

from dewar.errors import DewarError


class AddressGivenTwiceError(DewarError, AssertionError):
    """Raised when a base URL is given together with a part of one.

    It is an `AssertionError`, as Flask's is.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(
            "'subdomain' and 'url_scheme' build a base URL, and"
            f" base_url={base_url!r} is one already. Leave them out, or leave base_url out."
        )
        self.base_url = base_url


class CookiesDisabledError(DewarError, TypeError):
    """Raised when a client without cookies is asked for its session, which is a cookie.

    It is a `TypeError`, as Flask's is.
    """

    def __init__(self) -> None:
        super().__init__(
            "Cookies are disabled. Create a client with 'use_cookies=True', which has a session:"
            " app.test_client(use_cookies=True)."
        )


class NoSessionError(DewarError, RuntimeError):
    """Raised when the app's session interface opens no session for the client.

    It is a `RuntimeError`, as Flask's is.
    """

    def __init__(self, interface: object) -> None:
        super().__init__(
            f"Session backend did not open a session: {interface!r}. Cookie sessions need a key to"
            " sign them with: app.secret_key = 'any text, in a test'."
        )
        self.interface = interface


class ClientNestedError(DewarError, RuntimeError):
    """Raised when a ``with client:`` block is opened inside another of the same client.

    It is a `RuntimeError`, as Flask's is.
    """

    def __init__(self, client: object) -> None:
        super().__init__(
            f"{client!r} is in a with block already, and it keeps one request's context at a"
            " time. Use a client of its own for the inner block: with app.test_client() as other:"
        )


class WebSocketRefusedError(DewarError, ConnectionError):
    """Raised when the app answers the handshake of a WebSocket with another response.

    `response` is that response, as `client.get` would return it.
    """

    def __init__(self, response: Any) -> None:
        super().__init__(
            f"The app did not accept the WebSocket {response.request.path!r}, but answered"
            f" {response.status}: {response.get_data(as_text=True)[:200]!r}. See error.response."
        )
        self.response = response


class NoMessageError(DewarError, TimeoutError):
    """Raised when the app does not do in time what a test waits for."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The app {what} within {seconds} seconds. If it needs longer:"
            " client.websocket(path, timeout=60)."
        )
