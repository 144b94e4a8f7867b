"""Sockets that have until a moment for all they do together.

A timeout of a socket is for each call: a receiver that sends a byte now and then could hold its
caller for ever. These tighten the timeout before every call.
"""

import socket
import ssl
import time
from math import inf
from typing import Any

from dewar.tasks.webhooks.ssrf_guard import Route


class _Deadline:
    """Goes before a class of sockets."""

    #: On the clock of `time.monotonic`.
    until: float = inf

    def tighten(self) -> None:
        """Leave the next call only the time there is.

        Raises:
            TimeoutError: If there is none.
        """
        left = self.until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("timed out")
        self.settimeout(left)  # type: ignore[attr-defined]  # a socket's, which comes after

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.tighten()
        return super().recv_into(*args, **kwargs)  # type: ignore[misc, no-any-return]  # as above

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.tighten()
        return super().send(*args, **kwargs)  # type: ignore[misc, no-any-return]  # as above

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.tighten()
        super().sendall(*args, **kwargs)  # type: ignore[misc]  # as above


class DeadlineSocket(_Deadline, socket.socket):
    """A socket with a deadline."""


class DeadlineTLSSocket(_Deadline, ssl.SSLSocket):
    """A socket with a deadline, over TLS."""


def open_socket(route: Route, until: float) -> DeadlineSocket:
    """Return a socket that is connected to the first of a route's addresses that answers.

    Each gets an equal share of the time that is left.

    Raises:
        OSError: If none does.
    """
    failure: OSError = TimeoutError("timed out")
    for number, (family, address) in enumerate(route.addresses):
        now = time.monotonic()
        opened = DeadlineSocket(family, socket.SOCK_STREAM)
        opened.until = now + (until - now) / (len(route.addresses) - number)
        try:
            opened.tighten()
            opened.connect(address)
        except OSError as error:
            opened.close()
            failure = error
        except BaseException:
            opened.close()
            raise
        else:
            opened.until = until
            return opened
    raise failure


def wrap_socket(opened: DeadlineSocket, context: ssl.SSLContext, name: str) -> DeadlineTLSSocket:
    """Return the socket with TLS in it, once the other end has shown to be who it is.

    Args:
        opened: Is closed with it, also where this fails.
        context: Whose ``sslsocket_class`` is `DeadlineTLSSocket`.
        name: What the certificate must be for.

    Raises:
        OSError: If the handshake fails, or takes too long.
    """
    try:
        opened.tighten()
        # The timeout is for the whole handshake.
        wrapped = context.wrap_socket(opened, server_hostname=name)
    except BaseException:
        opened.close()
        raise
    if not isinstance(wrapped, DeadlineTLSSocket):
        raise TypeError(f"{context!r} makes no DeadlineTLSSocket.")
    wrapped.until = opened.until
    return wrapped
