"""An unknown name gets a hint at the nearest known one."""

from dewar.support.near_match import did_you_mean, maybe_near


def test_a_near_name_is_found() -> None:
    """A swapped letter still finds the name."""
    assert maybe_near("thraeds", ["threads", "processes"]) == "threads"
    assert did_you_mean("thraeds", ["threads"]) == " Did you mean 'threads'?"


def test_a_far_name_has_no_hint() -> None:
    """Nothing is better than a wrong hint."""
    assert maybe_near("colour", ["threads"]) is None
    assert did_you_mean("colour", iter(["threads"])) == ""
    assert maybe_near("thraeds", ["threads"], cutoff=0.99) is None
