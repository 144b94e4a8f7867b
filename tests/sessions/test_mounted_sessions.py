"""The cookie of a mounted app: its name, its path, and who can read it."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import parse_cookie
from werkzeug.test import Client

from dewar import Dewar, session
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.location import LOCATION, Location
from dewar.sessions.interface import SessionInterface
from dewar.sessions.mounted import suffix
from dewar.sessions.secure_cookie import SecureCookieSessionInterface


def make_app(name: str, **config: Any) -> Dewar:
    """Return an app that keeps a value."""
    app = Dewar(name, static_folder=None)
    app.config.update(SECRET_KEY="one key for all", **config)
    app.add_url_rule("/keep/<value>", "keep", lambda value: session.update(kept=value) or "")
    app.add_url_rule("/kept", "kept", lambda: session.get("kept", "nothing"))
    app.add_url_rule("/forget", "forget", lambda: session.clear() or "")
    app.add_url_rule("/nothing", "nothing", lambda: "")
    return app


def cookie_of(client: Client, url: str, **more: Any) -> str:
    """Return the beginning of the cookie that a request sets, without its value."""
    field = client.get(url, **more).headers["Set-Cookie"]
    return re.sub(r"=[^;]*;", ";", field, count=1)


def test_the_root_keeps_its_cookie_and_a_mounted_app_has_its_own() -> None:
    """Named after the mount, and sent below it alone, with what a proxy put before."""
    root, admin = make_app("root"), make_app("admin")
    root.mount("/admin", admin)
    client = Client(root)
    assert cookie_of(client, "/keep/a") == "session; HttpOnly; Path=/"
    assert cookie_of(client, "/admin/keep/b") == "session~admin; HttpOnly; Path=/admin"
    assert cookie_of(client, "/admin/forget").endswith("HttpOnly; Path=/admin")
    proxied = cookie_of(client, "/admin/keep/b", environ_overrides={"SCRIPT_NAME": "/x"})
    assert proxied == "session~admin; HttpOnly; Path=/x/admin"
    assert client.get("/kept").text == "a"


def test_a_host_has_a_cookie_of_its_own() -> None:
    """Though the cookies of hosts do not meet, unless they are told to."""
    root = make_app("root", SESSION_COOKIE_DOMAIN="example.com")
    root.mount("/", make_app("api"), host="api.example.com")
    root.mount("/v1", make_app("v1"), host="*.example.com")
    client = Client(root)
    at = {"base_url": "http://api.example.com"}
    assert cookie_of(client, "/keep/a", base_url="http://example.com").startswith("session;")
    assert client.get("/kept", **at).text == "nothing"
    assert cookie_of(client, "/keep/a", **at) == "session~~api.example.com; HttpOnly; Path=/"
    at = {"base_url": "http://b.example.com"}
    assert (
        cookie_of(client, "/v1/keep/a", **at) == "session~~%2A.example.com~v1; HttpOnly; Path=/v1"
    )


@pytest.mark.parametrize(
    ("config", "cookie"),
    [
        ({"SESSION_COOKIE_NAME": "session"}, "session; HttpOnly; Path=/admin"),
        ({"SESSION_COOKIE_NAME": "mine"}, "mine; HttpOnly; Path=/admin"),
        ({"SESSION_COOKIE_PATH": "/"}, "session~admin; HttpOnly; Path=/"),
        ({"SESSION_COOKIE_PATH": "/other"}, "session~admin; HttpOnly; Path=/other"),
        ({"APPLICATION_ROOT": "/front"}, "session~admin; HttpOnly; Path=/front"),
    ],
)
def test_what_is_set_counts(config: dict[str, str], cookie: str) -> None:
    """Also where it is what an app has by default."""
    root = make_app("root")
    root.mount("/admin", make_app("admin", **config))
    assert cookie_of(Client(root), "/admin/keep/a") == cookie


def test_a_session_is_shared_where_that_is_set() -> None:
    """One name, one path, one key."""
    shared = {"SESSION_COOKIE_NAME": "session", "SESSION_COOKIE_PATH": "/"}
    root = make_app("root", **shared)
    root.mount("/admin", make_app("admin", **shared))
    client = Client(root)
    client.get("/keep/a")
    assert client.get("/admin/kept").text == "a"
    client.get("/admin/keep/b")
    assert client.get("/kept").text == "b"


def test_only_our_dispatcher_s_word_counts() -> None:
    """Any server or proxy may put something into ``SCRIPT_NAME``."""
    client = Client(make_app("app"))
    cookie = cookie_of(client, "/keep/a", environ_overrides={"SCRIPT_NAME": "/x"})
    assert cookie == "session; HttpOnly; Path=/"


def test_an_app_that_is_mounted_twice_has_two_sessions() -> None:
    """And one that is mounted deeper has one more."""
    app, middle = make_app("app"), make_app("middle")
    middle.mount("/one", app)
    client = Client(DispatcherMiddleware(middle, {"/one": app, "/two": app, "/middle": middle}))
    places = ("/one", "/two", "/middle/one")
    for place in places:
        client.get(f"{place}/keep{place.replace('/middle', '')}")
    assert [client.get(f"{place}/kept").text for place in places] == ["one", "two", "one"]
    assert cookie_of(client, "/middle/one/keep/a").startswith("session~middle~one;")


def test_a_permanent_session_that_nobody_reads_is_refreshed() -> None:
    """On the fast lane as well, by the name that the cookie has there."""
    root, admin = make_app("root"), make_app("admin")
    admin.add_url_rule(
        "/stay", "stay", lambda: setattr(session, "permanent", True) or session.update(a=1) or ""
    )
    root.mount("/admin", admin)
    client = Client(root)
    client.get("/admin/stay")
    assert "Set-Cookie" in client.get("/admin/nothing").headers
    assert "Set-Cookie" not in client.get("/nothing").headers


def test_the_session_is_the_request_s_inside_the_context_of_another_app() -> None:
    """It is opened by the name that it has in the request."""
    root, admin = make_app("root"), make_app("admin")
    root.mount("/admin", admin)

    def look() -> str:
        with root.app_context():
            return str(session.get("kept"))

    admin.add_url_rule("/look", "look", look)
    client = Client(root)
    client.get("/keep/of-root")
    client.get("/admin/keep/of-admin")
    assert client.get("/admin/look").text == "of-admin"


def test_an_interface_of_one_s_own_gets_the_name_and_the_path() -> None:
    """Extensions that keep sessions elsewhere ask the same methods."""

    class Interface(SessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            seen.append((self.get_cookie_name(app), self.get_cookie_path(app)))
            return self.make_null_session(app)

    seen: list[tuple[str, str]] = []
    root, admin = make_app("root"), make_app("admin")
    root.session_interface = admin.session_interface = Interface()
    root.mount("/admin", admin)
    client = Client(root)
    for path in ("/nothing", "/admin/nothing"):
        client.get(path)
    assert seen == [("session", "/"), ("session~admin", "/admin")]


def test_one_interface_for_two_apps_signs_for_each() -> None:
    """The salt is that of the mount in whose request it signs, and of none outside."""
    interface = SecureCookieSessionInterface()
    root, admin = make_app("root"), make_app("admin")
    root.session_interface = admin.session_interface = interface
    root.mount("/admin", admin)
    client = Client(root)
    client.get("/admin/keep/a")
    cookie = client.get_cookie("session~admin", path="/admin")
    assert cookie is not None
    outside = interface.get_signing_serializer(admin)
    assert outside is not None
    assert not outside.loads_unsafe(cookie.value)[0]
    environ = {LOCATION: Location(DispatcherMiddleware(root), "", "/admin", None, None)}
    with admin.test_request_context("/", environ_overrides=environ):
        inside = interface.get_signing_serializer(admin)
        assert inside is not None
        assert inside.loads(cookie.value) == {"kept": "a"}


segments = st.text(st.characters(codec="latin-1"), min_size=1, max_size=4)
mounts = st.lists(segments, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
places = st.tuples(st.sampled_from([None, "a.b", "*.b", "[::1]"]), mounts)


@given(st.lists(places, max_size=2), st.lists(places, max_size=2))
@example([(None, "/a~b")], [(None, "/a/b")])
@example([(None, "/a%7Eb")], [(None, "/a~b")])
@example([("a.b", "")], [(None, "//a.b")])
def test_no_two_mounts_have_one_name(first: Any, second: Any) -> None:
    """And every name is one that a cookie may have (RFC 6265, 4.1.1)."""
    names = [_suffix_at(places) for places in (first, second)]
    addresses = [
        "".join(path if host is None else f"//{host}{path}" for host, path in places)
        for places in (first, second)
    ]
    assert (names[0] == names[1]) == (addresses[0] == addresses[1])
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]*", name)
        assert parse_cookie(f"session{name}=x").to_dict() == {f"session{name}": "x"}


def _suffix_at(places: Any) -> str:
    app = make_app("app")
    place = None
    for host, path in places:
        place = Location(DispatcherMiddleware(app), "", path, host, place)
    with app.test_request_context("/", environ_overrides={LOCATION: place}):
        return suffix(app)
