"""What a supervisor and a worker tell each other.

A pair of sockets: what the supervisor says is one letter, and so is what the worker says, but for
the reason of a failure, which is the rest of what comes. If either side ends, however it ends, the
other finds the channel closed. So it is also the line by which a worker notices that it is
orphaned.
"""

import socket
from enum import Enum

_MOST = 4096


class Command(Enum):
    """What a worker is told."""

    RETIRE = b"r"
    STOP = b"s"
    QUIT = b"q"
    REOPEN_LOGS = b"l"


class Report(Enum):
    """What a worker tells."""

    READY = b"R"
    WANTS_REPLACEMENT = b"O"
    STOP_ALL = b"S"
    FAILED = b"F"


class ControlChannel:
    """One end of the pair.

    Attributes:
        is_closed: Whether the other side has gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<ControlChannel {self.sock.fileno()}{', over' if self.is_closed else ''}>"

    def send_nowait(self, word: Command | Report, text: str = "") -> None:
        """Say *word*; it is lost where the other side has gone."""
        try:
            self.sock.send(word.value + text.encode(errors="replace")[: _MOST - 1])
        except OSError:
            self.is_closed = True

    def receive_commands(self) -> list[Command]:
        """Return what the supervisor has said meanwhile."""
        return [Command(bytes([letter])) for letter in self._receive()]

    def receive_reports(self) -> list[tuple[Report, str]]:
        """Return what the worker has said meanwhile, each with its text."""
        data = self._receive()
        found: list[tuple[Report, str]] = []
        while data:
            word = Report(data[:1])
            data = data[1:]
            if word is Report.FAILED:
                found.append((word, data.decode(errors="replace")))
                break
            found.append((word, ""))
        return found

    def close(self) -> None:
        """Hang up, in this process."""
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
