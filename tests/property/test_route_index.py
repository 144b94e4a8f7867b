"""The route index gives Werkzeug's answer or none at all."""

import sys
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import BaseConverter, Map, MapAdapter, Rule
from werkzeug.test import EnvironBuilder

from dewar.routing.index import RouteIndex

SEGMENTS = ["a", "b", "user", "1", "42", "", "a-b", "x.y"]
ODD_SEGMENTS = ["", "é", "%C3%A9", "a|b", "a b", ".", "..", "*"]
VARIABLES = [
    "<v{}>", "<int:v{}>", "<float:v{}>", "<path:v{}>", "<uuid:v{}>", "<any(a, b):v{}>",
    "<int(min=5):v{}>", "<int(fixed_digits=2):v{}>", "<int(signed=True):v{}>",
    "<string(length=1):v{}>", "<string(minlength=2):v{}>", "pre-<v{}>", "<v{}>.x", "<own:v{}>",
    "<digits:v{}>",
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "OPTIONS"]


class Own(BaseConverter):
    """Runs code of the program, which may raise anything."""

    def to_python(self, value: str) -> str:
        """Return the text in capitals, where the map asks for it."""
        assert sys._getframe(1).f_globals["__name__"].startswith("werkzeug.")
        return value.upper()


class Digits(BaseConverter):
    """Has an expression of its own only."""

    regex = r"\d+"


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    parts = draw(
        st.lists(st.sampled_from(SEGMENTS[:5] + ODD_SEGMENTS + VARIABLES), min_size=0, max_size=4)
    )
    numbered = [part.format(number) for number, part in enumerate(parts)]
    return "/" + "/".join(numbered) + draw(st.sampled_from(["", "/"])) * bool(numbered)


@st.composite
def rule_arguments(draw: st.DrawFn) -> dict[str, Any]:
    arguments: dict[str, Any] = {"rule": draw(rule_texts())}
    arguments["endpoint"] = draw(st.sampled_from(["e1", "e2", "e3", "e4"]))
    if draw(st.booleans()):
        arguments["methods"] = draw(st.lists(st.sampled_from(METHODS), min_size=1, unique=True))
    odd = draw(st.integers(0, 19))
    if odd == 0:
        arguments["strict_slashes"] = False
    elif odd == 1:
        arguments["merge_slashes"] = False
    elif odd == 2:
        arguments["defaults"] = {"extra": 1}
    elif odd == 3:
        arguments["defaults"] = {"v0": 1}
    elif odd == 4:
        arguments["redirect_to"] = "/elsewhere"
    elif odd == 5:
        arguments["alias"] = True
    elif odd == 6:
        arguments["build_only"] = True
    elif odd in {7, 9, 10, 11}:
        arguments["websocket"] = True
        arguments.pop("methods", None)
    elif odd == 8:
        arguments["subdomain"] = "sub"
    return arguments


# As an environ has them: "Ã©" is the UTF-8 of "é", which alone is not UTF-8.
SENT = [
    *SEGMENTS, *ODD_SEGMENTS, "7", "007", "-3", "1.5", "Ã©", "aa", "pre-z", "q.x", "%2F", "\0",
    "\n",
]  # fmt: skip
paths = st.builds(
    lambda beginning, parts: beginning + "/".join(parts),
    st.sampled_from(["/", "/", "/", "", "//"]),
    st.lists(st.sampled_from(SENT), max_size=5),
)
HOSTS = [
    "localhost", "", "x.org:8080", "[::1]:80", "a_b", "user@x.org", "x.org:99999", "a..org", ".org",
    "a" * 64, "bücher.example", "x\u00ad.org", "x.org.", "a b",
]  # fmt: skip
UPGRADES = [
    {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"},
    {"HTTP_UPGRADE": "WebSocket", "HTTP_CONNECTION": "keep-alive, upgrade"},
    {"HTTP_UPGRADE": "websocket"},
    {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "close"},
    {"HTTP_UPGRADE": "h2c", "HTTP_CONNECTION": "Upgrade"},
]
upgrades = st.sampled_from([{}] * 5 + UPGRADES)
# None: a request of HTTP/1.0 has no Host.
hosts = st.sampled_from(["localhost"] * 9 + [*HOSTS, None])


def environ_for(path: str, method: str, **more: Any) -> dict[str, Any]:
    environ = EnvironBuilder(method=method).get_environ()
    environ["PATH_INFO"] = path
    environ.update(more)
    return {key: value for key, value in environ.items() if value is not None}


def what_is(error: HTTPException | None) -> Any:
    """Return the class of an error, and the methods that it names, in their order."""
    return type(error), getattr(error, "valid_methods", None)


def answer_of(adapter: MapAdapter) -> Any:
    """Return the map's rule and values, or what its error is."""
    try:
        rule, values = adapter.match(return_rule=True)
    except HTTPException as error:
        return what_is(error)
    return rule, dict(values)


def known(
    rules: list[dict[str, Any]],
    paths: list[str],
    host: str | None = "localhost",
    server: str = "localhost",
) -> Any:
    """Return an example of a GET request with slashes merged."""
    return example(rules, paths, "GET", True, host, server, {})


@settings(max_examples=600)
@given(
    st.lists(rule_arguments(), max_size=6),
    st.lists(paths, min_size=1, max_size=6),
    st.sampled_from([*METHODS, "HEAD", "get"]),
    st.booleans(),
    hosts,
    hosts,
    upgrades,
)
@known([{"rule": "/a/", "endpoint": "e"}, {"rule": "/<v>", "endpoint": "f"}], ["/a"])
@known(
    [
        {"rule": "/a/<v>", "endpoint": "e", "methods": ["POST"]},
        {"rule": "/<w>/b", "endpoint": "f"},
    ],
    ["/a/b"],
)
@known(
    [{"rule": "/<int:p>", "endpoint": "e"}, {"rule": "/", "endpoint": "e", "defaults": {"p": 1}}],
    ["/1", "/2"],
)
@known([{"rule": "/<v>", "endpoint": "e"}], ["x/a", "//a", "a"])
@known([{"rule": "//a", "endpoint": "e"}, {"rule": "/a//b", "endpoint": "f"}], ["//a", "/a//b"])
@known([{"rule": "/é", "endpoint": "e"}], ["/é"])
@known([{"rule": "/a", "endpoint": "e"}], ["/a"], host=None, server="a..org")
def test_the_index_answers_as_the_map_does_or_not_at_all(
    rules: list[dict[str, Any]],
    paths: list[str],
    method: str,
    merge_slashes: bool,
    host: str | None,
    server: str | None,
    upgrade: dict[str, str],
) -> None:
    """For any rules, path, method and host.

    That is the map's rule and values, its error, or None to ask the map.
    """
    url_map = Map(merge_slashes=merge_slashes, converters={"own": Own, "digits": Digits})
    try:
        for arguments in rules:
            arguments = dict(arguments)
            rule = arguments.pop("rule")
            url_map.add(Rule(rule, **arguments))
    except (ValueError, LookupError, TypeError):
        assume(False)
    index = RouteIndex(url_map)
    for path in paths:
        environ = environ_for(path, method, HTTP_HOST=host, SERVER_NAME=server, **upgrade)
        found = index.match(environ)
        refusal = index.refuse(environ) if found is None else None
        if found is None and refusal is None:
            continue
        adapter = url_map.bind_to_environ(environ, subdomain="")
        assert (found or what_is(refusal)) == answer_of(adapter), path


def test_the_index_does_answer_the_common_cases() -> None:
    """Static paths and simple variables never reach the map."""
    url_map = Map(
        [
            Rule("/", endpoint="home", methods=["GET"]),
            Rule("/about/", endpoint="about", methods=["GET"]),
            Rule("/user/<int:id>", endpoint="user", methods=["GET"]),
            Rule("/user/<int:id>", endpoint="change", methods=["PUT"]),
            Rule("/user/<int:id>/post/<slug>", endpoint="post", methods=["GET"]),
            # As blueprints register theirs.
            Rule("/user/me", endpoint="me", methods=["GET"], defaults={}),
            Rule("/files/<path:name>", endpoint="file", methods=["GET"]),
            Rule("/user/<slug>", endpoint="chat", methods=["GET"], websocket=True),
        ]
    )
    index = RouteIndex(url_map)

    def answer(path: str, method: str = "GET", **more: str) -> Any:
        found = index.match(environ_for(path, method, **more))
        return found and (found[0].endpoint, found[1])

    assert answer("/") == ("home", {})
    assert answer("/", "HEAD") == ("home", {})
    assert answer("/about/") == ("about", {})
    assert answer("/user/7") == ("user", {"id": 7})
    assert answer("/user/7", "PUT") == ("change", {"id": 7})
    assert answer("/user/7/post/hello") == ("post", {"id": 7, "slug": "hello"})
    assert answer("/user/me") == ("me", {})
    # These are the map's: a redirect, another method, a path, nothing, another upgrade.
    assert answer("/about") is None
    assert answer("/", "POST") is None
    assert answer("/files/a/b") is None
    assert answer("/nowhere") is None
    for upgrade in UPGRADES[:2]:
        assert answer("/user/7", **upgrade) == ("chat", {"slug": "7"})
        assert answer("/", **upgrade) is None
    for upgrade in UPGRADES[2:]:
        assert answer("/user/7", **upgrade) is None
    # So is a host that the map refuses.
    for host in ("a..org", ".org", "a" * 64):
        assert index.match(environ_for("/", "GET", HTTP_HOST=host)) is None


def test_the_index_does_refuse_the_common_cases() -> None:
    """What no rule matches, and what only rules for other methods match, never reach the map."""
    rules = [
        Rule("/", endpoint="home", methods=["GET"]),
        Rule("/about/", endpoint="about", methods=["GET"]),
        Rule("/user/<int:id>", endpoint="user", methods=["GET"]),
        Rule("/user/<int:id>", endpoint="change", methods=["PUT"]),
        Rule("/files/<path:name>", endpoint="file", methods=["GET"]),
        Rule("/loose", endpoint="loose", methods=["GET"], strict_slashes=False),
    ]
    index = RouteIndex(Map([rule.empty() for rule in rules]))

    def refused(path: str, method: str = "GET", index: RouteIndex = index, **more: str) -> Any:
        environ = environ_for(path, method, **more)
        assert index.match(environ) is None
        return index.refuse(environ)

    for path in ("/nowhere", "/about/more", "/user", "/user/x", "/user/7/more", "/wp-login.php"):
        assert type(refused(path)) is NotFound, path
    assert {*refused("/", "POST").valid_methods} == {"GET", "HEAD"}
    assert {*refused("/user/7", "POST").valid_methods} == {"GET", "HEAD", "PUT"}
    # These are the map's: redirects, a path that spans segments, a slash too many, odd text.
    for path in ("/about", "//nowhere", "nowhere", "/files/", "/loose/", "/é", "/user/7/"):
        assert refused(path) is None, path
    assert refused("/nowhere", "get") is None
    assert refused("/nowhere", **UPGRADES[0]) is None
    assert refused("/nowhere", HTTP_HOST="a..org") is None
    # And all where there are rules of WebSockets or of other hosts.
    for other in (Rule("/chat", websocket=True), Rule("/", subdomain="<name>")):
        other.endpoint = "other"
        assert refused("/nowhere", index=RouteIndex(Map([other, *rules]))) is None
        rules = [rule.empty() for rule in rules]


def test_host_matching_leaves_everything_to_the_map() -> None:
    """An index without answers is always right."""
    url_map = Map([Rule("/", endpoint="e", host="x.org")], host_matching=True)
    assert RouteIndex(url_map).match(environ_for("/", "GET")) is None
    assert RouteIndex(None).match(environ_for("/", "GET")) is None
