"""What a server says to raw bytes, until it has closed or answered what was sent last."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

# A server that says nothing for so long will not say anything.
PATIENCE = 1.0
PAUSE = 0.01
LAST = b"GET /--last-- HTTP/1.1\r\nHost: x\r\n\r\n"
_LAST_SEEN = ("GET", "/--last--", "", b"")

Seen = tuple[str, str, str, bytes]


@dataclass(kw_only=True)
class Conversation:
    """One connection, from the client's side.

    Attributes:
        seen: What the application was given: method, path, query, body.
        refusals: The statuses from 400 on that were answered.
        went_on: Whether the request that was sent last was served.
        is_closed: Whether the server closed.
    """

    seen: list[Seen] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    went_on: bool = False
    is_closed: bool = False


def converse(port: int, pieces: Sequence[bytes], patience: float = PATIENCE) -> Conversation:
    """Send the pieces, each by itself, and return what came of it."""
    conversation = Conversation()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # refused before all was sent
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
    """Return *path*, or the root for what stands for it: nothing, and the asterisk of OPTIONS."""
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
    """Read responses until the end: the status of each, and what the application saw."""
    stream = sock.makefile("rb")
    while line := stream.readline():
        if not line.startswith(b"HTTP/"):
            return  # the rest of a body that no length was given for
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
