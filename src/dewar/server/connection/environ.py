"""The part of the environ that all requests of a connection have in common (PEP 3333)."""

import socket
import sys
from typing import Any

from dewar.server.connection.file_wrapper import FileWrapper
from dewar.server.wire.body import EmptyBody

Environ = dict[str, Any]


def server_environ(multithread: bool) -> Environ:
    """Return what all connections of a server have in common."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "REQUEST_URI": "/",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "Dewar",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": EmptyBody(),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }


def connection_environ(base: Environ, sock: socket.socket, peer: Any) -> Environ:
    """Return *base* with the two addresses of a connection.

    Raises:
        OSError: The client has gone already.
    """
    environ = base.copy()
    if sock.family == getattr(socket, "AF_UNIX", None):
        # A UNIX socket has neither, and PEP 3333 wants the server's filled.
        environ.update(SERVER_NAME="localhost", SERVER_PORT="80", REMOTE_ADDR="")
        return environ
    name = sock.getsockname()
    environ["SERVER_NAME"] = name[0]
    environ["SERVER_PORT"] = str(name[1])
    environ["REMOTE_ADDR"] = peer[0]
    environ["REMOTE_PORT"] = str(peer[1])
    return environ
