"""Random mounts, hosts and paths, held against the plain rules."""

from typing import Any
from urllib.parse import unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import Client

from dewar import Dewar, current_app, request, url_for
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.errors import MountLinkError
from dewar.mounting.hosts import checked_host, fits, host_of

HOSTS = ["example.com", "a.example.com", "b.a.example.com", "other.org", "[::1]", "127.0.0.1"]
PATTERNS = [None, *HOSTS, "*.example.com", "*.a.example.com"]
PATHS = ["/a", "/a/b", "/b", "/ab", "/é", "/a/b/c"]

hosts = st.sampled_from(PATTERNS)
places = st.tuples(hosts, st.sampled_from(PATHS)) | st.tuples(
    hosts.filter(lambda host: host is not None), st.just("/")
)
requested = st.tuples(
    st.sampled_from([*HOSTS, "com", ""]),
    st.lists(st.sampled_from(["a", "b", "ab", "c", "", "é"]), max_size=4),
)


def expected(mounted: list[tuple[str | None, str]], host: str, path: str) -> Any:
    """Return which mount answers, by the rules as the documentation words them."""

    def is_below(mount: str) -> bool:
        return mount == "/" or path == mount or path.startswith(f"{mount}/")

    fitting = [
        (at, mount) for at, mount in mounted if (at is None or fits(at, host)) and is_below(mount)
    ]

    def rank(place: tuple[str | None, str]) -> Any:
        at, mount = place
        kind = 0 if at is None else 1 if at.startswith("*") else 2
        return kind, len(at or ""), len(mount.rstrip("/"))

    return max(fitting, key=rank, default=None)


def naming(place: Any) -> Any:
    """Return an app that answers with its place, and where it believes to be."""

    def answer(environ: Any, start_response: Any) -> Any:
        return place, environ["SCRIPT_NAME"], environ["PATH_INFO"]

    return answer


@given(st.sets(places, max_size=6), requested, st.sampled_from(["", ":80", ":8443"]))
@example(
    {("*.example.com", "/a"), ("a.example.com", "/b"), (None, "/a")}, ("a.example.com", ["a"]), ""
)
def test_a_request_leads_where_the_rules_say(
    mounted: set[tuple[str | None, str]], to: tuple[str, list[str]], port: str
) -> None:
    """An exact host, then the longest wildcard, then no host; and there the longest path."""
    host, segments = to
    path = "/" + "/".join(segments)
    dispatcher = DispatcherMiddleware(naming(None))
    for at, mount in mounted:
        dispatcher.mount(mount, naming((at, mount)), host=at)
    raw = path.encode().decode("latin-1")
    found, script_name, rest = dispatcher(
        {"HTTP_HOST": host.upper() + port, "PATH_INFO": raw}, lambda *_: None
    )
    assert found == expected(sorted(mounted, key=str), host, path)
    assert script_name + rest == raw


@given(st.text(max_size=30))
@example("[")
@example("[::1")
@example("[]:")
@example(".")
@example(":" * 9)
@example("a." * 200)
def test_no_host_field_is_too_odd(host: str) -> None:
    """Whatever a client sends, some app answers."""
    dispatcher = DispatcherMiddleware(
        naming(None), hosts={"*.a": naming("a"), "[::1]": naming("6")}
    )
    environ = {"HTTP_HOST": host, "PATH_INFO": "/"}
    assert dispatcher(environ, lambda *_: None)[0] in {None, "a", "6"}


def test_a_host_is_compared_in_one_form() -> None:
    """Small letters, no last dot, addresses as browsers write them, names as the DNS has them."""
    assert checked_host("API.Example.com.") == "api.example.com"
    assert checked_host("[0:0:0:0:0:0:0:1]") == "[::1]"
    assert checked_host("*.Bücher.example") == "*.xn--bcher-kva.example"
    assert checked_host("[::FFFF:1.2.3.4]") == "[::ffff:102:304]"
    assert host_of({"HTTP_HOST": "[::1]:8000"}) == host_of({"HTTP_HOST": "[::1]"}) == "[::1]"
    assert host_of({"SERVER_NAME": "Named"}) == "named"


def make_app(name: str) -> Dewar:
    """Return an app that says who it is, and links to others."""
    app = Dewar(name, static_folder=None)
    app.add_url_rule("/", "index", lambda: current_app.name)

    def link(endpoint: str) -> str:
        try:
            return url_for(endpoint, _external=True)
        except MountLinkError:
            return ""

    app.add_url_rule("/link/<endpoint>", "link", link)
    app.add_url_rule("/where", "where", lambda: request.url_root)
    return app


trees = st.recursive(
    st.just({}),
    lambda below: st.dictionaries(places, below, max_size=3),
    max_leaves=5,
)


def build(tree: Any, apps: list[Dewar], in_app: bool) -> Any:
    """Return the WSGI callable of a tree, and add its apps to a list."""
    app = make_app(f"app{len(apps)}")
    apps.append(app)
    holder: Any = app if in_app else DispatcherMiddleware(app)
    for number, ((host, path), below) in enumerate(tree.items()):
        holder.mount(path, build(below, apps, in_app ^ bool(number % 2)), host=host)
    return holder


@given(trees, st.booleans(), st.sampled_from(HOSTS), st.sampled_from(["", "/root"]))
def test_every_link_leads_to_the_app_that_it_names(
    tree: Any, in_app: bool, host: str, root: str
) -> None:
    """From the root to each app, and from there to each other; or it is refused."""
    apps: list[Dewar] = []
    client = Client(build(tree, apps, in_app), use_cookies=False)

    def ask(url: str) -> str:
        path = url.removeprefix("http://").partition("/")[2]
        at = url.removeprefix("http://").partition("/")[0]
        given = {"SCRIPT_NAME": root, "PATH_INFO": f"/{path}".removeprefix(root)}
        return client.get("/", headers={"Host": at}, environ_overrides=_raw(given)).text

    start = f"http://{host}{root}/"
    first = ask(start)
    known = {first: start}
    for app in apps:
        url = ask(f"{start}link/{app.name}:index")
        if url:
            assert ask(url) == app.name
            known[app.name] = url
    for url in known.values():
        for app in apps:
            target = ask(f"{url}link/{app.name}:index")
            assert not target or ask(target) == app.name


def _raw(environ: dict[str, str]) -> dict[str, str]:
    """Return an environ's strings for a URL's path, as a server makes them."""
    return {name: unquote_to_bytes(text).decode("latin-1") for name, text in environ.items()}
