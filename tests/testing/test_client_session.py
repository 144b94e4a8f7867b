"""`session_transaction`: the session of a client, from outside of any request."""

from types import ModuleType
from typing import Any

import pytest

import dewar
from dewar.testing.errors import CookiesDisabledError, NoSessionError


def test_a_session_can_be_filled_before_the_first_request(app: Any) -> None:
    """What a transaction writes, the next request reads."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["items"] = ["milk"]
    assert client.get("/add/tea").json == ["milk", "tea"]


def test_a_session_can_be_read_after_a_request(app: Any) -> None:
    """What a request wrote, a transaction reads; and a second changes it."""
    client = app.test_client()
    client.get("/add/milk")
    with client.session_transaction() as session:
        assert session["items"] == ["milk"]
        session.clear()
    with client.session_transaction() as session:
        assert not session


def test_no_context_is_current_in_a_transaction(app: Any, framework: ModuleType) -> None:
    """The made-up request is there to open and to save, not in between."""
    with app.test_client().session_transaction():
        assert not framework.has_request_context()


def test_a_transaction_fits_into_a_client_s_block(app: Any, framework: ModuleType) -> None:
    """The kept context is current again after it."""
    with app.test_client() as client:
        client.get("/add/milk")
        with client.session_transaction() as session:
            session["items"] = ["tea"]
        assert framework.session["items"] == ["milk"]
        assert client.get("/add/salt").json == ["tea", "salt"]


def test_a_transaction_takes_the_arguments_of_a_request(app: Any) -> None:
    """A session of another host is another session."""
    client = app.test_client()
    with client.session_transaction(base_url="http://b.example") as session:
        session["items"] = ["milk"]
    assert client.get("/add/tea").json == ["tea"]
    assert client.get("/add/tea", base_url="http://b.example").json == ["milk", "tea"]


def test_an_error_in_the_block_saves_nothing(app: Any) -> None:
    """A transaction that fails leaves the session as it was."""
    client = app.test_client()

    def fail() -> None:
        with client.session_transaction() as session:
            session["items"] = ["milk"]
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert client.get("/add/tea").json == ["tea"]


def test_no_cookies_no_session(app: Any) -> None:
    """A client without cookies cannot have a session, and says so with a TypeError."""
    client = app.test_client(use_cookies=False)
    with pytest.raises(TypeError, match="use_cookies=True"), client.session_transaction():
        pass


def test_no_key_no_session(app: Any) -> None:
    """An app without a key opens no session, and says so with a RuntimeError."""
    app.secret_key = None
    with pytest.raises(RuntimeError), app.test_client().session_transaction():
        pass


def test_what_is_missing_is_named(shop: Any) -> None:
    """Both errors are Dewar's own, and show the repair."""
    with (
        pytest.raises(CookiesDisabledError, match=r"test_client\(use_cookies=True\)"),
        shop.test_client(use_cookies=False).session_transaction(),
    ):
        pass
    shop.secret_key = None
    with (
        pytest.raises(NoSessionError, match=r"app\.secret_key = ") as caught,
        shop.test_client().session_transaction(),
    ):
        pass
    assert caught.value.interface is shop.session_interface


def mounted(shop: Any) -> Any:
    """Return an app that has the shop mounted, and the shop at a host as well."""
    outer = dewar.Dewar("outer")
    outer.secret_key = shop.secret_key
    outer.mount("/shop", shop)
    outer.mount("/", shop, host="shop.example.com")
    outer.mount("/plain", lambda environ, start_response: [])
    return outer


def test_the_session_of_a_mounted_app_is_opened_by_its_path(shop: Any) -> None:
    """And by its host; each place has its own."""
    client = mounted(shop).test_client()
    addresses = [{"path": "/shop/"}, {"base_url": "http://shop.example.com"}, {}]
    for number, address in enumerate(addresses):
        with client.session_transaction(**address) as session:
            assert not session
            session["items"] = [str(number)]
    assert client.get("/shop/add/milk").json == ["0", "milk"]
    assert client.get("/add/tea", base_url="http://shop.example.com").json == ["1", "tea"]
    with client.session_transaction("/shop/add/") as session:
        assert session["items"] == ["0", "milk"]
    with client.session_transaction() as session:
        assert session["items"] == ["2"]


def test_what_is_no_app_has_no_session(shop: Any) -> None:
    """The error names it."""
    client = mounted(shop).test_client()
    with pytest.raises(NoSessionError, match="lambda"), client.session_transaction("/plain"):
        pass
