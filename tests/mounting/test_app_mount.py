"""`app.mount`: what can be mounted where, and what is said where it cannot."""

import gc
from types import MappingProxyType
from typing import Any
from weakref import ref

import pytest

from dewar import Dewar
from dewar.errors import DewarError, SetupFinishedError
from dewar.mounting.apps import walk
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.errors import MountError
from dewar.mounting.location import LOCATION
from dewar.mounting.mount_point import Mount


def make_app(name: str) -> Dewar:
    """Return an app with one page."""
    app = Dewar(name, static_folder=None)
    app.add_url_rule("/", "index", lambda: name)
    return app


def test_an_app_without_mounts_is_left_as_it_is() -> None:
    """Nothing stands between its requests and its views."""
    app = make_app("root")
    assert app.mounts == ()
    assert "wsgi_app" not in vars(app)


def test_mounts_say_what_is_where() -> None:
    """Each with its host, its path and the name that links have for it."""
    app, other, api = make_app("root"), make_app("shop.admin"), make_app("api")
    app.mount("/admin", other)
    app.mount("/", api, host="API.example.com", name="v1")
    assert app.mounts == (
        Mount(app=other, path="/admin", name="admin"),
        Mount(app=api, path="", host="api.example.com", name="v1"),
    )
    assert repr(app.mounts) == (
        "(<Mount /admin named 'admin': <Dewar 'shop.admin'>>,"
        " <Mount //api.example.com named 'v1': <Dewar 'api'>>)"
    )


@pytest.mark.parametrize(
    ("path", "repair"),
    [
        ("admin", "'/admin'"),
        ("/admin/", "'/admin'"),
        ("admin/users/", "'/admin/users'"),
        ("/", "app.mount('/', admin, host='admin.example.com')"),
        ("", "app.mount('/admin', admin)"),
        ("/a//b", "leave out '//'"),
        ("/a/../b", "'..'"),
        ("/a%20b", "'/a b'"),
        ("/user/<name>", "without variables"),
        ("/admin?x=1", "a query"),
    ],
)
def test_a_path_to_which_no_request_leads_is_refused(path: str, repair: str) -> None:
    """The error shows a path to which some do."""
    app = make_app("root")
    with pytest.raises(MountError, match="not a path to mount an app at") as caught:
        app.mount(path, make_app("other"))
    assert repair in str(caught.value)
    assert isinstance(caught.value, DewarError)
    assert app.mounts == ()


@pytest.mark.parametrize(
    "host",
    ["", "api.example.com:8000", "http://api", "*", "a.*.com", "a b", "a..b", "[::x]", "[::1]:80"],
)
def test_a_host_for_which_no_request_is_is_refused(host: str) -> None:
    """The error shows what a host looks like."""
    with pytest.raises(MountError, match=r"\*\.example\.com"):
        make_app("root").mount("/", make_app("other"), host=host)


def test_a_place_is_given_once() -> None:
    """By path and by host, in any spelling."""
    app, other = make_app("root"), make_app("other")
    app.mount("/a", other)
    app.mount("/a", other, host="x.org")
    for host in (None, "X.ORG."):
        with pytest.raises(MountError, match="/a is taken"):
            app.mount("/a", make_app("third"), host=host)


def test_an_app_is_not_mounted_below_itself() -> None:
    """Neither on itself nor on an app that it holds; a request there would never arrive."""
    app, middle, deep = make_app("root"), make_app("middle"), make_app("deep")
    with pytest.raises(MountError, match="is that app"):
        app.mount("/root", app)
    app.mount("/middle", middle)
    middle.mount("/deep", deep)
    for below in (middle, deep):
        for what in (app, DispatcherMiddleware(app)):
            with pytest.raises(MountError, match="Mount each app on one that it does not hold"):
                below.mount("/root", what)
    assert app.test_client().get("/middle/deep/").text == "deep"


def test_what_can_not_be_called_is_not_mounted() -> None:
    """A module, for instance, instead of the app in it."""
    with pytest.raises(MountError, match="not a WSGI callable"):
        make_app("root").mount("/admin", pytest)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a:b", ":"])
def test_a_name_that_no_link_can_have_is_refused(name: str) -> None:
    """It stands before the colon."""
    with pytest.raises(MountError, match="cannot be a name in links"):
        make_app("root").mount("/admin", make_app("admin"), name=name)


def test_mounting_ends_with_the_first_request() -> None:
    """As every registration does."""
    app = make_app("root")
    app.test_client().get("/")
    with pytest.raises(SetupFinishedError):
        app.mount("/admin", make_app("admin"))


def test_middleware_before_is_the_app_s_own_and_middleware_after_is_around_all() -> None:
    """The order of wrapping decides, as in WSGI."""

    def noting(app: Any, name: str) -> Any:
        def answer(environ: Any, start_response: Any) -> Any:
            environ["noted"] = [*environ.get("noted", ()), name]
            return app(environ, start_response)

        return answer

    def show(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [" ".join(environ["noted"]).encode()]

    app = make_app("root")
    app.wsgi_app = noting(show, "before")  # type: ignore[method-assign]
    app.mount("/other", show)
    app.wsgi_app = noting(app.wsgi_app, "after")  # type: ignore[method-assign]
    app.mount("/late", show)
    client = app.test_client()
    assert client.get("/").text == "after before"
    assert client.get("/other").text == client.get("/late").text == "after"


def test_a_path_beyond_ascii_is_written_as_people_read_it() -> None:
    """An environ has its bytes, and `mounts` shows the text."""
    app = make_app("root")
    app.mount("/größe/a b", make_app("other"))
    assert app.test_client().get("/gr%C3%B6%C3%9Fe/a%20b/").text == "other"
    assert repr(app.mounts) == "(<Mount /größe/a b named 'other': <Dewar 'other'>>,)"
    assert [node.address for node in walk(app)] == ["/", "/größe/a b"]


def test_an_app_with_mounts_that_nobody_holds_is_freed() -> None:
    """It holds those that it mounts, and they do not hold it."""
    app, other = make_app("root"), make_app("other")
    app.mount("/other", other)
    app.test_client().get("/other/")
    gone, stays = ref(app), ref(other)
    del app
    gc.collect()
    assert gone() is None
    assert stays() is other


def test_made_up_requests_are_the_app_s_own() -> None:
    """`test_request_context` is of the app that it is asked of, whatever the path."""
    app = make_app("root")
    app.mount("/other", make_app("other"))
    with app.test_request_context("/other/") as context:
        assert context.app is app
        assert LOCATION not in context.request.environ


def test_a_mapping_that_is_given_can_grow_unless_it_can_not() -> None:
    """What its owner puts there later counts; `mount` puts something there as well."""
    mounts: dict[str, Any] = {}
    dispatcher = DispatcherMiddleware(make_app("root"), mounts)
    dispatcher.mount("/a", make_app("a"))
    assert list(mounts) == ["/a"]
    fixed = DispatcherMiddleware(make_app("root"), MappingProxyType(mounts))
    with pytest.raises(MountError, match="a dict"):
        fixed.mount("/b", make_app("b"))
