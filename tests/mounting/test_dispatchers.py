"""What holds for mounted apps, whichever way they were mounted."""

from collections.abc import Mapping
from typing import Any
from wsgiref.types import WSGIApplication

import pytest
from werkzeug.test import Client, run_wsgi_app

from dewar import (
    Dewar,
    Response,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    request,
    request_started,
    session,
    url_for,
)
from dewar.mounting.dispatcher import DispatcherMiddleware

Where = tuple[str | None, str]


def make_app(name: str) -> Dewar:
    """Return an app that is like every other one, but for its name."""
    app = Dewar(name, static_folder=None)
    app.config.update(SECRET_KEY="one key for all", COLOUR=name)

    @app.get("/")
    def index() -> str:
        return f"{name} {current_app.name} {request.script_root}{request.path}"

    @app.get("/link/<path:endpoint>")
    def link(endpoint: str) -> str:
        return url_for(endpoint)

    @app.get("/keep/<value>")
    def keep(value: str) -> str:
        before, session["value"] = session.get("value", "nothing"), value
        flash(value)
        return f"{name} had {before}"

    @app.get("/kept")
    def kept() -> str:
        return f"{name} {session.get('value', 'nothing')} {get_flashed_messages()}"

    @app.get("/state")
    def state() -> str:
        before = g.get("seen", "nothing")
        g.seen = name
        return f"{before} {current_app.config['COLOUR']}"

    @app.get("/fail")
    def fail() -> str:
        raise KeyError(name)

    @app.get("/stop")
    def stop() -> str:
        abort(418)

    @app.errorhandler(418)
    def teapot(error: Exception) -> tuple[str, int]:
        return f"teapot of {name}", 418

    @app.errorhandler(500)
    def broken(error: Exception) -> tuple[str, int]:
        return f"{current_app.name} is broken", 500

    return app


def plain(environ: Any, start_response: Any) -> list[bytes]:
    """Answer as an app of another framework, with where it believes to be."""
    return Response(f"plain {environ['SCRIPT_NAME']} {environ['PATH_INFO']}")(  # type: ignore[return-value]  # a list of bytes it is
        environ, start_response
    )


class DispatcherContract:
    """Subclasses say how apps are mounted."""

    @staticmethod
    def mounted(root: Dewar, apps: Mapping[Where, WSGIApplication]) -> WSGIApplication:
        """Return what is served, with each app at its host, or at any, and path."""
        raise NotImplementedError

    @pytest.fixture
    def apps(self) -> dict[str, Dewar]:
        """The apps by name."""
        return {name: make_app(name) for name in ("root", "app02", "deep", "api", "tenant")}

    @pytest.fixture
    def served(self, apps: dict[str, Dewar]) -> WSGIApplication:
        """All of them, and a plain callable."""
        return self.mounted(
            apps["root"],
            {
                (None, "/app02"): apps["app02"],
                (None, "/app02/deep"): apps["deep"],
                (None, "/plain"): plain,
                ("api.example.com", "/"): apps["api"],
                ("*.example.com", "/t"): apps["tenant"],
            },
        )

    @pytest.fixture
    def client(self, served: WSGIApplication) -> Client:
        """A client with cookies."""
        return Client(served)

    @pytest.mark.parametrize(
        ("host", "path", "answer"),
        [
            ("x.org", "/", "root root /"),
            ("x.org", "/app02/", "app02 app02 /app02/"),
            ("x.org", "/app02/deep/", "deep deep /app02/deep/"),
            ("x.org", "/plain/a/b", "plain /plain /a/b"),
            ("api.example.com", "/", "api api /"),
            ("API.Example.com.:8000", "/", "api api /"),
            ("a.b.example.com", "/t/", "tenant tenant /t/"),
            ("a.example.com", "/", "root root /"),
            ("a.example.com", "/app02/", "app02 app02 /app02/"),
            ("example.com", "/", "root root /"),
        ],
    )
    def test_each_request_is_answered_by_the_app_at_its_host_and_path(
        self, client: Client, host: str, path: str, answer: str
    ) -> None:
        """The longest path counts, an exact host before a wildcard, a host before none."""
        assert client.get(path, headers={"Host": host}).text == answer

    def test_what_only_begins_like_a_mount_is_not_below_it(self, client: Client) -> None:
        """Paths are compared by whole segments."""
        assert client.get("/app02x/").status_code == 404
        assert client.get("/app02", headers={"Host": "x.org"}).status_code == 308

    def test_state_is_the_app_s_that_answers(self, client: Client) -> None:
        """`g`, `current_app` and the configuration are nobody else's."""
        for _ in range(2):
            for path, name in (("", "root"), ("/app02", "app02"), ("/app02/deep", "deep")):
                assert client.get(f"{path}/state").text == f"nothing {name}"

    def test_errors_are_answered_by_the_app_s_own_handlers(self, client: Client) -> None:
        """A handler of another app never sees them, and the next request is as ever."""
        for path, name in (("/app02", "app02"), ("", "root"), ("/app02/deep", "deep")):
            assert client.get(f"{path}/stop").text == f"teapot of {name}"
            assert client.get(f"{path}/fail").text == f"{name} is broken"
            assert client.get(f"{path}/").text == f"{name} {name} {path}/"

    def test_teardown_and_signals_are_the_app_s_that_answers(
        self, client: Client, apps: dict[str, Dewar]
    ) -> None:
        """Also after an error."""
        seen: list[Any] = []
        for app in apps.values():
            app.teardown_appcontext(lambda error: seen.append(current_app.name))
        heard: list[Any] = []

        def hear(sender: Dewar, **extra: Any) -> None:
            heard.append(sender.name)

        with request_started.connected_to(hear, apps["app02"]):
            for path in ("/app02/fail", "/", "/app02/deep/", "/app02/"):
                client.get(path)
        assert seen == ["app02", "root", "deep", "app02"]
        assert heard == ["app02", "app02"]
        assert not current_app

    def test_sessions_stay_apart_with_one_key_and_the_same_names(self, client: Client) -> None:
        """Each app has a cookie of its own, which only its requests carry."""
        for path in ("", "/app02", "/app02/deep"):
            name = path.rpartition("/")[2] or "root"
            assert client.get(f"{path}/keep/{name}").text == f"{name} had nothing"
        for path in ("", "/app02", "/app02/deep"):
            name = path.rpartition("/")[2] or "root"
            assert client.get(f"{path}/kept").text == f"{name} {name} ['{name}']"

    def test_a_cookie_that_is_renamed_is_no_other_app_s_session(self, client: Client) -> None:
        """It was signed for its mount, though the key is the same."""
        client.get("/keep/root")
        client.get("/app02/keep/app02")
        of_root = client.get_cookie("session")
        of_app = client.get_cookie("session~app02", path="/app02")
        assert of_root is not None
        assert of_app is not None
        fresh = Client(client.application, use_cookies=False)
        answers = [
            fresh.get(path, headers={"Cookie": f"session={value}; session~app02={value}"}).text
            for path in ("/kept", "/app02/kept", "/app02/deep/kept")
            for value in (of_root.value, of_app.value)
        ]
        assert answers == [
            "root root ['root']",
            "root nothing []",
            "app02 nothing []",
            "app02 app02 ['app02']",
            "deep nothing []",
            "deep nothing []",
        ]

    @pytest.mark.parametrize(
        ("host", "path", "link", "url"),
        [
            ("x.org", "/", "app02:index", "/app02/"),
            ("x.org", "/app02/", "deep:index", "/app02/deep/"),
            ("x.org", "/app02/deep/", "root:index", "/"),
            ("x.org", "/app02/deep/", ":kept", "/kept"),
            ("x.org", "/app02/", "app02:index", "/app02/"),
            ("x.org:81", "/", "api:index", "http://api.example.com:81/"),
            ("a.example.com", "/", "tenant:index", "/t/"),
            ("a.example.com", "/t/", ":index", "/"),
        ],
    )
    def test_links_lead_from_any_app_to_any_other(
        self, client: Client, host: str, path: str, link: str, url: str
    ) -> None:
        """They begin where the tree does, and are absolute where the host is another."""
        headers = {"Host": host}
        assert client.get(f"{path}link/{link}", headers=headers).text == url
        below = {"SCRIPT_NAME": "/proxy"}
        answer = client.get(f"{path}link/{link}", headers=headers, environ_overrides=below).text
        assert answer == (url.replace(":81/", ":81/proxy/") if "://" in url else f"/proxy{url}")

    def test_every_app_begins_and_ends_to_serve_once(
        self, apps: dict[str, Dewar], served: Any
    ) -> None:
        """The root first, and at the end last."""
        calls: list[str] = []
        for name, app in apps.items():
            app.on_start(lambda name=name: calls.append(f"+{name}"))
            app.on_stop(lambda left, name=name: calls.append(f"-{name}"))
        for _ in range(2):
            served.begin_serving()
        begun, calls[:] = calls[:], []
        for _ in range(2):
            served.end_serving(1.0)
        assert begun[0] == "+root"
        assert calls[-1] == "-root"
        assert sorted(begun) == sorted(f"+{name}" for name in apps)
        assert sorted(calls) == sorted(f"-{name}" for name in apps)

    def test_the_whole_answer_of_an_app_goes_through(self, served: WSGIApplication) -> None:
        """Status and fields too."""
        environ = {
            "REQUEST_METHOD": "HEAD",
            "SERVER_NAME": "x.org",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "PATH_INFO": "/app02/stop",
        }
        body, status, headers = run_wsgi_app(served, environ)
        assert (b"".join(body), status) == (b"", "418 I'M A TEAPOT")
        assert headers["Content-Length"] == str(len("teapot of app02"))


class TestAppMount(DispatcherContract):
    """``app.mount()``."""

    @staticmethod
    def mounted(root: Dewar, apps: Mapping[Where, WSGIApplication]) -> WSGIApplication:
        """Return the root itself."""
        for (host, path), app in apps.items():
            root.mount(path, app, host=host)
        return root


class TestDispatcher(DispatcherContract):
    """The plain middleware, outermost."""

    @staticmethod
    def mounted(root: Dewar, apps: Mapping[Where, WSGIApplication]) -> WSGIApplication:
        """Return a middleware beside the app."""
        by_path = {path: app for (host, path), app in apps.items() if host is None}
        by_host = {f"{host}{path}": app for (host, path), app in apps.items() if host}
        return DispatcherMiddleware(root, by_path, by_host)


class TestDispatcherInside(DispatcherContract):
    """The plain middleware as an app's ``wsgi_app``, among other middleware."""

    @staticmethod
    def mounted(root: Dewar, apps: Mapping[Where, WSGIApplication]) -> WSGIApplication:
        """Return the root itself."""
        outermost: Any = TestDispatcher.mounted(root.wsgi_app, apps)  # type: ignore[arg-type]  # a method of it
        root.wsgi_app = Around(Around(outermost))  # type: ignore[method-assign]
        return root


class TestNested(DispatcherContract):
    """An app on an app on an app, and hosts beside paths."""

    @staticmethod
    def mounted(root: Dewar, apps: Mapping[Where, WSGIApplication]) -> WSGIApplication:
        """Return a dispatcher for hosts around one for paths, with the deepest in an app."""
        middle, deep = apps[None, "/app02"], apps[None, "/app02/deep"]
        assert isinstance(middle, Dewar)
        middle.mount("/deep", deep)
        paths = DispatcherMiddleware(
            Around(root), {"/app02": Around(middle), "/plain": apps[None, "/plain"]}
        )
        outermost = DispatcherMiddleware(paths)
        for (host, path), app in apps.items():
            if host is not None:
                outermost.mount(path, app, host=host)
        return outermost


class Around:
    """Middleware that does nothing, and keeps what it wraps as its ``app``."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)
