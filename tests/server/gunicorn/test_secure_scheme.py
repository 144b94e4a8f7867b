"""Trusted proxies say whether their clients use HTTPS, and nothing else about them."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from dewar import Dewar
from dewar.server.connection.body_limit import maybe_body_limit
from dewar.server.gunicorn.secure_scheme import FIELDS, with_secure_scheme
from dewar.server.proxies.trusted_hosts import TrustedHosts
from dewar.server.settings.settings import Settings
from dewar.support.bounded_log import BoundedLog
from servertools import Serve

TRUSTED = TrustedHosts(["127.0.0.1", "10.0.0.0/8", "unix"])


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with the scheme."""
    start_response("200 OK", [])
    return [environ["wsgi.url_scheme"].encode()]


def scheme_of(peer: str, fields: dict[str, str], before: str = "http") -> str:
    """Return the scheme that an app sees, or the status of a refusal."""
    environ = {"REMOTE_ADDR": peer, "wsgi.url_scheme": before}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in fields.items()}
    statuses: list[str] = []
    app = with_secure_scheme(echo, TRUSTED, FIELDS)
    body = b"".join(app(environ, lambda status, _: statuses.append(status)))
    return body.decode() if statuses == ["200 OK"] else statuses[0]


@pytest.mark.parametrize(
    ("peer", "fields", "scheme"),
    [
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, "https"),
        ("10.9.8.7", {"X-Forwarded-Ssl": "on"}, "https"),
        ("", {"X-Forwarded-Protocol": "ssl"}, "https"),
        ("127.0.0.1", {"X-Forwarded-Proto": "http"}, "http"),
        ("127.0.0.1", {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on"}, "https"),
        ("127.0.0.1", {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}, "400 Bad Request"),
        ("192.0.2.1", {"X-Forwarded-Proto": "https"}, "http"),
        ("192.0.2.1", {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}, "http"),
        ("127.0.0.1", {}, "http"),
    ],
)
def test_the_scheme_is_that_of_the_fields(peer: str, fields: dict[str, str], scheme: str) -> None:
    """Of trusted hosts, if they do not contradict each other."""
    assert scheme_of(peer, fields) == scheme


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "X-Other"]), st.text(max_size=6)))
def test_an_untrusted_host_changes_nothing(fields: dict[str, str]) -> None:
    """Whatever it sends."""
    assert scheme_of("192.0.2.1", fields, "https") == "https"


def test_http_from_a_proxy_is_http_though_it_uses_tls_itself() -> None:
    """As under gunicorn."""
    assert scheme_of("127.0.0.1", {"X-Forwarded-Proto": "http"}, "https") == "http"


@pytest.fixture
def app() -> Dewar:
    """An app with a coroutine view that is answered on the event loop, and a limit for bodies."""
    app = Dewar("shop")
    app.config["MAX_CONTENT_LENGTH"] = 10

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        await asyncio.sleep(0)
        from dewar import request

        return request.scheme

    return app


@pytest.mark.parametrize("taken", [(), ("begin_on_loop", "body_limit_for")], ids=["free", "taken"])
def test_an_app_of_dewar_keeps_what_it_says_of_a_call(
    app: Dewar, serve: Serve, taken: tuple[str, ...]
) -> None:
    """Coroutine views are begun on the event loop, and the limit of a body is known before it.

    A program may have something else under the names of the methods.
    """
    for name in taken:
        setattr(app, name, "the program's")
    wrapped: Any = with_secure_scheme(app, TRUSTED, FIELDS)
    served = serve(wrapped, threads=1)
    client = served.client()
    assert client.get(X_Forwarded_Proto="https")[2] == b"https"
    assert client.get()[2] == b"http"
    client.close()
    body_limit = maybe_body_limit(wrapped, Settings(), BoundedLog(logging.getLogger(), float))
    assert body_limit is not None
    environ = EnvironBuilder("/", method="POST").get_environ()
    assert (body_limit(environ), body_limit({**environ, "PATH_INFO": "/none"})) == (10, 0)
    # A server that gets an error here calls the app instead, and a thread waits.
    assert wrapped.begin_on_loop(environ, None) is not None


Method = Callable[..., Any]


@pytest.mark.parametrize("method", ["begin_on_loop", "body_limit_for"])
def test_a_contradiction_is_left_to_the_call(app: Dewar, method: str) -> None:
    """Which answers 400; until then nothing of the app runs."""
    wrapped: Any = with_secure_scheme(app, TRUSTED, FIELDS)
    environ = {
        "REMOTE_ADDR": "", "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_SSL": "off",
    }  # fmt: skip
    call: Method = getattr(wrapped, method)
    assert not call(environ, *([None] if method == "begin_on_loop" else []))


@pytest.mark.parametrize("method", ["begin_on_loop", "body_limit_for"])
def test_another_app_is_not_asked(method: str) -> None:
    """It cannot say."""
    assert not hasattr(with_secure_scheme(echo, TRUSTED, FIELDS), method)
