import inspect
from datetime import UTC, datetime, timedelta

import flask.sessions
import pytest

from dewar.sessions.interface import SessionInterface
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.sessions.session import NullSession, SecureCookieSession


@pytest.fixture
def interface():
    """The interface that a subclass starts from."""
    return SessionInterface()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SessionInterface, flask.sessions.SessionInterface),
        (SecureCookieSessionInterface, flask.sessions.SecureCookieSessionInterface),
    ],
)
def test_the_interface_is_flasks(ours, theirs):
    """Every public method and attribute is there, with the same parameters."""
    for name, member in vars(theirs).items():
        if name.startswith("_"):
            continue
        assert hasattr(ours, name), name
        if inspect.isfunction(member):
            expected = list(inspect.signature(member).parameters)
            assert list(inspect.signature(getattr(ours, name)).parameters) == expected


GETTERS = ["name", "domain", "path", "httponly", "secure", "samesite", "partitioned"]
CONFIGS = [
    {},
    {"APPLICATION_ROOT": "/shop"},
    {
        "SESSION_COOKIE_NAME": "shop",
        "SESSION_COOKIE_DOMAIN": "example.org",
        "SESSION_COOKIE_PATH": "/cart",
        "SESSION_COOKIE_HTTPONLY": False,
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PARTITIONED": True,
        "APPLICATION_ROOT": "/shop",
    },
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("what", GETTERS)
def test_the_settings_describe_the_cookie(interface, make_app, flask_app, config, what):
    """Each property of the cookie is the one Flask would choose."""
    flask_app.config.update(config)
    theirs = getattr(flask_app.session_interface, f"get_cookie_{what}")(flask_app)
    assert getattr(interface, f"get_cookie_{what}")(make_app(**config)) == theirs


def test_only_a_permanent_session_expires(interface, make_app):
    """A permanent session ends after its lifetime, any other with the browser."""
    app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(hours=1))
    session = SecureCookieSession()
    assert interface.get_expiration_time(app, session) is None
    session.permanent = True
    before = datetime.now(UTC)
    ends = interface.get_expiration_time(app, session)
    assert timedelta() <= ends - before - timedelta(hours=1) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("modified", "permanent", "refresh", "expected"),
    [
        (True, False, False, True),
        (False, False, True, False),
        (False, True, True, True),
        (False, True, False, False),
    ],
)
def test_the_cookie_is_set_when_needed(interface, make_app, modified, permanent, refresh, expected):
    """A changed session is sent; a permanent one is renewed unless that is switched off."""
    session = SecureCookieSession({"_permanent": permanent})
    session.modified = modified
    app = make_app(SESSION_REFRESH_EACH_REQUEST=refresh)
    assert interface.should_set_cookie(app, session) is expected


def test_null_sessions_are_known_by_their_class(interface, app):
    """A subclass may bring its own null session."""

    class Mine(NullSession):
        pass

    session = interface.make_null_session(app)
    assert type(session) is NullSession
    assert interface.is_null_session(session)
    interface.null_session_class = Mine
    assert not interface.is_null_session(session)
    assert type(interface.make_null_session(app)) is Mine
    assert interface.pickle_based is False


def test_a_bare_interface_says_what_is_missing(interface, app, browser):
    """The two methods that a subclass writes are named."""
    with pytest.raises(NotImplementedError, match="def open_session"):
        interface.open_session(app, browser)
    with pytest.raises(NotImplementedError, match="def save_session"):
        interface.save_session(app, {}, None)
    assert repr(interface) == "<SessionInterface>"
