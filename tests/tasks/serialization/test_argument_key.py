"""The keys of unique jobs."""

import inspect
import json
import os
import subprocess
import sys
from collections import Counter, OrderedDict
from typing import Any

import pytest

from dewar.tasks.errors import TaskSetupError, Unserializable
from dewar.tasks.serialization.argument_key import argument_key, given_key


def resize(path: Any, width: int = 640, *rest: Any, crop: bool = False, **more: Any) -> None:
    """Have parameters of each kind."""


def key(*args: Any, **kwargs: Any) -> str:
    return argument_key(inspect.signature(resize), args, kwargs, json.dumps)


def test_each_way_to_write_a_call_has_one_key() -> None:
    """Names and defaults make no difference, nor does the order of what has none."""
    assert key("a") == key("a", 640) == key(path="a") == key(width=640, path="a", crop=False)
    assert key("a", x=1, y=2) == key("a", y=2, x=1)
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert key({1: "a", 2: "b"}) == key({2: "b", 1: "a"})
    assert key({"a", "b", "c"}) == key({"c", "b", "a"})
    assert key(Counter("ab")) == key(Counter("ba"))


def test_different_calls_have_different_keys() -> None:
    """Also those whose arguments are only equal, as 1 and True are."""
    calls: list[tuple[Any, ...]] = [
        ("a",), ("b",), ("a", 641), ("a", 640, 1), (["a"],), (("a",),), ({"a"},), ("1",), (1,),
        (True,), (1.0,), (None,), (b"a",), ([1, 2],), ([2, 1],),
        (OrderedDict(a=1, b=2),), (OrderedDict(b=2, a=1),),
    ]  # fmt: skip
    assert len({key(*call) for call in calls}) == len(calls)


def test_a_key_is_the_same_in_each_process() -> None:
    """Though the order of a set is not."""
    code = (
        "import inspect, json\n"
        "from dewar.tasks.serialization.argument_key import argument_key\n"
        "def run(names): pass\n"
        "names = {f'name {n}' for n in range(50)}\n"
        "print(argument_key(inspect.signature(run), (names,), {}, json.dumps))"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


def test_an_argument_without_a_form_is_named() -> None:
    """As when the job is submitted."""
    with pytest.raises(Unserializable, match=r"arguments\.args\[0\]"):
        key(object())


def test_a_given_key_is_text() -> None:
    """Short ones stay as they are; long and unusual ones are hashed, and stay different."""
    assert given_key(None) is None
    assert (given_key("user/7"), given_key(7)) == ("user/7", "7")
    unusual = ["x" * 201, "x" * 202, "ä", "\0", "a\0", "\ud800", "a\nb"]
    keys = {given_key(one) for one in unusual}
    assert len(keys) == len(unusual)
    assert all(one is not None and one.startswith("sha256:") for one in keys)


@pytest.mark.parametrize("wrong", [1.5, True, b"a", ("a",), object()])
def test_what_can_be_no_key_is_refused(wrong: object) -> None:
    """Its text might differ from process to process."""
    with pytest.raises(TaskSetupError, match="unique_key="):
        given_key(wrong)
