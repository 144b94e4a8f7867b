"""Sends raw bytes to a server and collects its responses."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

# After this long without bytes, the server is taken to send none.
PATIENCE = 1.0
PAUSE = 0.01
LAST = b"GET /--last-- HTTP/1.1\r\nHost: x\r\n\r\n"
_LAST_SEEN = ("GET", "/--last--", "", b"")

Seen = tuple[str, str, str, bytes]


@dataclass(kw_only=True)
class Conversation:
    """What a client has seen on one connection.

    Attributes:
        seen: The requests that the application got: method, path, query, body.
        refusals: The response statuses of 400 and above.
        went_on: Whether the last request that was sent was served.
        is_closed: Whether the server closed the connection.
    """

    seen: list[Seen] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    went_on: bool = False
    is_closed: bool = False


def converse(port: int, pieces: Sequence[bytes], patience: float = PATIENCE) -> Conversation:
    """Send the pieces one by one, and return what the client saw."""
    conversation = Conversation()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # refused before everything was sent
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(PAUSE)
        sock.settimeout(patience)
        try:
            for status, text in _answers(sock):
                _note(conversation, status, text)
                if conversation.went_on:
                    return conversation
            conversation.is_closed = True
        except TimeoutError:
            pass
        except (OSError, ValueError):
            conversation.is_closed = True
    return conversation


def root_or(path: str) -> str:
    """Return *path*, or the root if it is empty or the asterisk of OPTIONS."""
    return "/" if path in ("", "*") else path


def _note(conversation: Conversation, status: int, text: str) -> None:
    if status >= 400:
        conversation.refusals.append(status)
    elif text:
        method, path, query, body = json.loads(bytes.fromhex(text))
        seen = method, root_or(path), query, body.encode("latin-1")
        if seen == _LAST_SEEN:
            conversation.went_on = True
        else:
            conversation.seen.append(seen)


def _answers(sock: socket.socket) -> Iterator[tuple[int, str]]:
    """Read all responses: yield the status of each, and what the application saw."""
    stream = sock.makefile("rb")
    while line := stream.readline():
        if not line.startswith(b"HTTP/"):
            return  # the rest of a body without a length
        status = int(line.split()[1])
        fields: dict[bytes, bytes] = {}
        while (text := stream.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = text.partition(b":")
            fields[name.lower()] = value.strip()
        yield status, fields.get(b"x-seen", b"").decode()
        if status < 200 or b"x-seen" in fields:
            continue
        if b"content-length" in fields:
            stream.read(int(fields[b"content-length"]))
        elif fields.get(b"transfer-encoding") == b"chunked":
            while size := int(stream.readline(), 16):
                stream.read(size + 2)
            stream.readline()
        else:
            stream.read()
