"""`Admission`: who may come in, and with what before."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.connection.admission import Admission
from dewar.server.connection.connection import Connection
from dewar.server.connection.environ import server_environ
from dewar.server.connection.handshake import HandshakeConnection
from dewar.server.connection.server_context import ServerContext
from dewar.server.settings.settings import Settings


def app(environ: Any, start_response: Any) -> Any:
    return []


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            ours, peer = listener.accept()
            yield ours, peer
            ours.close()


def test_plain_connections_are_nothing_special(ends: Any) -> None:
    """They pay for none of this, with trusted hosts or without."""
    for settings in (Settings(), Settings(trusted_hosts="*")):
        admission = Admission(ServerContext(app, settings, lambda: 0.0))
        assert type(admission.open(*ends)) is Connection
    assert repr(admission) == "<Admission, HTTP first>"


def test_what_comes_first_is_told(ends: Any, certificates: Certificates) -> None:
    """A PROXY header, TLS, or the one and then the other."""
    settings = Settings(proxy_protocol=True, trusted_hosts="127.0.0.1", **certificates.pair())  # type: ignore[arg-type]
    admission = Admission(ServerContext(app, settings, lambda: 0.0))
    assert repr(admission) == "<Admission, a PROXY header and TLS first>"
    assert type(admission.open(*ends)) is HandshakeConnection


def test_strangers_do_not_fill_the_log(ends: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One warning in a while, which counts the others."""
    settings = Settings(proxy_protocol=True, trusted_hosts="10.0.0.1")
    moments = [0.0, 1.0, 59.0, 60.0, 61.0]
    server_context = ServerContext(app, settings, lambda: moments[0])
    admission = Admission(server_context)
    while moments:
        with pytest.raises(ConnectionRefusedError):
            admission.open(*ends)
        moments.pop(0)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


@pytest.mark.parametrize("trusted", ["", " , "])
def test_without_trusted_hosts_the_application_is_called_itself(trusted: str) -> None:
    """There is nothing in between."""
    assert ServerContext(app, Settings(trusted_hosts=trusted), lambda: 0.0).app is app


def test_the_environ_says_whether_there_are_other_processes() -> None:
    """And other threads (PEP 3333)."""
    environ = server_environ(multithread=False, multiprocess=True)
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (False, True)
    environ = server_environ(multithread=True)
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (True, False)
