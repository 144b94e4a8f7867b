"""Programs that have random names on their objects and classes get Flask's answers."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from programnames import (
    CLASSES,
    DEWAR,
    FLASK,
    TAKEN,
    Program,
    comparable,
    flask_names,
    is_free,
    vocabulary,
)

#: Objects that cannot be given a name.
ONLY_CLASSES = {"serializer", "view"}
identifiers = st.from_regex(r"_?[a-z][a-z_]{0,11}", fullmatch=True)
names = st.sampled_from(vocabulary()) | identifiers
values: st.SearchStrategy[Any] = st.sampled_from(
    [TAKEN, None, True, 7, "text", {"a": 1}, [], print, TypeError, lambda *_, **__: "called"]
)
class_values = values | st.sampled_from([property(lambda _: "computed"), staticmethod(max)])


@st.composite
def named(draw: st.DrawFn, of_class: bool) -> dict[str, dict[str, Any]]:
    """Return names and their values for some kinds of objects, without those that Flask has."""
    kinds = st.sampled_from([k for k in CLASSES if of_class or k not in ONLY_CLASSES])
    given_values = class_values if of_class else values
    drawn = draw(
        st.dictionaries(kinds, st.dictionaries(names, given_values, max_size=6), max_size=5)
    )
    return {
        kind: {
            name: value
            for name, value in own.items()
            if is_free(name) and name not in flask_names()[kind]
        }
        for kind, own in drawn.items()
    }


@settings(max_examples=40)
@given(named(of_class=True), named(of_class=False), st.booleans(), st.booleans())
def test_programs_with_random_names_answer_as_on_flask(
    of_classes: dict[str, Any], of_instances: dict[str, Any], is_async: bool, overrides: bool
) -> None:
    """By every way to an answer."""
    # A property of a class cannot be set on its object.
    of_instances = {
        kind: {n: v for n, v in own.items() if n not in of_classes.get(kind, {})}
        for kind, own in of_instances.items()
    }
    wanted = comparable(Program(FLASK, of_classes, of_instances).answers())
    program = Program(DEWAR, of_classes, of_instances, is_async=is_async, overrides=overrides)
    assert comparable(program.answers()) == wanted
