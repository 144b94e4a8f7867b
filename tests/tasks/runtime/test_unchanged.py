"""For how long values have not changed."""

from dewar.tasks.runtime.unchanged import UnchangedValues


def test_a_value_counts_from_when_it_was_first_seen() -> None:
    """A new one begins at zero, and so does one that went and came back."""
    now = [100.0]
    values = UnchangedValues(lambda: now[0], longest_pause=15.0)
    assert values.look({"a": 1.0, "b": 1.0}) == {"a": 0.0, "b": 0.0}
    now[0] = 110.0
    assert values.look({"a": 1.0, "b": 2.0}) == {"a": 10.0, "b": 0.0}
    now[0] = 120.0
    assert values.look({"b": 2.0}) == {"b": 10.0}
    now[0] = 130.0
    assert values.look({"a": 1.0, "b": 2.0}) == {"a": 0.0, "b": 20.0}


def test_after_a_pause_it_begins_again() -> None:
    """Who did not look does not know what was."""
    now = [100.0]
    values = UnchangedValues(lambda: now[0], longest_pause=15.0)
    values.look({"a": 1.0})
    now[0] = 200.0
    assert values.look({"a": 1.0}) == {"a": 0.0}
    now[0] = 215.0
    assert values.look({"a": 1.0}) == {"a": 15.0}
