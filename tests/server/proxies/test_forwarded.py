"""What is believed of ``Forwarded`` and ``X-Forwarded-*``, and what is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.errors import Refusal
from dewar.server.proxies.forwarded import trusted_changes, untrusted_changes
from dewar.server.proxies.trusted_hosts import parse_trusted_hosts
from dewar.server.settings.forwarded_fields import USUAL, key_of, parse_forwarded_headers

TRUST = parse_trusted_hosts("10.0.0.0/8")
EVERY = "x-forwarded, x-forwarded-port, x-forwarded-prefix, forwarded"


def environ(**fields: str) -> dict[str, Any]:
    base = {
        "REMOTE_ADDR": "10.0.0.1", "REMOTE_PORT": "4711", "wsgi.url_scheme": "http",
        "SERVER_NAME": "10.9.9.9", "SERVER_PORT": "8000", "HTTP_HOST": "app.internal:8000",
        "SCRIPT_NAME": "", "PATH_INFO": "/",
    }  # fmt: skip
    keys = {"FORWARDED": "HTTP_FORWARDED"}
    return base | {keys.get(key, f"HTTP_X_FORWARDED_{key}"): text for key, text in fields.items()}


def seen(named: str = EVERY, trust: str = "10.0.0.0/8", **fields: str) -> dict[str, Any]:
    """Return the environ as an application behind trusted proxies sees it."""
    before = environ(**fields)
    copy = dict(before)
    changes = trusted_changes(before, parse_trusted_hosts(trust), parse_forwarded_headers(named))
    assert before == copy, "the environ itself is not changed"
    return {key: value for key, value in (before | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ({"FOR": "203.0.113.5"}, "203.0.113.5"),
        ({"FOR": "203.0.113.5:1234"}, "203.0.113.5"),
        ({"FOR": "2001:db8::5"}, "2001:db8::5"),
        ({"FOR": "[2001:db8::5]:80"}, "2001:db8::5"),
        ({"FOR": "203.0.113.5, 10.0.0.7"}, "203.0.113.5"),
        ({"FOR": "203.0.113.5, 10.0.0.7, 10.0.0.8"}, "203.0.113.5"),
        ({"FOR": "1.1.1.1, 203.0.113.5, 10.0.0.7"}, "203.0.113.5"),
        ({"FOR": "10.0.0.9, 203.0.113.5"}, "203.0.113.5"),
        ({"FOR": "<script>, 203.0.113.5"}, "203.0.113.5"),
        ({"FOR": "10.0.0.9, 10.0.0.8"}, "10.0.0.9"),
        ({"FOR": "203.0.113.5, unknown"}, "unknown"),
        ({"FOR": " ,203.0.113.5,"}, "203.0.113.5"),
        ({"FOR": ""}, "10.0.0.1"),
        ({}, "10.0.0.1"),
        ({"FORWARDED": "for=203.0.113.5"}, "203.0.113.5"),
        ({"FORWARDED": 'for="[2001:db8::5]:80"'}, "2001:db8::5"),
        ({"FORWARDED": "for=1.1.1.1, for=203.0.113.5, for=10.0.0.7"}, "203.0.113.5"),
        ({"FORWARDED": "for=_secret, for=10.0.0.7"}, "_secret"),
        ({"FORWARDED": "for=1.1.1.1, for=unknown"}, "unknown"),
        ({"FORWARDED": "for=1.1.1.1, proto=https"}, "10.0.0.1"),
        ({"FORWARDED": "proto=https, for=10.0.0.7"}, "10.0.0.7"),
        ({"FORWARDED": ","}, "10.0.0.1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    fields: dict[str, str], client: str
) -> None:
    """What stands left of it is the client's own claim."""
    assert seen(**fields)["REMOTE_ADDR"] == client


def test_the_port_of_the_socket_is_not_the_clients() -> None:
    """It is replaced with what the proxy says, or goes."""
    assert seen(FOR="203.0.113.5:1234")["REMOTE_PORT"] == "1234"
    assert "REMOTE_PORT" not in seen(FOR="203.0.113.5")
    assert "REMOTE_PORT" not in seen(FORWARDED="for=_hidden")
    assert seen(PROTO="https")["REMOTE_PORT"] == "4711"


def test_where_everybody_is_trusted_the_leftmost_is_the_client() -> None:
    """That is what the star means."""
    assert seen(trust="*", FOR="1.1.1.1, 2.2.2.2")["REMOTE_ADDR"] == "1.1.1.1"
    assert seen(trust="*", FOR="unknown, 2.2.2.2")["REMOTE_ADDR"] == "unknown"


@pytest.mark.parametrize(
    ("fields", "scheme", "host", "name", "port"),
    [
        ({"PROTO": "https"}, "https", "app.internal:8000", "app.internal", "8000"),
        ({"PROTO": "HTTPS", "HOST": "a.test"}, "https", "a.test", "a.test", "443"),
        ({"PROTO": "wss", "HOST": "a.test"}, "https", "a.test", "a.test", "443"),
        ({"HOST": "a.test"}, "http", "a.test", "a.test", "80"),
        ({"HOST": "a.test:81"}, "http", "a.test:81", "a.test", "81"),
        ({"HOST": "[::1]"}, "http", "[::1]", "[::1]", "80"),
        ({"HOST": "[::1]:81"}, "http", "[::1]:81", "[::1]", "81"),
        ({"HOST": "a.test", "PORT": "81"}, "http", "a.test:81", "a.test", "81"),
        ({"HOST": "[::1]:9", "PORT": "81"}, "http", "[::1]:81", "[::1]", "81"),
        ({"HOST": "a.test:81", "PORT": "80"}, "http", "a.test", "a.test", "80"),
        ({"PROTO": "https", "PORT": "443"}, "https", "app.internal", "app.internal", "443"),
        ({"FORWARDED": "proto=https;host=a.test"}, "https", "a.test", "a.test", "443"),
        ({"FORWARDED": 'host="a.test:81"'}, "http", "a.test:81", "a.test", "81"),
    ],
)  # fmt: skip
def test_scheme_host_and_port_are_those_that_the_client_used(
    fields: dict[str, str], scheme: str, host: str, name: str, port: str
) -> None:
    """So links and redirects lead to where the client is."""
    found = seen(**fields)
    assert found["wsgi.url_scheme"] == scheme
    assert found["HTTP_HOST"] == host
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)
    assert found.get("HTTPS") == ("on" if scheme == "https" else None)


def test_http_between_client_and_proxy_outdoes_tls_between_proxy_and_server() -> None:
    """The application is told of the client's side."""
    before = environ(PROTO="http") | {"wsgi.url_scheme": "https", "HTTPS": "on"}
    changes = trusted_changes(before, TRUST, parse_forwarded_headers(EVERY))
    assert (changes["wsgi.url_scheme"], changes["HTTPS"]) == ("http", None)


def test_a_request_without_a_host_keeps_the_servers_name() -> None:
    """HTTP/1.0 has none."""
    before = environ(PROTO="https")
    del before["HTTP_HOST"]
    changes = trusted_changes(before, TRUST, parse_forwarded_headers(EVERY))
    assert changes["SERVER_PORT"] == "443"
    assert not changes.keys() & {"HTTP_HOST", "SERVER_NAME"}


@pytest.mark.parametrize(
    ("text", "script_name"),
    [("/shop", "/shop"), ("/shop/", "/shop"), ("/", ""), ("/a/b%20c", "/a/b c")],
)
def test_a_prefix_becomes_script_name(text: str, script_name: str) -> None:
    """The proxy has cut it off the path."""
    found = seen(PREFIX=text)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (script_name, "/")


@pytest.mark.parametrize(
    ("fields", "scheme"),
    [
        ({"PROTO": "https, http"}, "http"),
        ({"PROTO": "https, http", "FOR": "203.0.113.5, 10.0.0.7"}, "https"),
        ({"PROTO": "https", "FOR": "203.0.113.5, 10.0.0.7"}, "https"),
        ({"PROTO": "http, https, http", "FOR": "1.1.1.1, 203.0.113.5, 10.0.0.7"}, "https"),
    ],
)
def test_of_a_list_only_what_trusted_hosts_added_is_read(
    fields: dict[str, str], scheme: str
) -> None:
    """As many from the right as addresses were believed."""
    assert seen(**fields)["wsgi.url_scheme"] == scheme


def test_only_what_is_believed_stays_in_the_fields() -> None:
    """An application that reads them itself is not fooled either."""
    found = seen(FOR="1.1.1.1, 203.0.113.5, 10.0.0.7", PROTO="https, http, http")
    assert found["HTTP_X_FORWARDED_FOR"] == "203.0.113.5, 10.0.0.7"
    assert found["HTTP_X_FORWARDED_PROTO"] == "http"
    found = seen(FORWARDED="for=1.1.1.1;host=evil, for=203.0.113.5;proto=https , for=10.0.0.7")
    assert found["HTTP_FORWARDED"] == "for=203.0.113.5;proto=https, for=10.0.0.7"
    assert found["HTTP_HOST"] == "app.internal:8000"


@pytest.mark.parametrize(
    "fields",
    [
        {"FOR": "localhost"}, {"FOR": "203.0.113.5, x"}, {"FOR": "1.2.3.4:99999"}, {"FOR": "::g::"},
        {"PROTO": "ftp"}, {"PROTO": "https;"}, {"HOST": "a b"}, {"HOST": "a/b"}, {"HOST": "u@a"},
        {"HOST": ":80"}, {"HOST": "a\x80"}, {"PORT": "0"}, {"PORT": "65536"}, {"PORT": "+80"},
        {"PORT": "\xb2"}, {"PREFIX": "shop"}, {"PREFIX": "//evil.test"}, {"PREFIX": "/a//b"},
        {"PREFIX": "/a/../b"}, {"PREFIX": "/a/%2e%2e/b"}, {"PREFIX": "/a%2Fb"}, {"PREFIX": "/a%zz"},
        {"PREFIX": "/a?b"}, {"PREFIX": "/a%0d%0a"}, {"PREFIX": "/\\evil.test"},
        {"FORWARDED": "for=x"}, {"FORWARDED": "for"}, {"FORWARDED": "for=1.2.3.4;proto=ftp"},
        {"FORWARDED": 'host="a b"'}, {"FORWARDED": 'host=""'}, {"FORWARDED": 'for=", for=1.2.3.4'},
    ],
)  # fmt: skip
def test_what_a_trusted_host_sends_malformed_is_refused(fields: dict[str, str]) -> None:
    """To guess would be to believe."""
    with pytest.raises(Refusal, match="400"):
        seen(**fields)


AGREED = {
    "FOR": "203.0.113.5", "PROTO": "https", "HOST": "a.test",
    "FORWARDED": "for=203.0.113.5;proto=https;host=a.test",
}  # fmt: skip


def test_two_kinds_that_say_the_same_are_taken() -> None:
    """A proxy may send both."""
    found = seen(**AGREED)
    assert (found["REMOTE_ADDR"], found["HTTP_HOST"]) == ("203.0.113.5", "a.test")
    assert "HTTP_FORWARDED" in found


@pytest.mark.parametrize(
    "fields",
    [
        {"FORWARDED": "for=198.51.100.1;proto=https;host=a.test"},
        {"FORWARDED": "for=203.0.113.5;proto=http;host=a.test"},
        {"FORWARDED": "for=203.0.113.5;proto=https;host=evil.test"},
        {"FORWARDED": "for=203.0.113.5;proto=https"},
        {"HOST": ""},
        {"FOR": ""},
    ],
)
def test_two_kinds_that_differ_are_refused(fields: dict[str, str]) -> None:
    """Also where one is silent: the other may have been sent by the client."""
    both = AGREED | fields
    with pytest.raises(Refusal, match="contradict each other"):
        seen(**both)
    seen("forwarded", **both)
    seen("x-forwarded", **both)


def test_what_forwarded_cannot_say_comes_from_the_other_kind() -> None:
    """A port and a prefix, if they are named, agree with any Forwarded."""
    found = seen(FORWARDED="for=203.0.113.5;host=a.test", PORT="81", PREFIX="/shop")
    assert (found["REMOTE_ADDR"], found["HTTP_HOST"]) == ("203.0.113.5", "a.test:81")
    assert found["SCRIPT_NAME"] == "/shop"


def test_the_kind_that_is_not_named_is_removed() -> None:
    """A proxy passes it on as the client sent it."""
    forged = AGREED | {"FORWARDED": "for=6.6.6.6", "SSL": "on", "SERVER": "x"}
    found = seen("x-forwarded", **forged)
    assert found["REMOTE_ADDR"] == "203.0.113.5"
    assert "HTTP_FORWARDED" not in found
    found = seen("forwarded", **forged)
    assert found["REMOTE_ADDR"] == "6.6.6.6"
    assert [key for key in found if key.startswith("HTTP_X_")] == []
    malformed = {"FORWARDED": "for=203.0.113.5", "FOR": "<script>"}
    assert seen("forwarded", **malformed)["REMOTE_ADDR"] == "203.0.113.5"


HOSTILE = {
    "FOR": "6.6.6.6", "PROTO": "https", "HOST": "evil.test", "PORT": "1337", "PREFIX": "/evil",
    "FORWARDED": "for=6.6.6.6;host=evil.test;proto=https", "SSL": "on", "SCHEME": "https",
    "SERVER": "evil.test", "USER": "root", "CLIENT_CERT": "x",
}  # fmt: skip
NAMES = ["forwarded", *(f"x-forwarded-{key.lower().replace('_', '-')}" for key in HOSTILE)]


@given(st.sets(st.sampled_from(sorted({*NAMES} - {"x-forwarded-forwarded"}))))
def test_a_field_that_is_not_named_says_nothing(named: set[str]) -> None:
    """The result is that of a request which has only the named fields."""
    keys = {key_of(name) for name in named}
    bare = environ()
    hostile = environ(**HOSTILE)
    rest = {key: text for key, text in hostile.items() if key in bare or key in keys}

    def outcome(before: dict[str, Any]) -> object:
        try:
            changes = trusted_changes(before, TRUST, parse_forwarded_headers(",".join(named)))
        except Refusal as refusal:
            return refusal.reason
        return {key: value for key, value in (before | changes).items() if value is not None}

    assert outcome(hostile) == outcome(rest)


def test_by_default_a_client_chooses_neither_port_nor_prefix() -> None:
    """Few proxies set these, so few replace what the client has sent."""
    found = seen(USUAL, FOR="203.0.113.5", PROTO="https", HOST="a.test", PORT="1337", PREFIX="/e")
    assert (found["HTTP_HOST"], found["SERVER_PORT"]) == ("a.test", "443")
    assert found["SCRIPT_NAME"] == ""
    assert not found.keys() & {"HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PREFIX"}


def test_a_field_that_only_the_application_reads_stays_if_it_is_named() -> None:
    """Without being named it goes, from a trusted host too."""
    before = environ() | {"HTTP_X_REAL_IP": "203.0.113.5", "HTTP_X_FORWARDED_USER": "ada"}
    named = parse_forwarded_headers("X-Real-IP, x-forwarded-user")
    assert trusted_changes(before, TRUST, named) == {}
    assert trusted_changes(before, TRUST, parse_forwarded_headers(USUAL)) == {
        "HTTP_X_REAL_IP": None,
        "HTTP_X_FORWARDED_USER": None,
    }


def test_from_nobody_in_particular_they_are_all_removed() -> None:
    """And nothing else is changed."""
    names = "FOR PROTO HOST PORT PREFIX SSL SERVER SCHEME BY PROTOCOL ANYTHING_ELSE"
    fields = dict.fromkeys(names.split(), "x")
    related = "X_REAL_IP X_ORIGINAL_URL X_REWRITE_URL FRONT_END_HTTPS X_FORWARDED CF_CONNECTING_IP"
    before = environ(FORWARDED="for=1.1.1.1", **fields) | {
        f"HTTP_{key}": "1.1.1.1" for key in related.split()
    }
    changes = untrusted_changes(before)
    assert set(changes.values()) == {None}
    assert before.keys() - changes.keys() == environ().keys()
    assert untrusted_changes(environ(X="1") | {"HTTP_X_FORWARDER": "1"}).keys() == {
        "HTTP_X_FORWARDED_X"
    }
