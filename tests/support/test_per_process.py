"""Each process has a value of its own."""

import os

import pytest

from dewar.support.per_process import PerProcess


def test_it_is_made_once_in_a_process() -> None:
    """The first use makes it; later ones find it, also if it is false."""
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([])
        return made[-1]

    holder = PerProcess(make)
    assert holder.maybe_get() is None
    assert holder.get() is holder.get() is holder.maybe_get()
    assert len(made) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_makes_another() -> None:
    """And it does not drop that of its parent, which may be open."""
    holder = PerProcess(lambda: [os.getpid()])
    value = holder.get()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        made = holder.get()
        os.write(writer, b"ok" if made == [os.getpid()] and value is not made else b"no")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 2) == b"ok"
    assert holder.get() is value
    os.close(reader)
    os.close(writer)
