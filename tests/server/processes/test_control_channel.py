"""What a supervisor and a worker tell each other."""

from collections.abc import Iterator

import pytest

from dewar.server.processes.control_channel import (
    Command,
    ControlChannel,
    Report,
    open_control_channel,
)


@pytest.fixture
def ends() -> Iterator[tuple[ControlChannel, ControlChannel]]:
    ours, theirs = open_control_channel()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_commands_come_in_order(ends: tuple[ControlChannel, ControlChannel]) -> None:
    """And none waits for another."""
    ours, theirs = ends
    assert theirs.receive_commands() == []
    for command in (Command.RETIRE, Command.QUIT):
        ours.send_nowait(command)
    assert theirs.receive_commands() == [Command.RETIRE, Command.QUIT]
    assert theirs.receive_commands() == []


def test_reports_come_in_order_and_a_failure_has_its_reason(
    ends: tuple[ControlChannel, ControlChannel],
) -> None:
    """Whatever is in it; a very long one is cut."""
    ours, theirs = ends
    theirs.send_nowait(Report.READY)
    theirs.send_nowait(Report.WANTS_REPLACEMENT)
    theirs.send_nowait(Report.FAILED, "R O F \udcff é\n" + "x" * 10_000)
    first, second, (report, text) = ours.receive_reports()
    assert (first, second) == ((Report.READY, ""), (Report.WANTS_REPLACEMENT, ""))
    assert report is Report.FAILED
    assert text.startswith("R O F ? é\nxxx")


def test_either_side_finds_out_that_the_other_has_gone() -> None:
    """After what it had said before."""
    ours, theirs = open_control_channel()
    theirs.send_nowait(Report.READY)
    theirs.close()
    assert ours.receive_reports() == [(Report.READY, "")]
    assert ours.is_closed
    ours.send_nowait(Command.STOP)  # to nobody, which is no error
    ours.close()
    ours, theirs = open_control_channel()
    ours.close()
    assert theirs.receive_commands() == []
    assert theirs.is_closed
    theirs.close()
