"""The time that a sans-I/O library takes to read a message of a client and send it back.

Prints the µs of every round: ``{size: {library: [µs, …]}}``. The libraries take turns. "Dewar" is
the first one with what Dewar adds to it: ``python -m bench.micro.websocket --rounds 9``.
"""

import argparse
import json
import time
from collections.abc import Callable

from websockets.frames import Frame
from websockets.protocol import Protocol, Side
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from bench.websocket_load import frames
from dewar.websocket.frame_protocol import FrameProtocol

SIZES = (16, 1000, 60_000)
Echo = Callable[[bytes], bytes]


def dewar() -> Echo:
    """Return Dewar's protocol."""
    ours = FrameProtocol(2**20)

    def echo(data: bytes) -> bytes:
        _, message = ours.read(data, 0)
        return ours.text(message.encode()) if isinstance(message, str) else b""

    return echo


def websockets() -> Echo:
    """Return the library `websockets` alone."""
    protocol = Protocol(Side.SERVER)

    def echo(data: bytes) -> bytes:
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if isinstance(frame, Frame):
                protocol.send_text(bytes(frame.data).decode().encode())
        return b"".join(protocol.data_to_send())

    return echo


def wsproto() -> Echo:
    """Return the library wsproto alone."""
    connection = Connection(ConnectionType.SERVER)

    def echo(data: bytes) -> bytes:
        connection.receive_data(data)
        sent = b""
        for event in connection.events():
            if isinstance(event, TextMessage):
                sent += connection.send(TextMessage(data=event.data))
        return sent

    return echo


def turn(make: Callable[[], Echo], size: int, messages: int) -> float:
    """Return the mean µs of a number of messages.

    Raises:
        ValueError: If a message does not come back.
    """
    echo = make()
    sent, expected = frames(size)
    if echo(sent) != expected:
        raise ValueError(f"{make.__name__} does not send a message of {size} bytes back.")
    began = time.perf_counter()
    for _ in range(messages):
        echo(sent)
    return (time.perf_counter() - began) / messages * 1e6


def measure(rounds: int, messages: int) -> dict[int, dict[str, list[float]]]:
    """Measure the libraries in turns and return the figures of all rounds."""
    found: dict[int, dict[str, list[float]]] = {}
    for size in SIZES:
        found[size] = {make.__name__: [] for make in (dewar, websockets, wsproto)}
        for _ in range(rounds):
            for make in (dewar, websockets, wsproto):
                found[size][make.__name__].append(turn(make, size, messages))
    return found


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.micro.websocket", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--messages", type=int, default=2000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rounds, options.messages)))


if __name__ == "__main__":
    main()
