"""What a request costs does not grow unnoticed."""

from pathlib import Path

import pytest
from bench.counters import budget, tools
from bench.counters.budget import Budget
from bench.counters.program import cost
from bench.counters.tools import TOOLS, MissingToolError

REPAIR = """
Requests cost more than at the last landing. No counter depends on the load of the machine, so find
out why. `make counters` shows all of them. If it has to be: `make counters-update`, and say why in
the commit."""
TIGHTEN = "Requests cost less than the budget says. Tighten it with `make counters-update`."


@pytest.mark.parametrize("name", TOOLS)
def test_no_request_costs_more_than_at_the_last_landing(name, record_property):
    """Each counter of each path is that of the budget; if one has shrunk, the summary says so."""
    tool, old = TOOLS[name], budget.read()
    if not old.can_compare(tool.counters):
        pytest.skip(f"The budget was taken with {', '.join(old.differences())}.")
    try:
        found = tool.count()
    except MissingToolError as error:
        pytest.skip(str(error))
    changes = old.compare(found, tool.counters)
    lines = [str(change) for change in changes] + old.differences()
    if any(change.kind != "shrunk" for change in changes):
        pytest.fail("\n".join([REPAIR, *lines]), pytrace=False)
    if changes:
        record_property("note", "\n".join([TIGHTEN, *lines]))


def test_exact_counters_may_not_grow_at_all():
    """And others not by more than their noise."""
    old = Budget({}, {"/": {"bytecodes": 500, "instructions": 10_000}})
    same = {"/": {"bytecodes": 500, "instructions": 10_190}}
    more = {"/": {"bytecodes": 501, "instructions": 10_210}}
    assert old.compare(same, ["bytecodes", "instructions"]) == []
    assert [str(change) for change in old.compare(more, ["bytecodes", "instructions"])] == [
        "grown   /: bytecodes 500 -> 501 (+0.2%)",
        "grown   /: instructions 10,000 -> 10,210 (+2.1%)",
    ]


def test_a_system_call_once_in_many_requests_is_noise():
    """One in each is not."""
    old = Budget({}, {"/": {"system calls": 0}, "wire: /": {"system calls": 3}})
    rare = {"/": {"system calls": 0.1}, "wire: /": {"system calls": 2.9}}
    assert old.compare(rare, ["system calls"]) == []
    more = {"/": {"system calls": 0.5}, "wire: /": {"system calls": 4}}
    assert len(old.compare(more, ["system calls"])) == 2


def test_a_counter_that_has_shrunk_is_noticed():
    """So that the budget is tightened."""
    old = Budget({}, {"/": {"garbage": 2}})
    assert [change.kind for change in old.compare({"/": {"garbage": 0}}, ["garbage"])] == ["shrunk"]


def test_a_path_cannot_leave_the_budget_unnoticed():
    """One that is not counted any more is reported, and so is one that has no budget yet."""
    old = Budget({}, {"/old": {"garbage": 0}})
    kinds = [change.kind for change in old.compare({"/new": {"garbage": 0}}, ["garbage"])]
    assert kinds == ["gone", "new"]
    assert old.compare({}, ["bytecodes"]) == []  # the budget has none of these


def test_what_a_build_decides_is_only_compared_on_that_build():
    """Calls and bytecodes are the same for each Python 3.x."""
    here = budget.taken_with()
    assert Budget(here, {}).can_compare(["instructions"])
    other = Budget(here | {"build": "another compiler"}, {})
    assert other.can_compare(["bytecodes"])
    assert not other.can_compare(["instructions"])
    assert not Budget(here | {"python": "2.7"}, {}).can_compare(["bytecodes"])
    assert Budget(here | {"werkzeug": "0.1"}, {}).differences() != []


def test_a_budget_is_read_as_it_was_written(tmp_path):
    """One line a counter, in the order of their names."""
    file = tmp_path / "budget.toml"
    costs = {"wire: /": {"bytecodes": 2.5}, '/<int>"': {"calls of C": 1.0, "bytecodes": 2.0}}
    budget.write(Budget({"python": "3.11"}, costs), file)
    assert budget.read(file) == Budget({"python": "3.11"}, costs)
    lines = file.read_text("utf-8").splitlines()
    assert [line for line in lines if "=" in line] == [
        'python = "3.11"', "bytecodes = 2", '"calls of C" = 1', "bytecodes = 2.5",
    ]  # fmt: skip


def test_what_the_client_does_is_not_the_cost_of_a_request():
    """Nor is what happens once in a window."""
    fixed, request, client = 100, 7, 3
    windows = [fixed + count * (request + client) for count in (5, 15)]
    assert cost(*windows, *(50 + count * client for count in (5, 15))) == request


CALLGRIND = """\
version: 1
events: Ir
fn=(1) PyDict_New
12 30
cfn=(2) malloc
calls=3 10
12 90
fn=(2)
1 90
cfn=(4) _int_malloc
calls=2 1
1 10
fn=(3) PyList_New
cfn=(2)
calls=4 10
1 40
totals: 260
"""


def test_calls_of_the_allocator_are_found_in_the_output_of_callgrind(tmp_path: Path):
    """By name at first and by number afterwards; what an allocator calls inside is not counted."""
    file = tmp_path / "out.1"
    file.write_text(CALLGRIND, "utf-8")
    assert tools._instructions(file) == 260
    assert tools._allocations(file) == 7


STRACE = """\
11 openat(AT_FDCWD, "/", O_RDONLY) = 3
11 getpriority(PRIO_PROCESS, 0)    = 20
11 recvfrom(5, "getpriority", 65536, 0, NULL, NULL) = 11
12 futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 0
11 epoll_wait(6,  <unfinished ...>
11 futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 0
11 <... epoll_wait resumed> [], 8192, 0) = 0
11 --- SIGCHLD {si_signo=SIGCHLD} ---
11 getpriority(PRIO_PROCESS, 0)    = 20
11 exit_group(0)                   = ?
"""


def test_system_calls_between_the_marks_are_found_in_the_output_of_strace():
    """Those of the thread that makes the marks, each once and without locks."""
    assert tools._calls_between_marks(STRACE.splitlines()) == [0, 2, 1]


def test_a_tool_that_is_missing_has_a_reason(monkeypatch):
    """The test is skipped with it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="strace is not installed"):
        tools.count_system_calls()
