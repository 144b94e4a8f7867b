"""`script_name`: how a path is split."""

from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.errors import SettingsError
from dewar.server.proxies.script_name import ScriptName


def split(path: str, target: str, script: str = "") -> tuple[str, str]:
    raw = target.partition("?")[0]
    decoded = "*" if raw == "*" else unquote(raw.removeprefix("http://x"), "latin-1")
    environ: dict[str, Any] = {
        "SCRIPT_NAME": script, "PATH_INFO": decoded, "REQUEST_URI": target
    }  # fmt: skip
    ScriptName(path).apply(environ)
    return environ["SCRIPT_NAME"], environ["PATH_INFO"]


@pytest.mark.parametrize(
    ("path", "target", "script_name", "path_info"),
    [
        ("/shop", "/shop", "/shop", ""),
        ("/shop", "/shop/", "/shop", "/"),
        ("/shop", "/shop/cart?x=%2f", "/shop", "/cart"),
        ("/shop", "http://x/shop/cart", "/shop", "/cart"),
        ("/shop", "http://x/%73hop/cart", "/shop", "/cart"),
        ("/shop", "/shop//x", "/shop", "//x"),
        ("/shop", "/shop%20x", "/shop", "/shop x"),
        ("/a/b", "/a/b/c", "/a/b", "/c"),
        ("/a/b", "/a/%62/c%2Fd", "/a/b", "/c/d"),
        ("/sh\xf6p", "/sh%C3%B6p/x", "/sh\xc3\xb6p", "/x"),
        # What is not below it is left alone.
        ("/shop", "/", "/shop", "/"),
        ("/shop", "/shopping", "/shop", "/shopping"),
        ("/shop", "/cart/shop", "/shop", "/cart/shop"),
        ("/shop", "//shop/x", "/shop", "//shop/x"),
        ("/shop", "*", "/shop", "*"),
        # An escaped slash parts nothing.
        ("/shop", "/shop%2Fadmin", "/shop", "/shop/admin"),
        ("/shop", "%2Fshop/admin", "/shop", "/shop/admin"),
        ("/a/b", "/a%2Fb/c", "/shop", "/a/b/c"),
    ],
)
def test_paths_are_split_by_whole_segments(
    path: str, target: str, script_name: str, path_info: str
) -> None:
    """SCRIPT_NAME is the mount in any case."""
    expected = path if path == "/a/b" else script_name
    assert split(path, target) == (expected, path_info)


def test_what_a_proxy_has_cut_off_stands_before_it() -> None:
    """The proxy's prefix is the outer one, unless the mount is what it has cut off."""
    assert split("/shop", "/shop/x", script="/store") == ("/store/shop", "/x")
    assert split("/shop", "/x", script="/shop") == ("/shop", "/x")


@given(st.lists(st.text("ab/% \xe9", max_size=6), max_size=4))
def test_nothing_is_lost(segments: list[str]) -> None:
    """The two parts are the decoded path, whatever is escaped in it."""
    target = "/" + "/".join(quote(segment, safe="", encoding="latin-1") for segment in segments)
    script_name, path_info = split("/a", target)
    whole = unquote(target, "latin-1")
    assert whole in (script_name + path_info, path_info)
    assert (script_name + path_info == whole) == (segments[:1] == ["a"])


@pytest.mark.parametrize(
    "path",
    ["shop", "/", "/shop/", "//shop", "/a//b", "/a/../b", "/./a", "/a b", "/a?b", "/%61", "/\0"],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    """With one that is."""
    with pytest.raises(SettingsError, match='script_name="/shop"'):
        ScriptName(path)
