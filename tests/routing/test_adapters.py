"""Which host a request is for, and what that makes of the rules."""

import warnings
from typing import Any

import flask
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dewar

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


@settings(max_examples=200, deadline=None)
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
    environ = dewar.Dewar("x").test_request_context("/").environ
    assert app._composition.index.match(environ) is not None
    app.subdomain_matching = True
    assert app._composition.index.match(environ) is None
    client = app.test_client()
    assert "'www'" in client.get("/", base_url="http://www.example.com").text
    assert "'plain'" in client.get("/", base_url="http://example.com").text
    app.subdomain_matching = False
    assert app._composition.index.match(environ) is not None
