"""Static files, templates and sent files: Flask's answers, and no file that Flask keeps."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dewar

FILES = [
    "secret.txt", "app/app.py", "app/.env", "app/static/a.css", "app/static/.hidden",
    "app/static/in/b.js", "app/static/in/.git/config", "app/static/with space.txt",
    "app/static/é.txt", "app/static/a\\b", "app/static/c:x", "app/templates/page.html",
    "app/shop/static/a.css", "app/shop/templates/page.html", "app/.dots/a.css", "static/a.css",
]  # fmt: skip
LINKS = {
    "app/static/out": "secret.txt", "app/static/outside": "", "app/static/same.css": "a.css",
    "app/linked": "app/static", "app/static/broken": "nowhere", "app/static/loop": "app/static",
}  # fmt: skip
FOLDERS: list[Any] = [
    "static", "static/", "/", ".", "", "..", "../app", "static/in", "linked", ".dots", "no",
    "{base}/app/static", "{base}", "app.py", Path("static"), Path(),
]  # fmt: skip
SEGMENTS = [
    "a.css", "app.py", "secret.txt", "in", "b.js", ".hidden", ".env", ".git", "config", "out",
    "outside", "loop", "linked", "broken", "same.css", "static", "shop", "app", "..", ".", "",
    "%2e%2e", "..%2f", "%2f", "%5c", "a%5Cb", "..%5c", "c:x", "C:", "%00", "a.css%00",
    "with%20space.txt", "%C3%A9.txt", "%ff", "~", "NUL",
    "aux.txt", "a.css ", "a.css/", "*", "{base}",
]  # fmt: skip
URL_PATHS = [None, "", "/", "/files", "/files/", "files", "/./x", "/a//b", "/.."]

places = st.lists(st.sampled_from(SEGMENTS), max_size=4).map("/".join)

#: The whole file system, for who takes the slash for a folder.
SLASH: dict[str, Any] = {"static_folder": "/", "static_url_path": None, "template_folder": None}
SLASHES = {
    "app": SLASH, "outer": SLASH | {"url_prefix": "/outer"}, "inner": SLASH | {"url_prefix": None},
    "host": None,
}  # fmt: skip


@st.composite
def apps(draw: st.DrawFn) -> dict[str, Any]:
    """An app and a blueprint, with a nested one, each with its folders."""

    def folders() -> dict[str, Any]:
        return {
            "static_folder": draw(st.sampled_from([None, *FOLDERS])),
            "static_url_path": draw(st.sampled_from(URL_PATHS)),
            "template_folder": draw(st.sampled_from([None, "templates", ".", "../templates", ""])),
        }

    return {
        "app": folders(),
        "outer": folders() | {"url_prefix": draw(st.sampled_from([None, "/outer", "/"]))},
        "inner": folders() | {"url_prefix": draw(st.sampled_from([None, "/inner"]))},
        "host": draw(st.sampled_from([None, None, "localhost", "static.example"])),
    }


def make_tree(base: Path, has_links: bool = True) -> None:
    for name in FILES:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    for name, target in LINKS.items() if has_links else ():
        (base / name).symlink_to(target if name.endswith(".css") else base / target)


def filled(folders: dict[str, Any], base: Path) -> dict[str, Any]:
    folder = folders["static_folder"]
    return folders | {
        "static_folder": folder.format(base=base) if isinstance(folder, str) else folder
    }


def build(framework: Any, app_class: Any, plan: dict[str, Any], base: Path) -> Any:
    host = {"host_matching": True, "static_host": plan["host"]} if plan["host"] else {}
    try:
        app = app_class("served", root_path=f"{base}/app", **filled(plan["app"], base), **host)
        outer, inner = (
            framework.Blueprint(
                name, "served", root_path=f"{base}/app/shop", **filled(plan[name], base)
            )
            for name in ("outer", "inner")
        )
        outer.register_blueprint(inner)
        app.register_blueprint(outer)
    except Exception as error:
        return kind_of(error)
    app.logger.disabled = True
    app.add_url_rule("/send/<path:name>", "send", sender(framework, base))
    app.add_url_rule("/page/<path:name>", "page", lambda name: framework.render_template(name))
    return app


def sender(framework: Any, base: Path) -> Callable[[str], Any]:
    return lambda name: framework.send_from_directory("static", name)


def kind_of(error: Exception) -> type[BaseException]:
    """Return the first class of an error that is not one of the frameworks' own."""
    return next(
        kind
        for kind in type(error).__mro__
        if kind.__module__.split(".")[0] not in {"dewar", "flask"}
    )


def ask(app: Any, target: str) -> Any:
    try:
        answer = app.test_client().get(f"http://localhost{target}")
    except UnicodeError:
        return 0, b"", {}  # Werkzeug takes what follows two slashes for a host; not each is one
    with answer as response:
        fields = {name: response.headers.get(name) for name in ("Content-Type", "Location", "ETag")}
        return response.status_code, response.data, fields


@settings(max_examples=150)
@given(apps(), st.lists(places, min_size=1, max_size=8))
@example(SLASHES, ["{base}/secret.txt", "app.py"])
def test_files_are_served_where_flask_serves_them(plan: dict[str, Any], asked: list[str]) -> None:
    """And no others: through links as in Flask, hidden ones too, and never through ".." or NUL."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        make_tree(base)
        ours = build(dewar, dewar.Dewar, plan, base)
        theirs = build(flask, flask.Flask, plan, base)
        if isinstance(theirs, type):
            assert ours is theirs
            return
        rules = [
            sorted((rule.rule, rule.endpoint, rule.host) for rule in app.url_map.iter_rules())
            for app in (ours, theirs)
        ]
        assert rules[0] == rules[1]
        starts = {rule.rule.partition("<")[0] for rule in ours.url_map.iter_rules()}
        for start in sorted(starts | {"/"}):
            for place in asked:
                target = f"{start}{place.format(base=str(base)[1:])}"
                assert ask(ours, target) == ask(theirs, target), target


@settings(max_examples=100)
@given(apps(), st.lists(places, min_size=1, max_size=8))
@example(SLASHES, ["{base}/secret.txt", "app.py"])
def test_what_is_served_is_in_a_folder_that_was_given(
    plan: dict[str, Any], asked: list[str]
) -> None:
    """Whatever is asked for, if no link leads out of it."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        make_tree(base, has_links=False)
        app = build(dewar, dewar.Dewar, plan, base)
        if isinstance(app, type):
            return
        allowed = [f"{base}/app/static"]
        for name, root in (("app", "app"), ("outer", "app/shop"), ("inner", "app/shop")):
            given = filled(plan[name], base)["static_folder"]
            if given is not None:
                # The slashes at its end are no part of it, so "/" is the root path itself.
                allowed.append(str(Path(base, root, str(given).rstrip("/")).resolve()))
        for rule in app.url_map.iter_rules():
            start = rule.rule.partition("<")[0]
            for place in [] if rule.endpoint == "page" else asked:
                status, data, _ = ask(app, f"{start}{place.format(base=str(base)[1:])}")
                if status == 200:
                    served = f"{base}/{data.decode().removeprefix('content of ')}"
                    assert any(served.startswith(f"{folder}/") for folder in allowed), served
