"""One registration of a blueprint: what it is placed beneath."""

from typing import Any

import pytest

from dewar import Blueprint, Dewar
from dewar.blueprints.setup_state import BlueprintSetupState, full_name, join_paths, options_for


def state_of(options: dict[str, Any], **own: Any) -> BlueprintSetupState:
    blueprint = Blueprint("shop", __name__, **own)
    return BlueprintSetupState(blueprint, Dewar("app", static_folder=None), options, True)


def test_the_registration_s_options_win() -> None:
    """Even an empty text is one; None is none."""
    own = {"url_prefix": "/own", "subdomain": "own", "url_defaults": {"a": 1, "b": 1}}
    state = state_of({}, **own)
    assert (state.url_prefix, state.subdomain, state.url_defaults) == ("/own", "own", own["url_defaults"])  # fmt: skip # noqa: E501
    state = state_of({"url_prefix": "", "subdomain": "", "url_defaults": {"b": 2}}, **own)
    assert (state.url_prefix, state.subdomain, state.url_defaults) == ("", "", {"a": 1, "b": 2})
    state = state_of({"url_prefix": None, "subdomain": None, "name": "other"}, **own)
    assert (state.url_prefix, state.subdomain, state.name) == ("/own", "own", "other")
    assert own["url_defaults"] == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("prefix", "path", "joined"),
    [("/a", "/b", "/a/b"), ("/a/", "/b", "/a/b"), ("/a", "b", "/a/b"), ("/a//", "//b", "/a/b"),
     ("", "/b", "/b"), ("/", "/", "/"), ("/a", "/", "/a/")],
)  # fmt: skip
def test_paths_are_joined_by_one_slash(prefix: str, path: str, joined: str) -> None:
    """However many there were."""
    assert join_paths(prefix, path) == joined


def test_a_rule_takes_the_state_s_values() -> None:
    """Prefix, name, subdomain and defaults; the rule's own subdomain and defaults win."""
    state = state_of({"name_prefix": "parent"}, url_prefix="/p", subdomain="s", url_defaults={"a": 1, "b": 1})  # fmt: skip # noqa: E501
    state.add_url_rule("/x", "x", str)
    state.add_url_rule("", view_func=repr, subdomain="own", defaults={"b": 2})
    rules = [
        (rule.rule, rule.endpoint, rule.subdomain, rule.defaults)
        for rule in state.app.url_map.iter_rules()
    ]
    assert full_name(state) == "parent.shop"
    assert rules == [
        ("/p/x", "parent.shop.x", "s", {"a": 1, "b": 1}),
        ("/p", "parent.shop.repr", "own", {"a": 1, "b": 2}),
    ]
    with pytest.raises(AssertionError, match="needs an endpoint or a view"):
        state.add_url_rule("/y")


def test_a_nested_blueprint_is_placed_beneath() -> None:
    """Its prefix goes after the parent's, its subdomain before."""
    state = state_of({"name": "outer"}, url_prefix="/out/", subdomain="out")
    child = Blueprint("child", __name__, url_prefix="/in", subdomain="in")
    given = {"cli_group": "x"}
    assert options_for(child, state, given) == {
        "cli_group": "x", "url_prefix": "/out/in", "subdomain": "in.out", "name_prefix": "outer",
    }  # fmt: skip
    assert given == {"cli_group": "x"}
    assert options_for(child, state, {"url_prefix": "/y", "subdomain": "z"})["subdomain"] == "z.out"
    bare = Blueprint("bare", __name__)
    assert options_for(bare, state, {})["url_prefix"] == "/out/"
    assert options_for(bare, state, {})["subdomain"] == "out"
    assert options_for(child, state_of({}), {})["url_prefix"] == "/in"
    assert options_for(bare, state_of({}), {})["subdomain"] is None
