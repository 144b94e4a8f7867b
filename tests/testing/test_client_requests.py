"""What a client sends, and what it gives back; all of it as with Flask."""

from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder as PlainBuilder
from werkzeug.wrappers import Request

from dewar.testing.client import DewarClient
from dewar.testing.environ import EnvironBuilder


def test_the_app_makes_the_client(shop: Any) -> None:
    """`app.test_client` gives a client of Werkzeug's kind."""
    client = shop.test_client()
    assert type(client) is DewarClient
    assert isinstance(client, Client)
    assert client.get("/").text == "welcome"


def test_a_subclass_takes_the_client_s_place(shop: Any) -> None:
    """`test_client_class` is used, and gets what `test_client` was given."""

    class Named(DewarClient):
        def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.name = name

    shop.test_client_class = Named
    assert shop.test_client(name="ann").name == "ann"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_each_method_has_its_own_call(app: Any, method: str) -> None:
    """The client's methods are HTTP's."""
    answer = getattr(app.test_client(), method)("/echo").json
    assert answer["method"] == method.upper()


def test_a_request_carries_query_form_and_json(app: Any) -> None:
    """Keyword arguments become the parts of the request."""
    client = app.test_client()
    assert client.get("/echo?a=1").json["args"] == {"a": "1"}
    assert client.get("/echo", query_string={"a": 1}).json["args"] == {"a": "1"}
    assert client.post("/echo", data={"b": "2"}).json["form"] == {"b": "2"}
    assert client.post("/echo", json={"c": [3]}).json["json"] == {"c": [3]}


def test_a_request_comes_from_this_machine(app: Any) -> None:
    """The environ has an address and a user agent from the start."""
    client = app.test_client()
    answer = client.get("/echo").json
    assert answer["address"] == "127.0.0.1"
    assert answer["agent"].startswith("Werkzeug/3")


def test_the_base_of_the_environ_can_be_changed(app: Any) -> None:
    """What a test puts into `environ_base` is in each request after it."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "0.0.0.0"
    client.environ_base["HTTP_USER_AGENT"] = "me"
    answer = client.get("/echo").json
    assert (answer["address"], answer["agent"]) == ("0.0.0.0", "me")


def test_one_request_s_own_base_wins(app: Any) -> None:
    """An `environ_base` given to a request goes before the client's."""
    client = app.test_client()
    answer = client.get("/echo", environ_base={"REMOTE_ADDR": "10.0.0.9"}).json
    assert answer["address"] == "10.0.0.9"
    assert client.get("/echo").json["address"] == "127.0.0.1"


def test_a_builder_can_be_opened(shop: Any) -> None:
    """A builder is sent as it is, and stays as it was."""
    builder = EnvironBuilder(shop, "/echo", method="PUT", environ_base={"HTTP_USER_AGENT": "b"})
    answer = shop.test_client().open(builder).json
    assert (answer["method"], answer["agent"]) == ("PUT", "b")
    assert builder.environ_base == {"HTTP_USER_AGENT": "b"}


def test_a_plain_builder_can_be_opened(app: Any) -> None:
    """Werkzeug's own builder will do."""
    answer = app.test_client().open(PlainBuilder("/echo", "http://x.example")).json
    assert answer["url"] == "http://x.example/echo"
    assert answer["agent"].startswith("Werkzeug/3")


def test_an_environ_can_be_opened(app: Any) -> None:
    """An environ is sent with the client's base below it."""
    environ = PlainBuilder("/echo", method="POST", data={"a": "1"}).get_environ()
    answer = app.test_client().open(environ).json
    assert (answer["method"], answer["form"]) == ("POST", {"a": "1"})
    assert answer["address"] == "127.0.0.1"


def test_a_request_can_be_opened(app: Any) -> None:
    """A request object is sent, and its own environ left alone."""
    request = Request(PlainBuilder("/echo?a=1").get_environ())
    assert app.test_client().open(request).json["args"] == {"a": "1"}
    assert "REMOTE_ADDR" not in request.environ


def test_json_is_read_by_the_app_s_provider(shop: Any) -> None:
    """`response.json` goes through the app's provider, as `json=` does on the way out."""

    class Shouting(type(shop.json)):
        def loads(self, s: Any, **kwargs: Any) -> Any:
            return f"read {s.decode()}"

        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return "what was written"

    client = shop.test_client()
    shop.json = Shouting(shop)
    response = client.post("/echo", json={"a": 1})
    assert response.json == "read what was written\n"
    assert response.request.content_length == len("what was written")


def test_redirects_are_followed_on_request(app: Any) -> None:
    """With `follow_redirects` the response is the last one, with the others as its history."""
    client = app.test_client()
    assert client.get("/away").status_code == 302
    response = client.get("/away", follow_redirects=True)
    assert response.text == "welcome"
    assert [step.status_code for step in response.history] == [302]


def test_cookies_are_kept_between_requests(app: Any) -> None:
    """A client is one visitor."""
    client = app.test_client()
    client.get("/add/milk")
    assert client.get("/add/tea").json == ["milk", "tea"]
    assert app.test_client().get("/add/tea").json == ["tea"]


def test_a_client_without_cookies_forgets(app: Any) -> None:
    """With ``use_cookies=False`` each request is the first."""
    client = app.test_client(use_cookies=False)
    client.get("/add/milk")
    assert client.get("/add/tea").json == ["tea"]


def test_an_error_reaches_the_test_in_testing_mode(app: Any) -> None:
    """With TESTING the test sees the view's own error; without, a 500."""
    app.testing = True
    with pytest.raises(LookupError, match="as asked"):
        app.test_client().get("/fail")
    app.testing = False
    assert app.test_client().get("/fail").status_code == 500


def test_the_server_name_is_the_address(app: Any) -> None:
    """SERVER_NAME, APPLICATION_ROOT and PREFERRED_URL_SCHEME say where the app is."""
    app.config.update(
        SERVER_NAME="shop.example:8080", APPLICATION_ROOT="/app", PREFERRED_URL_SCHEME="https"
    )
    answer = app.test_client().get("/echo?a=1").json
    assert answer["url"] == "https://shop.example:8080/app/echo?a=1"
    assert answer["root"] == "https://shop.example:8080/app/"
