"""Which sockets an address in ``bind`` stands for."""

import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dewar.server.errors import BindError
from dewar.server.system import inet_address
from dewar.server.system.inet_address import unmapped
from dewar.server.system.listeners import close_listeners, open_listeners, url_of


def has_ipv6() -> bool:
    """Return whether this machine has the loopback address of IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def opened() -> Iterator[Callable[..., list[socket.socket]]]:
    """Open listeners that are closed in the end."""
    made: list[list[socket.socket]] = []

    def open_them(bind: str, **options: Any) -> list[socket.socket]:
        made.append(open_listeners(bind, 8, **options))
        return made[-1]

    yield open_them
    for listeners in made:
        close_listeners(listeners)


def can_connect(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


@needs_ipv6
def test_localhost_is_both_families_with_one_port(opened) -> None:
    """A browser may try either first, and hosts files differ."""
    listeners = opened("localhost:0")
    assert [each.getsockname()[0] for each in listeners] == ["127.0.0.1", "::1"]
    (port,) = {each.getsockname()[1] for each in listeners}
    assert can_connect("127.0.0.1", port)
    assert can_connect("::1", port)


@needs_ipv6
def test_any_ipv6_takes_ipv4_clients_too(opened) -> None:
    """Whatever the default of the system."""
    (listener,) = opened("[::]:0")
    port = listener.getsockname()[1]
    assert can_connect("127.0.0.1", port)
    assert can_connect("::1", port)
    assert url_of(listener) == f"http://[::]:{port}"


@needs_ipv6
def test_any_ipv6_takes_ipv6_clients_only_if_told_so(opened) -> None:
    """With the setting."""
    (listener,) = opened("[::]:0", ipv6_only=True)
    port = listener.getsockname()[1]
    assert not can_connect("127.0.0.1", port)
    assert can_connect("::1", port)


@needs_ipv6
@pytest.mark.parametrize("bind", ["0.0.0.0:{0},[::]:{0}", "[::]:{0}, :{0}"])
def test_each_family_may_be_named_apart(opened, bind: str) -> None:
    """Then each socket has its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listeners = opened(bind.format(port))
    assert sorted(each.family for each in listeners) == [socket.AF_INET, socket.AF_INET6]
    assert can_connect("127.0.0.1", port)
    assert can_connect("::1", port)


def test_a_name_is_all_its_addresses_that_this_machine_has(opened, monkeypatch) -> None:
    """Hosts files name some twice, and some that are elsewhere."""
    hosts = ["192.0.2.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"]

    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    monkeypatch.setattr(inet_address.socket, "getaddrinfo", found)
    listeners = opened("shop.test:0")
    assert [each.getsockname()[0] for each in listeners] == ["127.0.0.1", "127.0.0.2"]
    assert len({each.getsockname()[1] for each in listeners}) == 1
    hosts[1:] = []
    with pytest.raises(BindError, match="no such address"):
        opened("shop.test:0")


def test_an_address_in_use_is_an_error_also_for_one_of_several(opened) -> None:
    """Else half of the clients would reach another program."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(BindError, match="in use") as caught:
            opened(f"localhost:{other.getsockname()[1]}")
    assert caught.value.__cause__.errno == errno.EADDRINUSE


@pytest.mark.parametrize(
    "bind", ["", "127.0.0.1", "::1:80", "x:-1", "x:70000", "x:8٣", "x:" + "9" * 5000, "a..b:1"]
)
def test_what_is_no_address_is_refused(bind: str) -> None:
    """With what to write instead."""
    with pytest.raises(BindError, match="Give"):
        open_listeners(bind, 8)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("::ffff:1:2", "::ffff:1:2"),
    ],
)
def test_an_ipv4_client_of_a_socket_for_both_has_its_own_address(host: str, shown: str) -> None:
    """Or no rule for IPv4 addresses would hold."""
    assert unmapped(host) == shown
