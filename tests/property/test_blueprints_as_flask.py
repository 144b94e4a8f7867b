"""Any tree of blueprints means on Dewar what it means on Flask."""

import re
from collections.abc import Callable
from typing import Any

import flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dewar

NOTHING: Any = {
    "name": "a", "url_prefix": None, "subdomain": None, "url_defaults": None, "static": None,
    "cli_group": "ungiven", "commands": False, "hooks": [], "handlers": [], "rules": [],
    "children": [], "options": [{}],
}  # fmt: skip
HOOKS = [
    "before_request", "after_request", "teardown_request", "context_processor",
    "url_value_preprocessor", "url_defaults", "before_app_request", "after_app_request",
    "teardown_app_request", "app_context_processor", "app_url_value_preprocessor",
    "app_url_defaults", "answering",
]  # fmt: skip
APP_HOOKS = [hook for hook in HOOKS if "app_" not in hook]
HANDLERS: list[tuple[str, Any]] = [
    (method, what)
    for method in ("errorhandler", "app_errorhandler", "register_error_handler")
    for what in (404, 405, 403, ZeroDivisionError, ArithmeticError, Exception)
]
VALUES = {"m": "w", "filename": "f", "k": 2, "n0": 3, "n1": 4, "n2": 5, "s0": "v", "s1": "w"}
ERRORS: dict[str, Any] = {"divides": ZeroDivisionError, "misses": KeyError}

groups = st.sampled_from(["ungiven", "ungiven", None, "tools"])
defaults = st.sampled_from([None, None, {"n": 3}, {"n": 3, "m": "x"}, {"s0": "s"}])


@st.composite
def rules(draw: st.DrawFn, number: int, flawed: bool, prefixed: bool) -> dict[str, Any]:
    """A rule; without flaws its path is rooted and its view and endpoint are its own."""
    view, endpoint = f"view{number}", f"end{number}"
    paths = ["/", "/x", "/y/", "/<m>", "/z/<int:k>"]
    if flawed or prefixed:
        paths += ["", "x"]
    via = draw(st.sampled_from(["route", "add_url_rule", "get", "endpoint"]))
    methods = draw(st.sampled_from([None, None, ["POST"], ["get", "put"], ["OPTIONS"], []]))
    if flawed:
        view = draw(st.sampled_from([view, "view", "dotted.view"]))
        endpoint = draw(st.sampled_from([endpoint, "one", "dotted.one"]))
    elif via == "get":
        methods = None
    return {
        "rule": draw(st.sampled_from(paths)),
        "endpoint": draw(st.sampled_from([None, None, endpoint])),
        "view_name": view,
        "methods": methods,
        "defaults": draw(st.sampled_from([None, None, None, {"n": 5}, {"m": "y"}])),
        "subdomain": draw(st.sampled_from([None, None, None, "u"])),
        "does": draw(
            st.sampled_from(["tells", "tells", "aborts", "divides", "misses", "renders", "links"])
        ),
        "via": via,
    }


@st.composite
def options(draw: st.DrawFn, name: str, number: int, depth: int, flawed: bool) -> dict[str, Any]:
    """The options of a blueprint's registration; without flaws only its first is nameless."""
    given: dict[str, Any] = {} if number == 0 or flawed else {"name": f"{name}-{number}"}
    for option, values in (
        ("name", [f"{name}-x", "dotted.name", ""] if flawed else [f"{name}-x"]),
        ("url_prefix", [None, "/o", f"/o/<n{depth}>"] + (["", "unrooted"] if flawed else [])),
        ("subdomain", [None, "", "o"]),
        ("url_defaults", [{}, {"n": 4}, {"m": "z"}]),
        ("cli_group", [None, "other"]),
    ):
        if option not in given and draw(st.integers(0, 4)) == 0:
            given[option] = draw(st.sampled_from(values))
    return given


@st.composite
def blueprints(draw: st.DrawFn, number: int, depth: int, flawed: bool) -> dict[str, Any]:
    name = f"{draw(st.sampled_from('abc'))}{number}"
    prefix = draw(st.sampled_from([None, "/p", "/q/", "/", f"/<int:n{depth}>", f"/p/<n{depth}>/"]))
    if flawed:
        name = draw(st.sampled_from([name, "a", "a", "x-y", "a.b", ""]))
        prefix = draw(st.sampled_from([prefix, "", "unrooted", "/<m>"]))
    children = draw(st.integers(0, 2 if depth < 2 else 0))
    return {
        "name": name,
        "url_prefix": prefix,
        "subdomain": draw(st.sampled_from([None, None, None, "s", "t", f"<s{depth}>"])),
        "url_defaults": draw(defaults),
        "static": draw(st.sampled_from([None, None, None, ("static", None), ("s/t/", "/as/")])),
        "cli_group": draw(groups),
        "commands": draw(st.booleans()),
        "hooks": draw(st.lists(st.sampled_from(HOOKS), max_size=4)),
        "handlers": draw(st.lists(st.sampled_from(HANDLERS), max_size=3)),
        "rules": [
            draw(rules(rule, flawed, bool(prefix))) for rule in range(draw(st.integers(0, 3)))
        ],
        "children": [draw(blueprints(child, depth + 1, flawed)) for child in range(children)],
        # It is registered once for each of these.
        "options": [
            draw(options(name, again, depth, flawed)) for again in range(draw(st.integers(1, 2)))
        ],
    }


@st.composite
def apps(draw: st.DrawFn) -> dict[str, Any]:
    # One in four may be wrong in any way; most of those are refused.
    flawed = draw(st.integers(0, 3)) == 3
    own_handlers = [handler for handler in HANDLERS if "app_" not in handler[0]]
    return {
        "hooks": draw(st.lists(st.sampled_from(APP_HOOKS), max_size=3)),
        "handlers": draw(st.lists(st.sampled_from(own_handlers), max_size=2)),
        "rules": [draw(rules(rule, flawed, False)) for rule in range(draw(st.integers(0, 2)))],
        "blueprints": [
            draw(blueprints(number, 0, flawed)) for number in range(draw(st.integers(1, 3)))
        ],
        "subdomain_matching": draw(st.booleans()),
        "late": draw(st.sampled_from([None, "blueprint", "app", "itself"])) if flawed else None,
    }


class Built:
    """An app made by a plan, what it was told, and what its hooks told."""

    def __init__(self, framework: Any, app_class: Any, plan: dict[str, Any]) -> None:
        self.framework = framework
        self.trace: list[str] = []
        self.made: list[Any] = []
        self.app = app_class("tree", static_folder=None)
        self.app.subdomain_matching = plan["subdomain_matching"]
        self.app.config["SERVER_NAME"] = "localhost"
        self.app.logger.disabled = True
        self.app.url_build_error_handlers.append(lambda *_: "no URL")
        self.decorate(self.app, plan, "app")
        for number, blueprint in enumerate(plan["blueprints"]):
            self.nest(self.app, blueprint, str(number))
        self.late(plan["late"])

    def nest(self, parent: Any, plan: dict[str, Any], label: str) -> None:
        blueprint = self.make(plan)
        self.decorate(blueprint, plan, label)
        for number, child in enumerate(plan["children"]):
            self.nest(blueprint, child, f"{label}.{number}")
        for option in plan["options"]:
            parent.register_blueprint(blueprint, **option)

    def make(self, plan: dict[str, Any]) -> Any:
        folder, path = plan["static"] or (None, None)
        group = {} if plan["cli_group"] == "ungiven" else {"cli_group": plan["cli_group"]}
        blueprint = self.framework.Blueprint(
            plan["name"], "tree", folder, path, url_prefix=plan["url_prefix"],
            subdomain=plan["subdomain"], url_defaults=plan["url_defaults"], **group,
        )  # fmt: skip
        self.made.append(blueprint)
        if plan["commands"]:
            blueprint.cli.command(f"command-{len(self.made)}")(lambda: None)
        return blueprint

    def decorate(self, target: Any, plan: dict[str, Any], label: str) -> None:
        for number, kind in enumerate(plan["hooks"]):
            method = "before_request" if kind == "answering" else kind
            getattr(target, method)(self.hook(kind, f"{kind} {number} of {label}"))
        for method, what in plan["handlers"]:
            self.handle(target, method, what, f"{method}({what}) of {label}")
        for rule in plan["rules"]:
            self.route(target, rule, label)
        if target is not self.app:
            word = f"word_{label.replace('.', '_')}"
            target.app_template_filter(word)(lambda text: f"{text} filtered")
            target.add_app_template_test(lambda value: True, word)
            target.app_template_global()(named(lambda: label, word))

    def handle(self, target: Any, method: str, what: Any, label: str) -> None:
        def handler(error: Any) -> Any:
            # What is raised here may be a kind of what is raised there.
            kind = next(c for c in type(error).__mro__ if not c.__module__.startswith("dewar"))
            return f"{kind.__name__} handled by {label}", 418

        if method == "register_error_handler":
            target.register_error_handler(what, handler)
        else:
            getattr(target, method)(what)(handler)

    def hook(self, kind: str, label: str) -> Callable[..., Any]:
        def told(*given: Any) -> Any:
            self.trace.append(label)
            if "after" in kind:
                given[0].headers.add("X-After", label)
                return given[0]
            if "context_processor" in kind:
                return {"word": label, label.split()[0]: label}
            if "url_defaults" in kind:
                given[1].setdefault("n", 8)
            if "url_value" in kind and given[1]:
                given[1].pop("m", None)
            return label if kind == "answering" and "1" in label else None

        return told

    def route(self, target: Any, rule: dict[str, Any], label: str) -> None:
        given = {
            name: rule[name]
            for name in ("defaults", "subdomain", "methods")
            if rule[name] is not None
        }
        view = named(self.view(rule, label), rule["view_name"])
        if rule["via"] == "add_url_rule":
            target.add_url_rule(rule["rule"], rule["endpoint"], view, **given)
        elif rule["via"] == "get":
            target.get(rule["rule"], **given)(view)
        elif rule["via"] == "endpoint":
            target.add_url_rule(rule["rule"], endpoint=rule["endpoint"] or "later", **given)
            target.endpoint(rule["endpoint"] or "later")(view)
        else:
            target.route(rule["rule"], endpoint=rule["endpoint"], **given)(view)

    def view(self, rule: dict[str, Any], label: str) -> Callable[..., Any]:
        framework = self.framework

        def view(**values: Any) -> Any:
            self.trace.append(f"view of {label}")
            if rule["does"] == "aborts":
                framework.abort(403)
            if rule["does"] in ERRORS:
                raise ERRORS[rule["does"]]("as planned")
            if rule["does"] == "renders":
                return framework.render_template_string("{{ word }} {{ word_0 and word_0() }}")
            if rule["does"] == "links":
                return framework.url_for(".view0", n0=1, n1=1, n2=1, k=1)
            request = framework.request
            return repr((request.endpoint, request.blueprint, request.blueprints, values))

        return view

    def late(self, kind: str | None) -> None:
        if kind == "blueprint":
            self.made[-1].route("/late")
        elif kind == "itself":
            self.made[0].register_blueprint(self.made[0])
        elif kind == "app":
            self.app.test_client().get("/nowhere")
            self.app.register_blueprint(self.framework.Blueprint("late", "tree"))


def named(function: Any, name: str) -> Any:
    function.__name__ = name
    return function


def build(framework: Any, app_class: Any, plan: dict[str, Any]) -> Built | Exception:
    try:
        return Built(framework, app_class, plan)
    except Exception as error:
        return error


def registered(built: Built) -> dict[str, Any]:
    app = built.app
    groups = {
        name: sorted(getattr(command, "commands", ())) for name, command in app.cli.commands.items()
    }
    return {
        "rules": [
            (rule.rule, rule.endpoint, sorted(rule.methods), rule.subdomain, rule.defaults)
            for rule in app.url_map.iter_rules()
        ],
        "blueprints": list(app.blueprints),
        "views": sorted(app.view_functions),
        "commands": groups,
        "filters": sorted(name for name in app.jinja_env.filters if name.startswith("word")),
        "tests": sorted(name for name in app.jinja_env.tests if name.startswith("word")),
        "globals": sorted(name for name in app.jinja_env.globals if name.startswith("word")),
        "hooks": {
            table: {name: len(functions) for name, functions in getattr(app, table).items()}
            for table in ("before_request_funcs", "after_request_funcs", "url_default_functions")
        },
    }


def places(built: Built) -> list[tuple[str, str]]:
    """Where to ask: at each rule, with values for its variables, and at none."""
    found = {("", "/nowhere"), ("s", "/p/nowhere")}
    for rule in built.app.url_map.iter_rules():
        path = rule.rule
        path = re.sub(r"<(int:)?[nk]\d?>", "7", path)
        path = path.replace("<m>", "word").replace("<path:filename>", "no.txt")
        # An empty label, of a subdomain "" within another, cannot be asked for.
        labels = re.sub(r"<s\d>", "any", rule.subdomain or "").split(".")
        found.add((".".join(filter(None, labels)), path))
    # Not all of them: a large tree has hundreds.
    return sorted(found)[:: max(1, len(found) // 6)]


def ask(built: Built, place: tuple[str, str], method: str) -> Any:
    subdomain, path = place
    host = f"{subdomain}.localhost" if subdomain else "localhost"
    built.trace.clear()
    client = built.app.test_client()
    with client.open(path, method=method, base_url=f"http://{host}") as response:
        headers = sorted(
            (name, ", ".join(sorted(value.split(", "))) if name == "Allow" else value)
            for name, value in response.headers
        )
        return response.status_code, response.text, headers, list(built.trace)


def links(built: Built, place: tuple[str, str]) -> Any:
    subdomain, path = place
    host = f"{subdomain}.localhost" if subdomain else "localhost"
    found = []
    built.trace.clear()
    with built.app.test_request_context(path, base_url=f"http://{host}"):
        for rule in built.app.url_map.iter_rules():
            # The last: as seen from the blueprint that the request is in.
            for endpoint in (rule.endpoint, f".{rule.endpoint.rpartition('.')[2]}"):
                found.append(built.framework.url_for(endpoint, **VALUES))
                found.append(built.app.url_for(endpoint, _external=True, n0=6, k=6))
    return found, list(built.trace)


@settings(max_examples=120)
@given(apps())
@example(
    {
        "hooks": [], "handlers": [], "rules": [], "subdomain_matching": False, "late": None,
        "blueprints": [
            NOTHING | {
                "rules": [
                    {
                        "rule": "/x", "endpoint": "one", "view_name": "dotted.view",
                        "methods": None, "defaults": None, "subdomain": None, "does": "tells",
                        "via": "add_url_rule",
                    }
                ]
            }
        ],
    }
)  # fmt: skip
def test_a_tree_of_blueprints_means_the_same_as_on_flask(plan: dict[str, Any]) -> None:
    """What is registered, who answers, which hooks run and in which order, and what is refused."""
    ours, theirs = build(dewar, dewar.Dewar, plan), build(flask, flask.Flask, plan)
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert isinstance(ours, type(theirs)), (ours, theirs)
        return
    assert registered(ours) == registered(theirs)
    for place in places(theirs):
        for method in ("GET", "POST", "OPTIONS", "HEAD"):
            assert ask(ours, place, method) == ask(theirs, place, method), (place, method)
    for place in places(theirs)[:3]:
        assert links(ours, place) == links(theirs, place), place


def test_the_plans_of_this_test_are_answered() -> None:
    """Not all of them are refused, and an answer names the hooks that ran."""
    plan = {
        "hooks": ["before_request"], "handlers": [], "rules": [], "late": None,
        "subdomain_matching": False,
        "blueprints": [
            NOTHING | {
                "hooks": ["before_request", "after_app_request"],
                "rules": [
                    {
                        "rule": "/x", "endpoint": None, "view_name": "view", "methods": None,
                        "defaults": None, "subdomain": None, "does": "tells", "via": "route",
                    }
                ],
            }
        ],
    }  # fmt: skip
    built = build(dewar, dewar.Dewar, plan)
    assert isinstance(built, Built)
    status, text, _, trace = ask(built, ("", "/x"), "GET")
    assert (status, text) == (200, "('a.view', 'a', ['a'], {})")
    assert trace == [
        "before_request 0 of app", "before_request 0 of 0", "view of 0", "after_app_request 1 of 0",
    ]  # fmt: skip
    assert ("", "/x") in places(built)
