"""The ratios that Dewar is judged by."""

import pytest
from bench.macro import targets
from bench.macro.rounds import Result
from bench.macro.targets import Goal
from bench.micro.in_process import SUITES
from bench.shot import Shot

FALCON = Goal(peers=("Falcon",), least=1.0)


def row(rounds, goal, subject="Dewar"):
    """Return the row of one goal."""
    (found,) = targets.goal_rows("GET /", rounds, [goal], subject)
    return found


def test_rounds_are_compared_in_pairs():
    """A round in which the machine was busy with something else slows both down."""
    rounds = {"Dewar, 8 threads": [100.0, 50.0, 100.0], "Falcon + fastpysgi": [80.0, 40.0, 200.0]}
    found = row(rounds, FALCON)
    assert found.figure == 1.25
    assert (found.what, found.note) == ("GET / ÷ Falcon + fastpysgi", "at least 1: reached")


@pytest.mark.parametrize(
    ("goal", "note"),
    [
        (Goal(peers=("Falcon",), least=2.5), "at least 2.5: missed"),
        (Goal(peers=("Falcon",), least=2.0), "at least 2: reached"),
        (Goal(peers=("Falcon",), most=2.0), "at most 2: reached"),
        (Goal(peers=("Falcon",), most=1.9), "at most 1.9: missed"),
        (Goal(peers=("Falcon",)), "no target"),
    ],
)
def test_a_ratio_reaches_its_target_or_misses_it(goal, note):
    """Ratios without a target are shown as well."""
    assert row({"Dewar": [2.0], "Falcon": [1.0]}, goal).note == note


def test_the_fastest_of_several_peers_counts():
    """By its median."""
    rounds = {"Dewar": [9.0, 9.0], "Sanic": [4.0, 6.0], "Robyn": [1.0, 2.0]}
    found = row(rounds, Goal(peers=("Sanic", "Robyn"), least=1.5))
    assert found.what == "GET / ÷ Sanic, the fastest of its kind"


def test_without_a_figure_there_is_no_verdict():
    """Neither of Dewar nor of the peer."""
    assert row({"Dewar": [1.0]}, FALCON).note == "failed: no figure of Falcon"
    assert row({"Falcon": [1.0]}, FALCON).note == "failed: no figure of Dewar"


def test_another_server_may_be_the_subject():
    """Two processes are compared with one."""
    rounds = {"Dewar, 1 process": [10.0], "Dewar, 2 processes": [19.0]}
    goal = Goal(peers=("Dewar, 1 process",), least=1.9)
    assert row(rounds, goal, "Dewar, 2 processes").figure == 1.9


def test_a_server_that_failed_has_no_rates():
    """What it sent before does not count."""
    shots = [Shot(rate=5.0, p99_ms=1.0)]
    found = [Result(name="a", shots=shots), Result(name="b", shots=shots, failure="died")]
    assert targets.rates(found) == {"a": [5.0]}


def test_every_target_in_process_is_one_of_a_case():
    """A case that is renamed does not lose its target."""
    cases = {case.name for suite in SUITES.values() for case in suite.cases}
    assert set(targets.IN_PROCESS) <= cases
