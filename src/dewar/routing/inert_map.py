"""`inert_map`: a map that routes as another one, without calling any code of the program.

A converter of the program may read a database or the current request, and a redirect may be a
function. Where routing is only a look ahead, without a context and on a thread that must not block,
neither may be called.
"""

from collections.abc import Iterator
from copy import copy

from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.routing.converters import DEFAULT_CONVERTERS
from werkzeug.routing.matcher import State, StateMachineMatcher

from dewar.routing.rules import RouteMap

_STOCK = frozenset(DEFAULT_CONVERTERS.values())


def inert_map(url_map: Map) -> Map | None:
    """Return a map that matches as *url_map*; None if its class may match in another way.

    A converter of the program takes whatever fits its pattern, so a rule that would not match after
    all seems to match.
    """
    if type(url_map) not in (Map, RouteMap):
        return None
    url_map.update()
    if not any(map(_calls_program, url_map.iter_rules())):
        return url_map
    # Not bound again: that would make the converters again, in the program's code. The names are
    # private, and there is no public way to a rule's parts.
    inert = copy(url_map)
    inert._matcher = matcher = StateMachineMatcher(url_map.merge_slashes)  # noqa: SLF001
    # A default redirect and an alias build a URL, with the converters.
    inert.redirect_defaults = False
    for rule in _rules_from(url_map._matcher._root):  # noqa: SLF001
        matcher.add(_inert_rule(rule, inert))
    matcher.update()
    return inert


def _rules_from(state: State) -> Iterator[Rule]:
    """Yield the rules below a state; of those that match the same paths, the first one first.

    `Map.iter_rules` has another order, that of the endpoints.
    """
    yield from state.rules
    for below in (*state.static.values(), *(below for _, below in state.dynamic)):
        yield from _rules_from(below)


def _calls_program(rule: Rule) -> bool:
    return callable(rule.redirect_to) or any(
        type(converter) not in _STOCK
        for converter in rule._converters.values()  # noqa: SLF001  # no public way
    )


def _inert_rule(rule: Rule, inert: Map) -> Rule:
    twin = copy(rule)
    twin.map = inert
    if callable(rule.redirect_to):
        twin.redirect_to = "/"  # that it redirects is what matters
    twin._converters = dict.fromkeys(rule._converters, BaseConverter(inert))  # noqa: SLF001
    return twin
