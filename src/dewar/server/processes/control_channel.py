"""The messages between a supervisor and a worker, over a pair of sockets.

A message is one letter; that of a failure is followed by the reason, to the end of the data, and
that of a secret by the digits of its hash. A
signal that is passed on is its number, with the highest bit set. If
either side ends in any way, the other finds the channel closed. This is how a worker notices that
its supervisor has died.
"""

import socket
from enum import Enum
from signal import Signals

_MOST = 4096
_SIGNAL = 0x80
#: The hexadecimal digits after the letter of `Report.SECRET`.
HASH_LENGTH = 32


class Command(Enum):
    """A message from the supervisor."""

    RETIRE = b"r"
    STOP = b"s"
    QUIT = b"q"


class Report(Enum):
    """A message from the worker."""

    READY = b"R"
    WANTS_REPLACEMENT = b"O"
    STOP_ALL = b"S"
    FAILED = b"F"
    SECRET = b"K"


class ControlChannel:
    """One end of the pair.

    Attributes:
        is_closed: Whether the other side has closed its end.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<ControlChannel {self.sock.fileno()}{', closed' if self.is_closed else ''}>"

    def send_nowait(self, word: Command | Report, text: str = "") -> None:
        """Send *word*; it is lost if the other side has closed its end."""
        try:
            self.sock.send(word.value + text.encode(errors="replace")[: _MOST - 1])
        except OSError:
            self.is_closed = True

    def pass_signal(self, number: Signals) -> None:
        """Send a signal for the handler of the program; lost as with `send_nowait`."""
        try:
            self.sock.send(bytes([_SIGNAL | number]))
        except OSError:
            self.is_closed = True

    def receive_commands(self) -> list[Command | Signals]:
        """Return the messages of the supervisor since the last call."""
        return [
            Signals(letter & ~_SIGNAL) if letter & _SIGNAL else Command(bytes([letter]))
            for letter in self._receive()
        ]

    def receive_reports(self) -> list[tuple[Report, str]]:
        """Return the messages of the worker since the last call, each with its text."""
        data = self._receive()
        found: list[tuple[Report, str]] = []
        while data:
            word = Report(data[:1])
            data = data[1:]
            if word is Report.FAILED:
                found.append((word, data.decode(errors="replace")))
                break
            length = HASH_LENGTH if word is Report.SECRET else 0
            found.append((word, data[:length].decode()))
            data = data[length:]
        return found

    def close(self) -> None:
        """Close this end, in this process."""
        self.sock.close()

    def _receive(self) -> bytes:
        data = b""
        try:
            while piece := self.sock.recv(_MOST):
                data += piece
        except BlockingIOError:
            return data
        except OSError:
            self.is_closed = True
            return data
        self.is_closed = True
        return data


def open_control_channel() -> tuple[ControlChannel, ControlChannel]:
    """Return the supervisor's end and the worker's."""
    ours, theirs = socket.socketpair()
    return ControlChannel(ours), ControlChannel(theirs)
