"""Sockets that are open already, and telling the service manager how the server is."""

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dewar.server.errors import BindError
from dewar.server.system import systemd
from dewar.server.system.listeners import bind_listeners, close_listeners, open_listeners, url_of
from dewar.server.system.systemd import Notifier, inherited

# Far above those that this process uses; 3 is one of them here.
FIRST = 200


@pytest.fixture(autouse=True)
def first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "_FIRST", FIRST)


@contextmanager
def passed(*sockets: socket.socket) -> Iterator[None]:
    """Put copies of sockets where they would be passed on."""
    places = range(FIRST, FIRST + len(sockets))
    for sock, place in zip(sockets, places, strict=True):
        os.dup2(sock.fileno(), place)
    try:
        yield
    finally:
        for place in places:
            with suppress(OSError):  # the test has closed it
                os.close(place)


def variables(count: int, names: str = "") -> dict[str, str]:
    """Return what systemd sets."""
    found = {"LISTEN_FDS": str(count), "LISTEN_PID": str(os.getpid())}
    return {**found, "LISTEN_FDNAMES": names} if names else found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_all_that_were_passed_on_are_taken(listener: socket.socket) -> None:
    """And no child will take them for its own."""
    with socket.create_server(("127.0.0.1", 0)) as second, passed(listener, second):
        environ = {**variables(2), "HOME": "/"}
        assert inherited("systemd", environ) == [FIRST, FIRST + 1]
        assert environ == {"HOME": "/"}
        assert not os.get_inheritable(FIRST)


def test_one_can_be_chosen_by_its_name(listener: socket.socket) -> None:
    """As FileDescriptorName= gives it; a name that is not there is told with those that are."""
    with socket.create_server(("127.0.0.1", 0)) as second, passed(listener, second):
        assert inherited("systemd:admin", variables(2, "web:admin")) == [FIRST + 1]
        with pytest.raises(BindError, match=r"named 'shop'.*There are: web, admin"):
            inherited("systemd:shop", variables(2, "web:admin"))


def test_an_inherited_socket_is_served_at_its_own_address(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not bound or listened on again."""
    with passed(listener):
        for name, value in variables(1).items():
            monkeypatch.setenv(name, value)
        (taken,) = open_listeners("systemd", 5)
        port = listener.getsockname()[1]
        assert url_of(taken) == f"http://127.0.0.1:{port}"
        assert not taken.getblocking()
        close_listeners([taken])


def test_a_descriptor_can_be_given_by_its_number(listener: socket.socket) -> None:
    """By whatever program started this one."""
    (taken,) = bind_listeners(f"fd://{os.dup(listener.fileno())}")
    assert taken.getsockname() == listener.getsockname()
    close_listeners([taken])


def test_the_file_of_an_inherited_unix_socket_is_left_alone(tmp_path: Path) -> None:
    """It is its maker's."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        taken = bind_listeners(f"fd://{os.dup(made.fileno())}")
        close_listeners(taken)
    assert path.exists()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no sockets were passed"),
        ({"LISTEN_FDS": "0", "LISTEN_PID": "1"}, "no sockets were passed"),
        ({"LISTEN_FDS": "x"}, "no sockets were passed"),
        ({"LISTEN_FDS": "1"}, r"passed to process \?"),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, "passed to process 1.*without a shell"),
    ],
)
def test_sockets_that_were_not_passed_to_this_process_are_an_error(
    environ: dict[str, str], message: str
) -> None:
    """With the repair."""
    with pytest.raises(BindError, match=message):
        inherited("systemd", environ)


def test_what_is_no_listening_stream_socket_is_refused(tmp_path: Path) -> None:
    """A file, a datagram socket, one that does not listen, a closed descriptor, no number."""
    file = os.open(tmp_path, os.O_RDONLY)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as silent,
    ):
        for fd, message in [
            (file, "is not a socket"),
            (datagram.fileno(), "not a TCP or UNIX stream socket"),
            (silent.fileno(), "does not listen"),
            (99_999, "is not open"),
        ]:
            with pytest.raises(BindError, match=message):
                inherited(f"fd://{fd}", {})
    os.close(file)
    with pytest.raises(BindError, match="has no descriptor number"):
        inherited("fd://three", {})


def receiver(address: str | bytes) -> socket.socket:
    """Return a datagram socket as the manager has it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.settimeout(5)
    return sock


def fields_of(sock: socket.socket) -> dict[str, str]:
    """Return what was told, by name."""
    return dict(line.split("=", 1) for line in sock.recv(4096).decode().splitlines())


def test_the_manager_is_told_each_change(tmp_path: Path) -> None:
    """Ready, reloading with the time, status, stopping, and that all is well."""
    with receiver(str(tmp_path / "notify")) as manager:
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        notifier = Notifier(environ)
        assert environ == {}  # no child speaks for the server
        notifier.ready("2 workers")
        assert fields_of(manager) == {
            "READY": "1", "MAINPID": str(os.getpid()), "STATUS": "2 workers",
        }  # fmt: skip
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notifier.reloading()
        told = fields_of(manager)
        assert told["RELOADING"] == "1"
        assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        notifier.status("busy")
        assert fields_of(manager) == {"STATUS": "busy"}
        notifier.stopping()
        assert fields_of(manager)["STOPPING"] == "1"
        notifier.beat()
        assert fields_of(manager) == {"WATCHDOG": "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux' own")
def test_a_manager_may_have_an_abstract_name() -> None:
    """Written with an at sign."""
    name = f"dewar-test-{os.getpid()}"
    with receiver(b"\0" + name.encode()) as manager:
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).beat()
        assert fields_of(manager) == {"WATCHDOG": "1"}


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "20000000"}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_told_twice_in_its_time(
    environ: dict[str, str], interval: float | None
) -> None:
    """If it is this process that it watches."""
    assert Notifier({"NOTIFY_SOCKET": "/nowhere", **environ}).interval == interval
    assert Notifier(dict(environ)).interval is None


def test_without_a_manager_nothing_is_told() -> None:
    """And one that has gone is no error."""
    Notifier({}).ready("fine")
    assert re.fullmatch("<Notifier of nobody>", repr(Notifier({})))


def test_a_manager_that_has_gone_costs_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server goes on."""
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("fine")
    assert "cannot be notified" in caplog.text
