"""What the server makes of an application's answer about a body."""

import logging
from typing import Any

import pytest

from dewar.server.connection.body_limit import maybe_body_limit
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER
from dewar.server.settings.settings import Settings
from dewar.support.bounded_log import BoundedLog

ENVIRON = {"SCRIPT_NAME": "", "PATH_INFO": "/in/a", "REQUEST_URI": "/in/a", "HTTP_HOST": "x"}


class App:
    """An application that says what it is told to."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer; nobody asks for it here."""
        raise AssertionError

    def body_limit_for(self, environ: Any) -> Any:
        """Say how much of a body is taken."""
        self.asked.append(environ["PATH_INFO"])
        environ.clear()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def log() -> BoundedLog:
    """Return a log whose clock stands still."""
    return BoundedLog(logging.getLogger("dewar.server"), float)


def ask(app: Any, environ: dict[str, Any] = ENVIRON, **settings: Any) -> Any:
    body_limit = maybe_body_limit(app, Settings(**settings), log())
    assert body_limit is not None
    before = dict(environ)
    answer = body_limit(environ)
    assert environ == before, "the application is given a copy"
    return answer


@pytest.mark.parametrize("answer", [0, 7, None])
def test_what_the_application_says_counts(answer: int | None) -> None:
    """A number of bytes, or that it does not know."""
    assert ask(App(answer)) == answer


@pytest.mark.parametrize("error", [ValueError("no database"), SystemExit(1)])
def test_an_application_that_fails_does_not_say(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is answered without it, and the log tells of it once."""
    body_limit = maybe_body_limit(App(error), Settings(), log())
    assert body_limit is not None
    for _ in range(5):
        assert body_limit(ENVIRON) is None
    (line,) = caplog.messages
    assert f"body_limit_for() failed, and the application is called without it: {error!r}" in line


def test_it_is_asked_behind_the_middleware_of_the_server() -> None:
    """Which may refuse the request by itself: then no body is needed."""
    app = App(7)
    environ = {**ENVIRON, TRUSTS_PEER: True, "REMOTE_ADDR": "10.0.0.1"}
    assert ask(app, environ, trusted_hosts="10.0.0.1", script_name="/in") == 7
    assert app.asked == ["/a"]
    environ |= {"HTTP_X_FORWARDED_HOST": "a", "HTTP_FORWARDED": "host=b"}
    both = "x-forwarded-host, forwarded"
    assert ask(app, environ, trusted_hosts="10.0.0.1", forwarded_headers=both) == 0
    assert app.asked == ["/a"]


def test_an_application_without_an_answer_of_its_own_is_not_asked() -> None:
    """Neither a function, nor middleware that passes on the attributes of another application."""

    class Passing:
        def __call__(self, environ: Any, start_response: Any) -> Any:
            raise AssertionError

        def __getattr__(self, name: str) -> Any:
            return getattr(App(7), name)

    for app in (lambda environ, start_response: [], Passing()):
        assert maybe_body_limit(app, Settings(), log()) is None
