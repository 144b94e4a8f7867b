"""Links between mounted apps: ``url_for("admin:index")``."""

from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest
from werkzeug.routing import BuildError
from werkzeug.test import Client

from dewar import Blueprint, Dewar, Request, current_app, redirect, render_template_string, url_for
from dewar.errors import DewarError
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.errors import MountLinkError


def make_app(name: str) -> Dewar:
    """Return an app with a page, and another in a blueprint."""
    app = Dewar(name, static_folder=None)
    app.add_url_rule("/", "index", lambda: name)
    app.add_url_rule("/item/<int:id>", "item", lambda id: name)
    pages = Blueprint("pages", __name__, url_prefix="/pages")
    pages.add_url_rule("/", "index", lambda: url_for(".index") + " " + url_for("admin:.index"))
    pages.add_url_rule("/other", "other", lambda: name)
    app.register_blueprint(pages)
    app.add_url_rule("/ask", "ask", lambda: current_app.extensions["ask"]() or "asked")
    return app


@pytest.fixture
def shop() -> Dewar:
    """An app with another one mounted at ``/admin``."""
    shop = make_app("shop")
    shop.mount("/admin", make_app("admin"))
    return shop


@pytest.fixture
def admin(shop: Dewar) -> Any:
    """The other one."""
    return shop.mounts[0].app


def inside(app: Dewar, path: str, ask: Callable[[], Any]) -> Any:
    """Return what a function gives in a request of whichever app is below a path."""
    answers: list[Any] = []
    for one in (app, *(mount.app for mount in app.mounts)):
        if isinstance(one, Dewar):
            one.extensions["ask"] = lambda: answers.append(ask())
    assert Client(app).get(f"{path}/ask").text == "asked"
    return answers[0]


def test_a_link_takes_all_that_url_for_takes(shop: Dewar) -> None:
    """Values, a query, an anchor, another scheme, the whole URL, and endpoints of blueprints."""

    def ask() -> list[str]:
        return [
            url_for("admin:item", id=7, page=2),
            url_for("admin:pages.other", _anchor="top"),
            url_for("admin:index", _external=True),
            url_for("admin:index", _scheme="https"),
            url_for("admin:index", _scheme="https", _external=True),
        ]

    assert inside(shop, "", ask) == [
        "/admin/item/7?page=2",
        "/admin/pages/other#top",
        "http://localhost/admin/",
        "https://localhost/admin/",
        "https://localhost/admin/",
    ]


def test_links_work_in_templates_and_redirects(shop: Dewar, admin: Dewar) -> None:
    """In both directions."""
    shop.add_url_rule("/t", "t", lambda: render_template_string("{{ url_for('admin:index') }}"))
    admin.add_url_rule("/away", "away", lambda: redirect(url_for(":item", id=1)))
    client = shop.test_client()
    assert client.get("/t").text == "/admin/"
    assert client.get("/admin/away").location == "/item/1"
    assert client.get("/admin/away", follow_redirects=True).text == "shop"


def test_an_endpoint_that_has_a_colon_is_the_app_s_own(shop: Dewar) -> None:
    """What worked before apps were mounted works on."""
    shop.add_url_rule("/own", "admin:index", lambda: "")
    assert inside(shop, "", lambda: url_for("admin:index")) == "/own"
    assert inside(shop, "/admin", lambda: url_for("shop:admin:index")) == "/own"


def test_the_app_that_is_linked_to_builds_the_url(shop: Dewar, admin: Dewar) -> None:
    """Its converters, its defaults and its handlers of errors; those of the other are not asked."""
    asked: list[str] = []

    def defaults(endpoint: str, values: dict[str, Any]) -> None:
        asked.append(endpoint)
        values.setdefault("id", 3)

    admin.url_defaults(defaults)
    shop.url_defaults(lambda endpoint, values: asked.append("shop"))
    admin.url_build_error_handlers.append(
        lambda error, endpoint, values: f"/no/{endpoint}" if endpoint == "none" else None
    )
    assert inside(shop, "", lambda: url_for("admin:item")) == "/admin/item/3"
    assert inside(shop, "", lambda: url_for("admin:none")) == "/no/none"
    assert asked == ["item", "none"]
    with pytest.raises(BuildError, match="'missing'"):
        inside_raising(shop, lambda: url_for("admin:missing"))


def inside_raising(app: Dewar, ask: Callable[[], Any]) -> None:
    """Have a function raise in a request."""
    with app.test_request_context("/"):
        ask()


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (
            "other:index",
            "no mounted app is called 'other'. The apps are 'shop' at /, 'admin' at /admin",
        ),
        ("plain:index", "is a WSGI callable without endpoints"),
        ("twice:index", "2 mounted apps are called 'twice'"),
    ],
)
def test_a_name_that_is_not_clear_is_refused(shop: Dewar, link: str, why: str) -> None:
    """The error lists what is mounted, and says how an app is named."""
    twice = make_app("twice")
    shop.mount("/one", twice)
    shop.mount("/two", twice)
    shop.mount("/plain", lambda environ, start_response: [], name="plain")
    with pytest.raises(MountLinkError) as caught:
        inside_raising(shop, lambda: url_for(link))
    assert why in str(caught.value)
    assert "app.mount('/path', other, name='other')" in str(caught.value)
    assert isinstance(caught.value, DewarError)
    assert isinstance(caught.value, BuildError)


def test_a_name_makes_it_clear(shop: Dewar) -> None:
    """Also for the plain middleware; and of two that end alike each has its whole name."""
    twice = make_app("twice")
    shop.mount("/one", twice, name="first")
    shop.mount("/two", twice, name="second")
    shop.mount("/x", make_app("x.web"))
    shop.mount("/y", make_app("y.web"))

    def ask() -> list[str]:
        links = ("first:index", "second:index", "x.web:index", "y.web:index")
        return [url_for(link) for link in links]

    assert inside(shop, "", ask) == ["/one/", "/two/", "/x/", "/y/"]


def test_handlers_of_build_errors_see_names_that_are_unknown(shop: Dewar) -> None:
    """A program that gave a colon a meaning of its own keeps it."""
    shop.url_build_error_handlers.append(
        lambda error, endpoint, values: f"https://cdn/{endpoint}/{values['v']}"
    )
    assert inside(shop, "", lambda: url_for("cdn:logo", v=1)) == "https://cdn/cdn:logo/1"


def test_an_app_alone_links_to_itself_and_says_nothing_of_mounts() -> None:
    """As before: an unknown endpoint is one, colon or not."""
    app = make_app("alone")
    with app.test_request_context("/"):
        assert url_for(":index") == url_for("alone:index") == "/"
        with pytest.raises(BuildError, match="Could not build url for endpoint 'x:index'"):
            url_for("x:index")


def test_outside_of_a_request_an_app_links_to_what_it_holds(shop: Dewar, admin: Dewar) -> None:
    """With its ``SERVER_NAME``, ``APPLICATION_ROOT`` and ``PREFERRED_URL_SCHEME``."""
    admin.mount("/deep", make_app("deep"))
    shop.mount("/", make_app("api"), host="api.example.com")
    shop.mount("/", make_app("tenant"), host="*.example.com")
    with shop.app_context(), pytest.raises(RuntimeError, match="SERVER_NAME"):
        url_for("admin:index")
    shop.config.update(
        SERVER_NAME="example.com:8443", APPLICATION_ROOT="/s", PREFERRED_URL_SCHEME="https"
    )
    with shop.app_context():
        assert url_for("admin:item", id=1) == "https://example.com:8443/s/admin/item/1"
        assert url_for("deep:index") == "https://example.com:8443/s/admin/deep/"
        assert url_for("api:index") == "https://api.example.com:8443/s/"
        assert url_for("shop:index") == "https://example.com:8443/s/"
        with pytest.raises(RuntimeError, match="SERVER_NAME"):
            url_for("tenant:index")
        with pytest.raises(MountLinkError, match="outside of a request it is not known which"):
            url_for(":index")


def test_from_a_host_that_leads_elsewhere_a_server_name_is_needed(shop: Dewar) -> None:
    """A relative link would lead to another app."""
    api = make_app("api")
    api.add_url_rule("/links", "links", lambda: " ".join(map(url_for, ("admin:index", ":index"))))
    shop.mount("/", api, host="api.example.com")
    shop.testing = api.testing = True
    client = Client(shop)
    with pytest.raises(MountLinkError, match=r"app.config\['SERVER_NAME'\] = 'example.com'"):
        client.get("/links", base_url="http://api.example.com")
    shop.config["SERVER_NAME"] = "example.com"
    answer = client.get("/links", base_url="http://api.example.com").text
    assert answer == "http://example.com/admin/ http://example.com/"


def test_an_app_s_own_url_for_in_a_request_of_another_builds_its_own_urls(
    shop: Dewar, admin: Dewar
) -> None:
    """By the method and in its context; a stranger's builds what it always did."""
    stranger = make_app("stranger")

    def ask() -> list[str]:
        urls = [shop.url_for("item", id=1), admin.url_for("item", id=2)]
        with admin.app_context():
            assert current_app.name == "admin"
            urls.append(url_for("index"))
        return [*urls, stranger.url_for("item", id=4)]

    assert inside(shop, "/admin", ask) == ["/item/1", "/admin/item/2", "/admin/", "/admin/item/4"]
    assert inside(shop, "", ask) == ["/item/1", "/admin/item/2", "/admin/", "/item/4"]


def test_a_made_up_request_knows_what_its_app_holds(shop: Dewar, admin: Dewar) -> None:
    """Though it came by no dispatcher; ``SCRIPT_NAME`` is that of its app."""
    with shop.test_request_context("/", base_url="http://x.org/root"), admin.app_context():
        assert url_for("index") == admin.url_for("index") == "/root/admin/"
        assert url_for("shop:index") == url_for(":index") == "/root/"


def test_a_link_leaves_nothing_to_the_collector(shop: Dewar, admin: Dewar) -> None:
    """The request that stands for the other app is freed at once."""
    made: list[Any] = []

    class Noted(Request):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(ref(self))

    admin.request_class = Noted
    with shop.test_request_context("/"):
        assert url_for("admin:index") == "/admin/"
    assert [request() for request in made] == [None]


def test_links_follow_a_proxy_s_prefix_and_host(shop: Dewar, admin: Dewar) -> None:
    """They begin with what was in ``SCRIPT_NAME`` before the first dispatcher."""
    outer = DispatcherMiddleware(make_app("outer"), {"/shop": shop})
    admin.add_url_rule(
        "/links", "links", lambda: " ".join(map(url_for, ("outer:index", "shop:index")))
    )
    answer = Client(outer).get("/shop/admin/links", base_url="https://x.org/proxy")
    assert answer.text == "/proxy/ /proxy/shop/"


def test_a_link_is_not_led_astray_by_the_host_of_a_mount(shop: Dewar) -> None:
    """A pattern needs a host; in a request for one that fits, that one is taken."""
    tenant = make_app("tenant")
    tenant.add_url_rule("/own", "own", lambda: url_for("tenant:index", _external=True))
    shop.mount("/", tenant, host="*.example.com")
    with pytest.raises(MountLinkError, match="it is not known by which host"):
        inside_raising(shop, lambda: url_for("tenant:index"))
    answer = Client(shop).get("/own", base_url="http://a.example.com:81")
    assert answer.text == "http://a.example.com:81/"
    tenant.config["SERVER_NAME"] = "main.example.com"
    with shop.test_request_context("/"):
        assert url_for("tenant:index") == "http://main.example.com/"
