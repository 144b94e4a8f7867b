import socket
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dewar.tasks.errors import CallbackRefused, TaskSetupError
from dewar.tasks.webhooks.ssrf_guard import SSRFGuard, is_public


def at(*addresses):
    """A resolver that gives these, and notes what it was asked."""

    def resolve(host, port, type):  # noqa: A002
        asked.append((host, port))
        assert type == socket.SOCK_STREAM
        return [
            (socket.AF_INET6, type, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, type, 6, "", (address, port))
            for address in addresses
        ]

    asked = []
    resolve.asked = asked
    return resolve


PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "193.99.144.80",
    "2606:4700::1111",
    "2a00:1450::1",
    "64:ff9b::808:808",
]
INTERNAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address):
    """At the address that was looked at, and with the name that was asked for."""
    route = SSRFGuard(resolve=at(address)).route("https://example.com/a?b=c")
    assert route.addresses[0][1][:2] == (address, 443)
    assert route.destination.host == "example.com"


@pytest.mark.parametrize("address", INTERNAL)
def test_internal_addresses_are_refused(address):
    """However a name leads there, alone or among others."""
    for addresses in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        with pytest.raises(CallbackRefused, match="TASKS_CALLBACK_ALLOW"):
            SSRFGuard(resolve=at(*addresses)).route("https://example.com/")


@pytest.mark.parametrize("address", INTERNAL)
def test_internal_addresses_in_the_url_are_refused_at_once(address):
    """Before anything is resolved."""
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(CallbackRefused):
        SSRFGuard(resolve=at()).check(f"http://{host}/")


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::1%lo"])
def test_a_zone_hides_nothing(address):
    """Neither in a resolved address nor in the URL."""
    with pytest.raises(CallbackRefused):
        SSRFGuard(resolve=at(address)).route("http://example.com/")
    with pytest.raises(CallbackRefused):
        SSRFGuard().check(f"http://[{address}]/")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "0", "017700000001"]
)
def test_numbers_that_are_loopback_are_refused(host):
    """The resolver reads such numbers, and its answer is checked."""
    with pytest.raises((CallbackRefused, OSError)):
        SSRFGuard().route(f"http://{host}/")


@given(st.ip_addresses())
def test_the_table_is_as_strict_as_pythons(address):
    """Addresses that any version of `ipaddress` calls not global are refused."""
    if is_public(address) and address.packed[:12] != ip_address("64:ff9b::").packed[:12]:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_in_ipv6_clothes_is_never_better(address):
    """Mapped, compatible, by 6to4, NAT64 or Teredo."""
    packed = address.packed
    clothes = [
        b"\0" * 10 + b"\xff\xff" + packed,
        b"\0" * 12 + packed,
        b"\x20\x02" + packed + b"\0" * 10,
        ip_address("64:ff9b::").packed[:12] + packed,
        b"\x20\x01\0\0" + packed + b"\0" * 8,
        b"\x20\x01\0\0" + b"\x08\x08\x08\x08" + b"\0" * 4 + bytes(byte ^ 255 for byte in packed),
    ]
    for worn in clothes:
        assert not is_public(ip_address(worn)) or is_public(address)


@pytest.mark.parametrize(
    ("allow", "address"),
    [
        (["10.0.0.0/8"], "10.1.2.3"),
        (["127.0.0.1"], "127.0.0.1"),
        (["fd00::/8"], "fd12::1"),
        (["Hooks.internal."], "10.1.2.3"),
    ],
)
def test_what_is_allowed_is_called(allow, address):
    """By its network, its address or its name."""
    guard = SSRFGuard(allow, at(address))
    assert guard.route("http://hooks.internal/").addresses[0][1][0] == address
    with pytest.raises(CallbackRefused):
        SSRFGuard(allow, at("192.168.1.1")).route("http://other.internal/")


def test_all_addresses_are_public_or_allowed():
    """One that is neither spoils it."""
    with pytest.raises(CallbackRefused):
        SSRFGuard(["10.0.0.0/8"], at("10.1.2.3", "127.0.0.1")).route("http://hooks.internal/")


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "10.0.0.0/99", "http://a/", "", "a b"])
def test_what_can_not_be_allowed_is_named(entry):
    """At once, not when it is missed."""
    with pytest.raises(TaskSetupError, match="cannot be allowed"):
        SSRFGuard([entry])


def test_allow_is_a_list():
    """A lone str would be taken for its letters."""
    with pytest.raises(TaskSetupError, match=r"allow=\['10"):
        SSRFGuard("10.0.0.0/8")


@pytest.mark.parametrize(
    ("url", "scheme", "header", "port", "target"),
    [
        ("https://Example.COM", "https", "example.com", 443, "/"),
        ("http://example.com/a b".replace(" ", "%20"), "http", "example.com", 80, "/a%20b"),
        (
            "HTTPS://example.com:8443/a?x=1&y=%26#top",
            "https",
            "example.com:8443",
            8443,
            "/a?x=1&y=%26",
        ),
        ("https://example.com:443/", "https", "example.com", 443, "/"),
        ("https://example.com.?q", "https", "example.com", 443, "/?q"),
        ("https://bücher.example/ä?ö", "https", "xn--bcher-kva.example", 443, "/%C3%A4?%C3%B6"),
        ("http://[2606:4700::1111]:8080/", "http", "[2606:4700::1111]:8080", 8080, "/"),
        ("https://example.com//evil.test/", "https", "example.com", 443, "//evil.test/"),
        ("https://a_b.example.com/", "https", "a_b.example.com", 443, "/"),
    ],
)
def test_a_url_is_taken_apart_once(url, scheme, header, port, target):
    """The connection and the request are made from the same parts."""
    found = SSRFGuard().check(url)
    assert (found.scheme, found.host_header, found.port, found.target) == (
        scheme,
        header,
        port,
        target,
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://example.com/",
        "http:///path",
        "http://",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://example.com:x/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:25/",
        "http://example.com:22/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://example.com/\n",
        " http://example.com/",
        "http://example.com\\@evil.test/",
        "http://example.com/\x00",
        "http://exa%00mple.com/",
        "http://a..b/",
        f"http://{'a' * 64}.com/",
        "http://[::1/",
        "http://localhost/",
        "http://LOCALHOST.:8080/",
        "http://app.localhost/",
        f"http://example.com/{'a' * 2048}",
        None,
        7,
        {"url": "x"},
    ],
    ids=repr,
)
def test_what_is_no_url_to_call_is_refused(url):
    """Any such URL raises `CallbackRefused`."""
    with pytest.raises(CallbackRefused):
        SSRFGuard(resolve=at("8.8.8.8")).check(url)


def test_a_password_is_not_shown():
    """It would be in a log."""
    with pytest.raises(CallbackRefused) as caught:
        SSRFGuard().check("https://user:hunter2@example.com/")
    assert "hunter2" not in str(caught.value)


def test_a_host_that_is_allowed_may_have_any_port():
    """The operator knows the service on it."""
    assert SSRFGuard(["hooks.internal"]).check("http://hooks.internal:81/").port == 81
    assert SSRFGuard(["127.0.0.0/8"]).check("http://127.0.0.1:81/").port == 81
    assert SSRFGuard(["127.0.0.0/8"]).check("http://localhost:8080/").port == 8080


@given(
    st.text()
    | st.text().map(lambda text: f"http://{text}")
    | st.text(":/@[]%.\\a1").map("https://{}/".format)
)
def test_any_text_is_a_destination_or_refused(url):
    """The target of a destination is plain ASCII without spaces."""
    try:
        found = SSRFGuard().check(url)
    except CallbackRefused:
        return
    sent = f"{found.target}{found.host_header}"
    assert sent.isascii()
    assert not any(char.isspace() or not char.isprintable() for char in sent)


def test_a_name_is_resolved_once():
    """There is no second answer to be another one."""
    resolve = at("8.8.8.8", "8.8.8.8", "8.8.4.4")
    route = SSRFGuard(resolve=resolve).route("https://example.com/")
    assert resolve.asked == [("example.com", 443)]
    assert [place[0] for _, place in route.addresses] == ["8.8.8.8", "8.8.4.4"]


def test_a_name_without_addresses_is_an_error():
    """It is tried again, as one that cannot be resolved."""
    with pytest.raises(OSError, match="no address"):
        SSRFGuard(resolve=at()).route("https://example.com/")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
_urls = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "HTTP:", "//", ""]),
    st.sampled_from(["8.8.8.8", "[2606:4700::1]", "example.org", "\u00fc.de", "a" * 70])
    | st.text(st.characters(), max_size=6),
    st.sampled_from(["", ":80", ":8080", ":x", ":\u0663", ":99999"]),
    st.text(st.characters(), max_size=8).map("/{}".format) | st.just("?\udc80"),
)


@given(_json | _urls)
@example("http://8.8.8.8/\udc80")
@example("http://8.8.8.8/?\udc80")
@example("http://\udc80/")
@example("\udc80")
@example(b"http://8.8.8.8/")
def test_whatever_a_client_gives_is_a_url_or_refused(value: Any) -> None:
    """There is no third way, and what is accepted can be sent."""
    try:
        found = SSRFGuard().check(value)
    except CallbackRefused:
        return
    assert isinstance(value, str)
    sent = f"{found.target} {found.host_header}"
    assert sent.isascii()
    assert sent.isprintable()
