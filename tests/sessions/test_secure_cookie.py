import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from itsdangerous import TimestampSigner
from markupsafe import Markup
from werkzeug.wrappers import Response

from dewar.json.tagged import JSONTag
from dewar.sessions.errors import SecretKeyError
from dewar.sessions.secure_cookie import MAX_KEPT, SecureCookieSessionInterface
from dewar.sessions.session import SecureCookieSession

DATA = {
    "text": "Grün",
    "tuple": (1, [2, {"three": ()}]),
    "bytes": b"\x00\xff",
    "markup": Markup("<b>"),
    "uuid": UUID(int=9),
    "at": datetime(2024, 2, 29, 12, tzinfo=UTC),
    "like a tag": {" t": [1]},
    "long": "x" * 500,
}


@pytest.fixture
def interface():
    """The interface that an app has by itself."""
    return SecureCookieSessionInterface()


def save(interface, app, browser, session):
    """Save the session and hand the response to the browser."""
    response = Response()
    interface.save_session(app, session, response)
    return browser.receive(response)


def store(interface, app, browser, **items):
    """Put items into the browser's session."""
    session = interface.open_session(app, browser)
    session.update(items)
    return save(interface, app, browser, session)


def test_a_session_comes_back(interface, app, browser):
    """What one request puts in, the next one finds, unmodified."""
    store(interface, app, browser, **DATA)
    session = interface.open_session(app, browser)
    assert session == DATA
    assert type(session) is SecureCookieSession
    assert session.modified is False


def test_flask_reads_our_cookie(interface, app, browser, flask_app):
    """A user who is logged in on Dewar is so on Flask."""
    store(interface, app, browser, **DATA)
    assert flask_app.session_interface.open_session(flask_app, browser) == DATA


def test_we_read_flasks_cookie(interface, app, browser, flask_app):
    """A user who is logged in on Flask is so on Dewar."""
    theirs = flask_app.session_interface
    store(theirs, flask_app, browser, **DATA)
    assert interface.open_session(app, browser) == DATA


@pytest.mark.parametrize(
    ("config", "items", "permanent"),
    [
        ({}, {"a": 1}, False),
        ({"SESSION_COOKIE_NAME": "s", "APPLICATION_ROOT": "/shop"}, {"a": 1}, True),
        ({"SESSION_COOKIE_DOMAIN": "example.org", "SESSION_COOKIE_SAMESITE": "Lax"}, {}, False),
        ({"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_PARTITIONED": True}, {"a": 1}, False),
        ({"SESSION_COOKIE_HTTPONLY": False}, {}, False),
    ],
)
def test_the_headers_are_flasks(interface, make_app, browser, flask_app, config, items, permanent):
    """A session that is set, and one that is emptied, give the headers that Flask gives."""
    app = make_app(**config)
    flask_app.config.update(config)
    answers = []
    for place, owner in ((interface, app), (flask_app.session_interface, flask_app)):
        session = place.open_session(owner, browser)
        session.accessed = True
        session["gone"] = 1
        del session["gone"]
        session.update(items)
        if permanent:
            session.permanent = True
        response = Response()
        place.save_session(owner, session, response)
        answers.append([_without_value(header) for header in response.headers])
    assert answers[0] == answers[1]


def _without_value(header):
    """Leave out what differs from second to second."""
    name, value = header
    parts = [p for p in value.split("; ") if not p.startswith("Expires=")]
    return name, [p.split("=")[0] if "." in p else p for p in parts]


def test_an_unused_session_leaves_the_response_alone(interface, app, browser):
    """No access, no header."""
    session = interface.open_session(app, browser)
    before = Response().headers
    assert save(interface, app, browser, session).headers == before


def test_reading_a_session_makes_the_answer_vary(interface, app, browser):
    """A cache must not give one user's page to another."""
    store(interface, app, browser, user=1)
    session = interface.open_session(app, browser)
    session.accessed = True
    response = save(interface, app, browser, session)
    assert response.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in response.headers


def test_an_emptied_session_deletes_its_cookie(interface, app, browser):
    """Nothing stays in the browser."""
    store(interface, app, browser, user=1)
    session = interface.open_session(app, browser)
    session.clear()
    response = save(interface, app, browser, session)
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert response.headers["Vary"] == "Cookie"
    assert interface.open_session(app, browser) == {}


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", ".", "eyJ1c2VyIjoxfQ.aaaa.bbbb", "\x80"])
def test_a_forged_cookie_opens_an_empty_session(interface, app, browser, cookie):
    """Whatever a browser sends, without the right signature it says nothing."""
    browser.cookies["session"] = cookie
    session = interface.open_session(app, browser)
    assert session == {}
    assert session.modified is False


def test_a_changed_cookie_is_forged(interface, app, browser):
    """Not one character can be changed."""
    store(interface, app, browser, user=1)
    cookie = browser.cookies["session"]
    for at in range(len(cookie) - 1):
        changed = "A" if cookie[at] != "A" else "B"
        browser.cookies["session"] = cookie[:at] + changed + cookie[at + 1 :]
        assert interface.open_session(app, browser) == {}


def test_an_old_cookie_opens_an_empty_session(interface, app, browser, monkeypatch):
    """After its lifetime a session is over, whatever the browser keeps."""
    store(interface, app, browser, user=1)
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(seconds=10)
    now = TimestampSigner("key").get_timestamp()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda signer: now + 9)
    assert interface.open_session(app, browser) == {"user": 1}
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda signer: now + 12)
    assert interface.open_session(app, browser) == {}


def test_without_a_key_there_is_no_session(interface, make_app, browser):
    """None tells the app to make a null session."""
    for key in (None, "", b""):
        app = make_app(SECRET_KEY=key)
        assert interface.open_session(app, browser) is None
        assert interface.get_signing_serializer(app) is None


def test_a_key_that_goes_away_is_explained(interface, app, browser):
    """Saving without a key is the error that a null session raises."""
    session = interface.open_session(app, browser)
    session["user"] = 1
    app.secret_key = None
    with pytest.raises(RuntimeError, match="session is unavailable"):
        save(interface, app, browser, session)


def test_a_changed_key_counts_at_once(interface, app, browser):
    """A cookie of the old key is refused as soon as there is a new one."""
    store(interface, app, browser, user=1)
    app.secret_key = b"another"
    assert interface.open_session(app, browser) == {}


def test_an_old_key_may_still_verify(interface, app, browser, flask_app):
    """Fallbacks open what they signed, and what is saved is signed with the new key."""
    store(interface, app, browser, user=1)
    old, app.secret_key = app.secret_key, "new"
    app.config["SECRET_KEY_FALLBACKS"] = ["older", old]
    session = interface.open_session(app, browser)
    assert session == {"user": 1}
    session["again"] = True
    save(interface, app, browser, session)
    app.config["SECRET_KEY_FALLBACKS"].clear()
    assert interface.open_session(app, browser) == {"user": 1, "again": True}
    flask_app.secret_key = "new"
    assert flask_app.session_interface.open_session(flask_app, browser)["user"] == 1


@pytest.mark.parametrize("fallbacks", ["old", b"old"])
def test_one_key_is_not_a_list_of_keys(interface, make_app, browser, fallbacks):
    """A string would make each of its letters a key; it is refused, with the right form."""
    app = make_app(SECRET_KEY_FALLBACKS=fallbacks)
    with pytest.raises(SecretKeyError, match=r"must be a list of keys.*\[old_key\]"):
        interface.open_session(app, browser)


def test_the_signing_serializer_is_kept(interface, app):
    """It is made once, and again only when something it is made from has changed."""
    first = interface.get_signing_serializer(app)
    assert interface.get_signing_serializer(app) is first
    interface.salt = "another"
    second = interface.get_signing_serializer(app)
    assert second is not first
    assert interface.get_signing_serializer(app) is second


def test_two_apps_with_one_interface_keep_apart(interface, make_app, browser):
    """A shared interface signs each app's cookies with that app's key."""
    one, two = make_app(SECRET_KEY="one"), make_app(SECRET_KEY="two")
    store(interface, one, browser, user=1)
    assert interface.open_session(two, browser) == {}
    assert interface.open_session(one, browser) == {"user": 1}


def test_two_apps_with_one_interface_both_keep_their_serializer(interface, make_app):
    """Requests that alternate between apps make nothing anew; keys long gone are forgotten."""
    one, two = make_app(SECRET_KEY="one"), make_app(SECRET_KEY="two")
    kept = [interface.get_signing_serializer(app) for app in (one, two)]
    assert [interface.get_signing_serializer(app) for app in (one, two)] == kept
    for number in range(20):
        two.secret_key = str(number)
        interface.get_signing_serializer(two)
    assert len(interface._dewar_kept) == MAX_KEPT


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": "mine"},
        {"key_derivation": "django-concat"},
        {"digest_method": staticmethod(hashlib.sha512)},
    ],
)
def test_a_subclass_signs_in_its_own_way(app, browser, flask_app, changes):
    """The attributes mean what they mean in Flask."""
    ours = type("Ours", (SecureCookieSessionInterface,), changes)()
    theirs = type("Theirs", (type(flask_app.session_interface),), changes)()
    store(ours, app, browser, user=1)
    assert theirs.open_session(flask_app, browser) == {"user": 1}
    assert SecureCookieSessionInterface().open_session(app, browser) == {}


def test_the_signer_of_another_salt_is_another(interface, app):
    """The kept serializer still takes a salt for one call."""
    signing = interface.get_signing_serializer(app)
    text = signing.dumps({"a": 1}, salt="other")
    assert signing.loads(text, salt="other") == {"a": 1}
    assert signing.loads_unsafe(text) == (False, {"a": 1})


class TagComplex(JSONTag):
    __slots__ = ()
    key = " c"

    def check(self, value):
        return isinstance(value, complex)

    def to_json(self, value):
        return [value.real, value.imag]

    def to_python(self, value):
        return complex(*value)


def test_a_registered_tag_serves_the_session(interface, app, browser):
    """A type of one's own can be kept, also where the tag comes late; other apps know nothing."""
    store(interface, app, browser, user=1)
    interface.serializer.register(TagComplex)
    store(interface, app, browser, z=1 + 2j)
    assert interface.open_session(app, browser) == {"user": 1, "z": 1 + 2j}
    assert " c" not in SecureCookieSessionInterface().serializer.tags


def test_the_apps_json_writes_the_session(interface, app, browser):
    """What the app's provider can write, the session can hold."""
    app.json.default = lambda value: "a set" if isinstance(value, set) else str(value)
    store(interface, app, browser, s={1}, d=date(2024, 1, 1))
    assert interface.open_session(app, browser) == {"s": "a set", "d": "2024-01-01"}


def test_a_serializer_of_ones_own(app, browser):
    """Any object with dumps and loads will do."""

    class Plain(SecureCookieSessionInterface):
        serializer = SimpleNamespace(dumps=json.dumps, loads=lambda s: {"n": s})

    store(Plain(), app, browser, n=5)
    assert Plain().open_session(app, browser) == {"n": '{"n": 5}'}


def test_no_key_is_ever_shown(interface, app):
    """Neither the interface nor what it keeps shows a key in its repr."""
    shown = repr(interface) + repr(interface.get_signing_serializer(app))
    assert app.secret_key not in shown
