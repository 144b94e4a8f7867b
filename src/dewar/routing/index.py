"""`RouteIndex`: the fast lane over Werkzeug's `Map`.

The index answers only what it is sure of and leaves everything else to the map, which stays the
public contract. It is sure where the map's own search (static parts first, then variables, depth
first) could not come to another answer:

- the path is plain ASCII after one slash, and the host could be one;
- no other upgrade is asked for than to a WebSocket;
- at no point of the way two different variables compete;
- the rule that matches needs no redirect, alias, default or host;
- its converters are Werkzeug's. A converter of the program may look at the context, block, or
  raise any error, and it is called once for a request: by the map.

A property test holds the two equal on random rules, methods and paths.
"""

from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

from dewar.routing.refusals import find_refusal
from dewar.routing.segment_tree import Match, SegmentTree

_LONGEST_LABEL = 63  # RFC 1035 §2.3.4


class RouteIndex:
    """Answers most requests without a search through Werkzeug's map.

    Args:
        url_map: The map to index; None makes an index that never answers.
        for_websockets: Whether the rules of WebSockets are indexed, and no others. For a request
            of one kind, the map passes over the rules of the other kind.
    """

    __slots__ = ("_good_host", "_has_all", "_merges", "_quick", "_tree", "_websockets")

    def __init__(self, url_map: Map | None = None, for_websockets: bool = False) -> None:
        # Several threads may set it: any good host will do.
        self._good_host = ""
        self._tree = SegmentTree()
        self._quick = self._tree.quick
        self._websockets: RouteIndex | None = None
        # Whether the map has no rule that may match and is not here.
        self._has_all = self._merges = False
        if url_map is None or url_map.host_matching:
            return
        rules = list(url_map.iter_rules())
        if any("//" in rule.rule for rule in rules):
            return  # whether it matches as it is written depends on `merge_slashes`
        redirecting = {rule.endpoint for rule in rules if rule.defaults}
        for rule in rules:
            is_wanted = rule.websocket == for_websockets and not rule.build_only
            if is_wanted and rule.subdomain == url_map.default_subdomain:
                self._tree.add(rule, rule.endpoint not in redirecting)
        if not for_websockets and any(rule.websocket for rule in rules):
            self._websockets = RouteIndex(url_map, for_websockets=True)
        self._merges = url_map.merge_slashes
        self._has_all = all(
            rule.build_only or (not rule.websocket and rule.subdomain == url_map.default_subdomain)
            for rule in rules
        )
        self._tree.complete()

    def match(self, environ: WSGIEnvironment) -> Match | None:
        """Return the rule and its values, or None if the map has to decide."""
        if "HTTP_UPGRADE" in environ:
            return self._match_upgrade(environ)
        path = environ.get("PATH_INFO", "")
        # As Werkzeug takes it: HTTP/1.0 has no Host, and the server's name stands for it.
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        # PERF: the last good host is most often this one too.
        if host != self._good_host:
            # The map refuses a host with an empty label or a long one, as no DNS name can be.
            if len(host) > _LONGEST_LABEL or ".." in f".{host}" or not host.isascii():
                return None
            self._good_host = host
        method = environ["REQUEST_METHOD"]
        quick = self._quick.get(method)
        if quick is None:
            return self._tree.search(path, method)
        rule = quick[0].get(path)
        if rule is not None:
            return rule, {}
        prefix, _, last = path.rpartition("/")
        found = quick[1].get(prefix)
        if found is None or not last.isascii():
            return self._tree.search(path, method)
        matches, others, rule, name, convert = found
        if not last or last in others or not matches(last):
            return self._tree.search(path, method)
        try:
            return rule, {name: last if convert is None else convert(last)}
        except ValueError:
            return None  # a number of too many digits, for instance

    def refuse(self, environ: WSGIEnvironment) -> HTTPException | None:
        """Return the error that the map raises, or None if that has to decide.

        Call it after `match` has found nothing.
        """
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        if (
            not self._has_all
            or "HTTP_UPGRADE" in environ
            or host != self._good_host
            # A path without its slash, or with two, may be redirected.
            or path[:1] != "/"
            or "//" in path
            or not (path.isascii() and method.isupper())
        ):
            return None
        return find_refusal(self._tree.root, path, method, self._merges)

    def _match_upgrade(self, environ: WSGIEnvironment) -> Match | None:
        if self._websockets is None or not _asks_for_websocket(environ):
            return None
        plain = environ.copy()
        del plain["HTTP_UPGRADE"]
        return self._websockets.match(plain)


def _asks_for_websocket(environ: WSGIEnvironment) -> bool:
    """Whether the map takes a request for one of a WebSocket."""
    options = environ.get("HTTP_CONNECTION", "").lower().split(",")
    return (
        any(option.strip() == "upgrade" for option in options)
        and environ["HTTP_UPGRADE"].lower() == "websocket"
    )
