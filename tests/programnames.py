"""A program that keeps things of its own under any name, on each object of a framework.

The same program runs on Flask and on Dewar, so a test can compare what both answer.
"""

import ast
import importlib
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import dewar

FLASK, DEWAR = "flask", "dewar.compat.flask"
#: The objects that a program can have names on. The value says where their class is.
CLASSES = {
    "app": "app.Flask",
    "request": "wrappers.Request",
    "response": "wrappers.Response",
    "blueprint": "blueprints.Blueprint",
    "setup state": "blueprints.BlueprintSetupState",
    "session": "sessions.SecureCookieSession",
    "interface": "sessions.SecureCookieSessionInterface",
    "serializer": "json.tag.TaggedJSONSerializer",
    "provider": "json.provider.DefaultJSONProvider",
    "client": "testing.FlaskClient",
    "runner": "testing.FlaskCliRunner",
    "config": "config.Config",
    "g": "ctx._AppCtxGlobals",
    "view": "views.MethodView",
    "commands": "cli.AppGroup",
    "environment": "templating.Environment",
    "loader": "templating.DispatchingJinjaLoader",
    "map": "app.Flask.url_map_class",
    "rule": "app.Flask.url_rule_class",
    "app context": "ctx.AppContext",
    "request context": "ctx.RequestContext",
}
#: Kinds that are proxied by a name of the framework, and named when a request begins.
IN_REQUESTS = {
    "request": "request",
    "session": "session",
    "g": "g",
    "app context": "app_ctx",
    "request context": "request_ctx",
}
#: Kinds of which Dewar has one class, so a name of either is Flask's.
CONTEXTS = ("app context", "request context")
Names = Mapping[str, Mapping[str, Any]]


class Taken:
    """The value of a name that only the program may use: whatever else is done with it fails."""

    def _fail(self, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a value of the program was used by the framework")

    __call__ = __bool__ = __iter__ = __len__ = __eq__ = __lt__ = __enter__ = _fail
    __getitem__ = __add__ = __str__ = _fail
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> NoReturn:
        # Python itself looks for these, the second in `inspect.iscoroutinefunction` from 3.12 on.
        if name.startswith("__") or name == "_is_coroutine_marker":
            raise AttributeError(name)
        self._fail()


TAKEN = Taken()


@cache
def vocabulary() -> tuple[str, ...]:
    """Return every name that Dewar's code has for an attribute of any object."""
    found: set[str] = set()
    for path in sorted(Path(dewar.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return tuple(sorted(name for name in found if is_free(name)))


def is_free(name: str) -> bool:
    """Whether a program may expect to have a name for itself."""
    is_name = name.isidentifier() and not keyword.iskeyword(name)
    return is_name and not name.startswith(("__", "_dewar_", "_repr_", "_ipython"))


def class_of(framework: str, kind: str) -> Any:
    """Return a framework's class of a kind of objects."""
    *packages, module, name = CLASSES[kind].replace(".Flask.", ".Flask:").split(".")
    found: Any = importlib.import_module(".".join([framework, *packages, module]))
    for step in name.split(":"):
        found = getattr(found, step)
    return found


class Program:
    """The program on a framework.

    Args:
        framework: `FLASK` or `DEWAR`.
        of_classes: The names that its classes have, by kind.
        of_instances: The names that it sets on its objects, by kind.
        is_async: Whether its views are coroutine functions.
        overrides: Whether its app overrides a stage, so that Dewar has no short way to an answer.
    """

    def __init__(
        self,
        framework: str,
        of_classes: Names,
        of_instances: Names,
        *,
        is_async: bool = False,
        overrides: bool = False,
    ) -> None:
        self._framework = framework
        self._of_classes = of_classes
        self._of_instances = of_instances
        self._is_async = is_async
        self.lib: Any = importlib.import_module(framework)
        self.globals: Any = importlib.import_module(f"{framework}.globals")
        self.made: dict[str, list[Any]] = {}
        self.app = self._make_app(overrides)

    def named(self, kind: str, thing: Any) -> Any:
        """Set the program's names on an object, and return it."""
        self.made.setdefault(kind, []).append(thing)
        for name, value in self._of_instances.get(kind, {}).items():
            setattr(thing, name, value)
        return thing

    def answers(self) -> Iterator[object]:
        """Yield what the program answers to a number of requests, and what its commands print."""
        client = self.named("client", self.app.test_client())
        for method, path, options in REQUESTS:
            response = client.open(path, method=method, **options)
            yield path, method, response.status, sorted(response.headers), response.data
            response.close()
        with client, client.session_transaction() as session:
            yield dict(session)
        with client:
            client.get("/json")
            yield self.lib.request.path
        result = self.named("runner", self.app.test_cli_runner()).invoke(args=["hello"])
        yield result.output, result.exception

    def _class(self, kind: str, **own: Any) -> Any:
        cls = class_of(self._framework, kind)
        return type(cls.__name__, (cls,), {**self._of_classes.get(kind, {}), **own})

    def _make_context(self, kind: str, *args: Any) -> Any:
        return self.named(kind, self._class(kind)(*args))

    def _make_app(self, overrides: bool) -> Any:
        program = self
        stages: dict[str, Any] = {}
        if overrides:
            stages["dispatch_request"] = lambda app: super(app_class, app).dispatch_request()
        if overrides or any(self._of_classes.get(kind) for kind in CONTEXTS):
            stages["app_context"] = lambda app: self._make_context("app context", app)
            stages["request_context"] = lambda *args: self._make_context("request context", *args)
        app_class = self._class(
            "app",
            config_class=self._class("config"),
            json_provider_class=self._class("provider"),
            app_ctx_globals_class=self._class("g"),
            test_client_class=self._class("client"),
            test_cli_runner_class=self._class("runner"),
            jinja_environment=self._class("environment"),
            create_global_jinja_loader=lambda app: self._class("loader")(app),
            **({"url_map_class": self._class("map")} if self._of_classes.get("map") else {}),
            url_rule_class=self._class("rule"),
            **stages,
        )
        folder = Path(__file__).parent / "json"
        app = app_class("program", static_url_path="/static", static_folder=folder)
        self.named("app", app)
        if self._of_classes.get("request"):
            app.request_class = self._class("request")
        if self._of_classes.get("response"):
            app.response_class = self._class("response")
        app.session_interface = self.named("interface", self._class("interface")())
        app.session_interface.session_class = self._class("session")
        app.session_interface.serializer = self._class("serializer")()
        self.made["serializer"] = [app.session_interface.serializer]
        app.cli = self._class("commands")("program")
        app.cli.command("hello")(lambda: print("hello"))
        app.secret_key = "key"
        app.logger.disabled = True
        for kind, thing in (
            ("config", app.config),
            ("provider", app.json),
            ("environment", app.jinja_env),
            ("loader", app.jinja_env.loader),
            ("map", app.url_map),
            ("commands", app.cli),
        ):
            self.named(kind, thing)

        @app.before_request
        def name_what_the_request_has() -> None:
            for kind, proxy in IN_REQUESTS.items():
                if kind in program._of_instances:
                    program.named(kind, getattr(program.globals, proxy)._get_current_object())

        if "response" in self._of_instances:
            app.after_request(lambda response: self.named("response", response))
        self._add_views(app)
        for rule in app.url_map.iter_rules():
            self.named("rule", rule)
        return app

    def _add_views(self, app: Any) -> None:
        def make_setup_state(blueprint: Any, *args: Any) -> Any:
            return self.named("setup state", self._class("setup state")(blueprint, *args))

        blueprint_class = self._class("blueprint", make_setup_state=make_setup_state)
        part, inner = (
            self.named("blueprint", blueprint_class(name, __name__, url_prefix=f"/{name}"))
            for name in ("part", "inner")
        )
        part.before_request(lambda: None)
        inner.errorhandler(418)(lambda error: ("tea", 418))
        for where, path, view in views(self.lib, app):
            target = {"app": app, "part": part, "inner": inner}[where]
            endpoint = path.strip("/").partition("/")[0] or "index"
            target.add_url_rule(
                path, endpoint, asynchronous(view) if self._is_async else view,
                methods=["GET", "POST"],
            )  # fmt: skip
        part.register_blueprint(inner)
        app.register_blueprint(part)

        def get(_: Any, name: str) -> str:
            return f"view of {name}"

        view_class = self._class("view", get=get)
        app.add_url_rule("/class/<name>", view_func=view_class.as_view("class"))
        app.add_url_rule("/once/<name>", view_func=view_class.as_view("once"))
        self.made["view"] = [view_class()]


def asynchronous(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function that does what a view does."""

    async def coroutine(**values: Any) -> Any:
        return view(**values)

    return coroutine


def views(lib: Any, app: Any) -> Iterable[tuple[str, str, Callable[..., Any]]]:
    """Return the program's views, and where they are registered."""

    def keep() -> Any:
        lib.session["count"] = (lib.session.get("count", 0), lib.request.args.get("n"))
        lib.flash("kept")
        return [str(lib.session["count"])]

    def template() -> str:
        text = (
            "{{ url_for('part.inner.link') }} {{ g.get('-') }} {{ request.path }} {{ config['A'] }}"
        )
        return str(lib.render_template_string(text, a=lib.get_flashed_messages()))

    def fail() -> Any:
        raise ZeroDivisionError

    def stream() -> Any:
        return lib.stream_with_context(letter + lib.request.path for letter in "ab")

    def after() -> str:
        lib.after_this_request(lambda response: response.headers.add("X-This", "1") or response)
        return "after"

    return [
        ("app", "/", lambda: "index"),
        ("app", "/json", lambda: {"b": 1, "a": [lib.request.method]}),
        ("app", "/made", lambda: lib.jsonify(a=lib.json.dumps({"x": 1}))),
        ("app", "/body", lambda: lib.request.get_json()),
        ("app", "/form", lambda: f"{lib.request.form['a']} {lib.request.args.get('q')}"),
        ("app", "/file", lambda: lib.request.files["f"].read()),
        ("app", "/data", lambda: lib.request.get_data()),
        ("app", "/keep", keep),
        ("app", "/template", template),
        ("app", "/fail", fail),
        ("app", "/abort", lambda: lib.abort(403)),
        ("app", "/redirect", lambda: lib.redirect(lib.url_for("part.page", _anchor="x"))),
        ("app", "/stream", stream),
        ("app", "/after", after),
        ("app", "/typed", lambda: (lib.Response("x"), 201, {"X-A": "1"})),
        ("app", "/cookie", lambda: lib.request.cookies.get("a", "none")),
        ("app", "/item/<int:number>", lambda number: str(number)),
        ("app", "/directory/", lambda: "directory"),
        ("part", "/page", lambda: f"{lib.request.blueprint} {lib.url_for('.page')}"),
        ("inner", "/link", lambda: lib.url_for("static", filename="x", _external=True)),
        ("inner", "/tea", lambda: lib.abort(418)),
    ]


UPLOAD = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n--b--\r\n'
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    *[("GET", path, {}) for path in (
        "/", "/json", "/made", "/keep?n=1", "/keep?n=%20a", "/template", "/fail", "/abort",
        "/redirect", "/stream", "/after", "/typed", "/cookie", "/item/7", "/item/x", "/directory",
        "/part/page", "/part/inner/link", "/part/inner/tea", "/missing", "/static/test_tagged.py",
        "/class/a", "/once/b",
    )],
    ("HEAD", "/", {}),
    ("OPTIONS", "/json", {}),
    ("PUT", "/", {}),
    ("POST", "/body", {"json": {"a": [1]}}),
    ("POST", "/body", {"data": "{", "content_type": "application/json"}),
    ("POST", "/form?q=a+b", {"data": {"a": "1"}}),
    ("POST", "/form", {"data": {"b": "1"}}),
    ("POST", "/file", {"data": UPLOAD, "content_type": "multipart/form-data; boundary=b"}),
    ("POST", "/data", {"data": b"raw"}),
]  # fmt: skip


def free_names(kind: str) -> list[str]:
    """Return the names of the vocabulary that Flask's objects of a kind do not have."""
    return [name for name in vocabulary() if name not in flask_names()[kind]]


@cache
def flask_names() -> Mapping[str, frozenset[str]]:
    """Return the names that Flask's objects have after they have been used, by kind."""
    names = names_by_kind(FLASK)
    either = names[CONTEXTS[0]] | names[CONTEXTS[1]]
    return {**names, **dict.fromkeys(CONTEXTS, either)}


def names_by_kind(framework: str) -> Mapping[str, frozenset[str]]:
    """Return the names that a framework's objects have after they have been used."""
    program = Program(framework, {}, {"response": {}, **{kind: {} for kind in IN_REQUESTS}})
    comparable(program.answers())
    return {
        kind: frozenset(name for thing in things for name in dir(thing))
        for kind, things in program.made.items()
    }


def comparable(answers: Iterable[object]) -> list[object]:
    """Return answers in a form in which those of both frameworks can be compared."""
    return [_comparable(answer) for answer in answers]


def _comparable(answer: Any) -> Any:
    if not (isinstance(answer, tuple) and len(answer) == 5):
        return answer
    path, method, status, headers, body = answer
    return path, method, status, [(name, _lasting(name, value)) for name, value in headers], body


def _lasting(name: str, value: str) -> str:
    """Return a field's value without what is another one each time."""
    if name == "Allow":
        return ", ".join(sorted(value.split(", ")))  # from a set
    # The signature of a session has a time.
    return {"Date": "now", "Set-Cookie": value.partition(";")[2]}.get(name, value)
