"""The inert map refuses nothing that the map takes, and calls no code of the program."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.routing.converters import DEFAULT_CONVERTERS

from dewar.routing.inert_map import inert_map
from dewar.routing.rules import RouteMap
from property.test_route_index import METHODS, paths, rule_arguments


class Program:
    """Code of the program; the map itself calls it while rules are added."""

    def __init__(self) -> None:
        self.is_ready = False

    def __call__(self, *_: object) -> Any:
        """Be called."""
        if self.is_ready:
            raise AssertionError("the program was called")
        return "default"

    def converters(self) -> Any:
        """Return the usual converters, as the program's own."""
        for name, kind in DEFAULT_CONVERTERS.items():
            methods = {"to_python": lambda _, value: self(), "to_url": lambda _, value: self()}
            yield name, type(f"Foreign{kind.__name__}", (kind,), methods)


@pytest.fixture
def program() -> Program:
    return Program()


def outcome(url_map: Map, path: str, method: str) -> Any:
    """Return the rule that matches, by its text, or the kind of error."""
    try:
        rule, _ = url_map.bind("x").match(path, method, return_rule=True)
    except HTTPException as error:
        return type(error)
    return rule.rule


@settings(max_examples=100)
@given(
    st.lists(rule_arguments(), max_size=6),
    st.lists(paths, min_size=1, max_size=6),
    st.sampled_from(METHODS),
)
def test_it_refuses_only_what_the_map_refuses(
    rules: list[dict[str, Any]], paths: list[str], method: str
) -> None:
    """For any rules, whose converters all belong to the program; in the same way."""
    program = Program()
    plain, foreign = RouteMap(), RouteMap(converters=dict(program.converters()))
    try:
        for arguments in rules:
            for url_map in (plain, foreign):
                url_map.add(Rule(arguments["rule"], **_without_rule(arguments)))
    except (ValueError, LookupError, TypeError):
        assume(False)
    program.is_ready = True
    inert = inert_map(foreign)
    assert inert is not None
    for path in paths:
        found, expected = outcome(inert, path, method), outcome(plain, path, method)
        if isinstance(expected, str):
            assert found == expected
        elif not isinstance(found, str):
            assert found is expected


def _without_rule(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "rule"}


def test_a_map_without_code_of_the_program_is_used_itself() -> None:
    """It costs nothing then."""
    url_map = RouteMap([Rule("/<int:n>", endpoint="n")])
    assert inert_map(url_map) is url_map


def test_a_map_of_another_class_is_not_looked_into() -> None:
    """It may match in any way."""
    assert inert_map(type("OtherMap", (Map,), {})()) is None


def test_a_function_that_redirects_is_not_called(program: Program) -> None:
    """That it will redirect is known without it."""
    url_map = Map([Rule("/old/<n>", endpoint="old", redirect_to=program)])
    program.is_ready = True
    inert = inert_map(url_map)
    assert inert is not None
    assert outcome(inert, "/old/1", "GET") is RequestRedirect
    assert outcome(inert, "/new", "GET") is NotFound


def test_the_map_itself_does_not_change(program: Program) -> None:
    """Requests still call the program."""
    url_map = Map([Rule("/<int:n>", endpoint="n")], converters=dict(program.converters()))
    program.is_ready = True
    inert = inert_map(url_map)
    assert inert is not None
    assert outcome(inert, "/1", "GET") == "/<int:n>"
    with pytest.raises(AssertionError, match="was called"):
        outcome(url_map, "/1", "GET")
