"""The requests in one process, and the applications that answer them."""

import pytest
from bench.apps.sized import CASES, FRAMEWORKS, TEXT
from bench.micro import in_process, sized
from bench.micro.in_process import PARTS, Case


@pytest.mark.parametrize("case", PARTS.cases, ids=lambda case: case.name)
def test_all_frameworks_answer_a_case_alike(case):
    """Dewar with Flask's headers."""
    apps, failures = in_process.load(PARTS)
    assert failures == {}
    assert {name for name, its in apps.items() if case.name in its} == set(PARTS.frameworks) - set(
        case.without
    )


def test_headers_that_differ_are_found():
    """But the signature of a cookie may differ: it has the time in it."""
    case = Case(path="/", expected="")
    ours, theirs = [("Set-Cookie", "a=1; Path=/")], [("Set-Cookie", "a=2; Path=/")]
    in_process.compare([case], [ours], [theirs])
    with pytest.raises(ValueError, match="differ"):
        in_process.compare([case], [ours], [[("Set-Cookie", "a=2; HttpOnly")]])


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("case", CASES)
def test_an_app_of_any_size_answers_all_of_its_paths(framework, case):
    """Those of its first route and of its last one, too."""
    for size in (0, 1, 8, 250):
        if (size == 0 and case in {"static", "variables"}) or (size > 8 and case == "nested"):
            continue
        app, paths = getattr(FRAMEWORKS[framework](), case)(size)
        for path in paths:
            in_process.check(app, Case(path=path, expected=TEXT))


def test_a_size_that_cannot_be_built_is_a_failure(monkeypatch):
    """The others are measured."""

    class Small:
        def static(self, count):
            if count > 1:
                raise MemoryError("too many")
            return FRAMEWORKS["Dewar"]().static(count)

    monkeypatch.setattr(sized, "FRAMEWORKS", {"Small": Small})
    monkeypatch.setattr(sized, "_TURN", 0)
    monkeypatch.setattr(sized.gc, "freeze", lambda: None)  # the process of the tests goes on
    found = sized.measure("static", [1, 2], 2)
    assert [len(rounds) for rounds in found["figures"]["Small"].values()] == [2]
    assert found["failures"] == {"Small": {"2": "MemoryError: too many"}}
