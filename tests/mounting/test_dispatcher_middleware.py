"""Several apps under one address."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware as WerkzeugsDispatcher
from werkzeug.test import create_environ

from dewar import Dewar, request, url_for
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.location import LOCATION

SEGMENTS = ["a", "b", "ab", "", ".", "é", "%2F", "a b"]
paths = st.lists(st.sampled_from(SEGMENTS), max_size=5).map("/".join)
mounts = st.dictionaries(paths.map(lambda path: f"/{path}") | paths, st.just(None), max_size=4)


def naming(name: str) -> Callable[..., Any]:
    """Return a WSGI app that answers with its name and where it believes to be."""

    def answer(environ: Any, start_response: Any) -> Any:
        return [name, environ.get("SCRIPT_NAME"), environ.get("PATH_INFO")]

    return answer


@given(mounts, paths | paths.map(lambda path: f"/{path}"), st.sampled_from(["", "/root", None]))
@example({"": None}, "/x", "")
@example({"/": None}, "/x", "")
@example({"": None, "a": None}, "a/b", None)
@example({"/a/": None, "/a": None}, "/a//b", "")
def test_every_path_goes_where_werkzeug_s_sends_it(
    mounted: dict[str, None], path: str, script_name: str | None
) -> None:
    """Whatever is mounted, and however odd the path: the app and what it is told."""

    def answer(kind: Any) -> Any:
        middleware = kind(naming("root"), {mount: naming(mount) for mount in mounted})
        environ = {"PATH_INFO": path}
        if script_name is not None:
            environ["SCRIPT_NAME"] = script_name
        answered = middleware(environ, None)
        environ.pop(LOCATION, None)  # what ours notes for links and cookies
        return answered, environ

    assert answer(DispatcherMiddleware) == answer(WerkzeugsDispatcher)


def test_an_environ_without_a_path_is_the_root_s() -> None:
    """PEP 3333 lets a server leave out what is empty."""
    assert DispatcherMiddleware(naming("root"), {"/a": naming("a")})({}, None) == ["root", "", ""]
    assert DispatcherMiddleware(naming("root"))(create_environ("/a"), None) == ["root", "", "/a"]


@pytest.mark.parametrize("mounted", [{}, {"/shop": naming("shop")}])
def test_the_server_s_own_options_lead_to_no_page(mounted: dict[str, Any]) -> None:
    """`OPTIONS *` has a path that is not the root's, with mounts and without."""
    app = Dewar("app", static_folder=None)
    app.add_url_rule("/", "index", lambda: "index")
    for path, other in mounted.items():
        app.mount(path, other)
    environ = create_environ("/", method="OPTIONS") | {"PATH_INFO": "*"}
    assert app.test_client().open(environ).status_code == 404


def test_the_longest_mount_answers_and_its_urls_lead_back() -> None:
    """A mounted app builds URLs below its mount."""
    apps = {}
    for name in ("root", "shop", "basket"):
        app = apps[name] = Dewar(name, static_folder=None)
        app.add_url_rule(
            "/<path:path>",
            "show",
            lambda path, name=name: (
                f"{name} {path} {request.root_path} {url_for('show', path='u')}"
            ),
        )
    root = apps["root"]
    mounts = {"/shop": apps["shop"]}
    root.wsgi_app = DispatcherMiddleware(root.wsgi_app, mounts)  # type: ignore[method-assign]
    client = root.test_client()
    assert client.get("/x").text == "root x  /u"
    assert client.get("/shop/x/y").text == "shop x/y /shop /shop/u"
    assert client.get("/shops").text == "root shops  /u"
    assert client.get("/shop/basket/x").text == "shop basket/x /shop /shop/u"
    mounts["/shop/basket"] = apps["basket"]  # it is seen at once
    assert client.get("/shop/basket/x").text == "basket x /shop/basket /shop/basket/u"
    assert repr(root.wsgi_app).startswith("<DispatcherMiddleware ['/shop', '/shop/basket'] beside")
