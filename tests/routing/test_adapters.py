"""Which host a request is for, and what that makes of the rules."""

import warnings
from typing import Any

import flask
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dewar
from dewar.routing.rules import RouteMap
from suspendedtools import make_environ

HOSTS = [
    "localhost", "example.com", "www.example.com", "a.b.example.com", "EXAMPLE.com",
    "WWW.Example.Com", "example.com:80", "example.com:443", "example.com:8080",
    "www.example.com:80", "www.example.com:443", "www.example.com:8080", "notexample.com",
    ".example.com", "a..example.com", "other.org", "127.0.0.1", "127.0.0.1:5000", "[::1]:80",
    "com", "a.com:80",
]  # fmt: skip
SERVER_NAMES = [
    None, "localhost", "example.com", "Example.COM", "example.com:80", "example.com:443",
    "example.com:8080", "com", "127.0.0.1:5000",
]  # fmt: skip
KINDS = ["plain", "subdomains", "hosts"]


def build(framework: Any, app_class: Any, kind: str, server_name: str | None, root: str) -> Any:
    app = app_class(
        "hosts",
        static_folder=None,
        subdomain_matching=kind == "subdomains",
        host_matching=kind == "hosts",
    )
    app.config.update(SERVER_NAME=server_name, APPLICATION_ROOT=root, PREFERRED_URL_SCHEME="https")

    def view(**values: Any) -> Any:
        place = {"host": "x.org"} if kind == "hosts" else {}
        plain = framework.url_for("plain", **place)
        there = framework.url_for("there", _external=True, **place | values)
        return repr((framework.request.endpoint, values, plain, there))

    def add(rule: str, endpoint: str, **place: Any) -> None:
        app.add_url_rule(rule, endpoint, view, **place)

    hosts = kind == "hosts"
    add("/", "plain", **({"host": "<host>"} if hosts else {}))
    add("/", "www", **({"host": "www.example.com"} if hosts else {"subdomain": "www"}))
    add("/any", "any", **({"host": "<host>:8080"} if hosts else {"subdomain": "<sub>"}))
    add("/there", "there", **({"host": "<host>"} if hosts else {}))
    return app


def answers(
    framework: Any, app_class: Any, kind: str, server_name: str | None, host: str, scheme: str
) -> Any:
    app = build(framework, app_class, kind, server_name, "/")
    found: list[Any] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path in ("/", "/any", "/there", "/nowhere"):
            response = app.test_client().get(
                path, base_url=f"{scheme}://x/", headers={"Host": host}
            )
            found.append((response.status_code, response.text))
    told = [(str(w.message).lower().partition("configured")[0], w.category) for w in caught]
    return found, told


@settings(max_examples=200)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(SERVER_NAMES),
    st.sampled_from(HOSTS),
    st.sampled_from(["http", "https"]),
)
@example("subdomains", "example.com", "a..example.com", "http")
@example("subdomains", "example.com:443", "www.example.com", "https")
@example("subdomains", "example.com:80", "www.example.com", "https")
def test_every_host_gets_what_it_gets_on_flask(
    kind: str, server_name: str | None, host: str, scheme: str
) -> None:
    """With and without a server name, subdomains and hosts: answers, URLs and warnings."""
    ours = answers(dewar, dewar.Dewar, kind, server_name, host, scheme)
    assert ours == answers(flask, flask.Flask, kind, server_name, host, scheme)


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("server_name", SERVER_NAMES)
@pytest.mark.parametrize("root", ["/", "/below"])
def test_without_a_request_the_server_name_counts(
    kind: str, server_name: str | None, root: str
) -> None:
    """A URL is built for it, with the preferred scheme, or cannot be built."""

    def url(framework: Any, app_class: Any) -> Any:
        app = build(framework, app_class, kind, server_name, root)
        with app.app_context():
            try:
                return app.url_for("plain"), app.url_for("www", _scheme="http")
            except RuntimeError as error:
                return "SERVER_NAME" in str(error)

    ours = url(dewar, dewar.Dewar)
    assert ours == url(flask, flask.Flask)
    assert (ours is True) == (server_name is None)


def test_a_host_that_is_not_the_server_s_is_told_of() -> None:
    """The warning names both and says why nothing matches; filters for Flask's find it."""
    app = build(dewar, dewar.Dewar, "subdomains", "example.com", "/")
    with pytest.warns(UserWarning, match=r"'other.org' doesn't match .*'example.com'.*no rule"):
        assert app.test_client().get("/", base_url="http://other.org").status_code == 404
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Current server name", module=r"flask\.app")
        assert app.test_client().get("/", base_url="http://other.org").status_code == 404


def test_only_trusted_hosts_are_served() -> None:
    """A host that is not among them is refused before any rule is asked."""
    app = build(dewar, dewar.Dewar, "plain", None, "/")
    app.config["TRUSTED_HOSTS"] = [".example.com"]
    client = app.test_client()
    assert client.get("/", base_url="http://www.example.com").status_code == 200
    assert client.get("/", base_url="http://other.org").status_code == 400


def test_the_route_index_leaves_subdomains_to_the_map() -> None:
    """It does not look at the host; switching them on or off outdates it."""
    app = build(dewar, dewar.Dewar, "plain", "example.com", "/")
    environ = dewar.Dewar("x").test_request_context("/")._dewar_environ
    assert app._dewar_composition.index.match(environ) is not None
    app.subdomain_matching = True
    assert app._dewar_composition.index.match(environ) is None
    client = app.test_client()
    assert "'www'" in client.get("/", base_url="http://www.example.com").text
    assert "'plain'" in client.get("/", base_url="http://example.com").text
    app.subdomain_matching = False
    assert app._dewar_composition.index.match(environ) is not None


def test_the_route_index_leaves_hosts_to_the_map_as_soon_as_they_matter() -> None:
    """A program may switch host matching on at any time, on the map itself."""
    for app_class in (dewar.Dewar, flask.Flask):
        app: Any = app_class("hosts", static_folder=None)
        app.add_url_rule("/", "index", lambda: "index")
        assert app.test_client().get("/").text == "index"
        app.url_map.host_matching = True
        assert app.test_client().get("/").status_code == 404


@pytest.mark.parametrize("where", ["config", "request class", "base class"])
@pytest.mark.parametrize("mounted", [False, True])
def test_trusted_hosts_count_as_soon_as_they_are_set(
    where: str, mounted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every function, a mounted app's too: also those that the loop alone would call."""

    class Base(dewar.Request):
        pass

    app = dewar.Dewar("hosts", static_folder=None)
    app.request_class = type("Own", (Base,), {})

    @app.get("/async")
    async def coroutine_view() -> str:
        return "served"

    app.add_url_rule("/sync", "view", lambda: "served")
    served = app
    if mounted:
        served = dewar.Dewar("outer", static_folder=None)
        served.mount("/in", app)
    paths = ["/in/sync", "/in/async"] if mounted else ["/sync", "/async"]
    environ = make_environ(path=paths[1], HTTP_HOST="evil.example")
    assert served.begin_on_loop(environ, lambda *_: None) is not None  # type: ignore[arg-type, return-value]  # not called
    owner = Base if where == "base class" else app.request_class
    if where == "config":
        monkeypatch.setitem(app.config, "TRUSTED_HOSTS", ["good.example"])
    else:
        monkeypatch.setattr(owner, "trusted_hosts", ["good.example"], raising=False)
    assert served.begin_on_loop(environ, lambda *_: None) is None  # type: ignore[arg-type, return-value]  # not called
    client = served.test_client()
    for path in paths:
        assert client.get(path, base_url="http://evil.example").status_code == 400
        assert client.get(path, base_url="http://good.example").text == "served"


def test_the_route_index_leaves_all_to_a_map_with_its_own_way_to_match() -> None:
    """One of a subclass, or with another method of its own."""

    class Lower(RouteMap):
        def bind_to_environ(self, environ: Any, *args: Any, **more: Any) -> Any:
            return super().bind_to_environ(
                {**environ, "PATH_INFO": environ["PATH_INFO"].lower()}, *args, **more
            )

    class Shop(dewar.Dewar):
        url_map_class = Lower

    def check(app: dewar.Dewar) -> None:
        client = app.test_client()
        assert client.get("/LOWER").text == "lower"
        assert client.get("/UPPER").status_code == 404

    shop, patched = Shop("shop", static_folder=None), dewar.Dewar("shop", static_folder=None)
    for app in (shop, patched):
        app.add_url_rule("/lower", "lower", lambda: "lower")
        app.add_url_rule("/UPPER", "upper", lambda: "upper")
    check(shop)
    assert patched.test_client().get("/UPPER").text == "upper"
    stock = patched.url_map.bind_to_environ
    patched.url_map.bind_to_environ = lambda environ, **more: stock(  # type: ignore[method-assign]  # as programs do
        {**environ, "PATH_INFO": environ["PATH_INFO"].lower()}, **more
    )
    check(patched)
