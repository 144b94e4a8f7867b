"""`BodyStorage`: no more is kept than there is room for, and all of it is given back."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.errors import Refusal
from dewar.server.wire.chunks import FramedBody, begin_body
from dewar.server.wire.errors import TOO_LARGE, UNAVAILABLE
from dewar.server.wire.framing import CHUNKED
from dewar.server.wire.limits import Limits
from dewar.server.wire.storage import BodyStorage, DiskFile

LIMITS = Limits(buffered_body=10, spooled=100)


def used(storage: BodyStorage) -> tuple[int, int]:
    return storage.memory.used, storage.disk.used


def begun(storage: BodyStorage, framing: int, limits: Limits = LIMITS) -> FramedBody:
    return begin_body(framing, limits, storage)


def chunk(size: int) -> bytes:
    return b"%x\r\n%b\r\n" % (size, bytes(size))


def test_a_body_moves_to_disk_and_gives_its_room_in_memory_back() -> None:
    """It is counted where it is, until it is closed."""
    storage = BodyStorage(LIMITS)
    body = begun(storage, 30)
    body.take(b"x" * 10, 0)
    assert used(storage) == (10, 0)
    body.take(b"y" * 20, 0)
    assert used(storage) == (0, 30)
    file = body.buffer.take()
    assert file.read() == b"x" * 10 + b"y" * 20
    file.close()
    file.close()
    assert used(storage) == (0, 0)


@pytest.mark.parametrize("framing", [101, CHUNKED])
def test_a_body_larger_than_all_the_room_is_a_413(framing: int) -> None:
    """It could never be stored."""
    storage = BodyStorage(LIMITS)
    body = begun(storage, framing)
    with pytest.raises(Refusal, match="at most 100 bytes") as refused:
        body.take(chunk(101) if framing == CHUNKED else bytes(11), 0)
    body.buffer.discard()
    assert refused.value.status == TOO_LARGE
    assert used(storage) == (0, 0)


@pytest.mark.parametrize("framing", [60, CHUNKED])
def test_a_body_that_finds_no_room_now_is_a_503(framing: int) -> None:
    """One that ends makes room for the next."""
    storage = BodyStorage(LIMITS)
    first, second, third = (begun(storage, framing) for _ in range(3))
    data = chunk(60) if framing == CHUNKED else bytes(60)
    first.take(data, 0)
    with pytest.raises(Refusal, match="Try again later") as refused:
        second.take(data, 0)
    assert refused.value.status == UNAVAILABLE
    assert "max_spooled=100 is reached" in refused.value.cause
    second.buffer.discard()
    assert used(storage) == (0, 60)
    first.buffer.discard()
    third.take(data, 0)
    assert used(storage) == (0, 60)
    third.buffer.discard()


def test_an_announced_body_is_refused_before_it_fills_the_room() -> None:
    """As soon as it leaves memory: it would be in vain to take in the rest."""
    storage = BodyStorage(LIMITS)
    first, announced = begun(storage, 90), begun(storage, 30)
    first.take(bytes(80), 0)
    announced.take(bytes(10), 0)
    with pytest.raises(Refusal):
        announced.take(bytes(1), 0)
    first.buffer.discard()


def test_many_small_bodies_do_not_fill_the_memory() -> None:
    """What finds no room there goes to disk."""
    storage = BodyStorage(Limits(buffered_body=10, spooled=None))
    bodies = [begun(storage, 11) for _ in range(200)]
    for body in bodies:
        body.take(bytes(10), 0)
    assert used(storage) == (1280, 720)
    for body in bodies:
        body.take(bytes(1), 0)
        body.buffer.take().close()
    assert used(storage) == (0, 0)


def test_a_file_on_disk_is_private_and_has_no_name() -> None:
    """Whatever the umask is: bodies are not for other users."""
    before = os.umask(0)
    try:
        file = BodyStorage(LIMITS).open_disk(1)
    finally:
        os.umask(before)
    found = os.fstat(file.fileno())
    assert (stat.S_IMODE(found.st_mode) & 0o077, found.st_nlink) == (0, 0)
    assert not os.get_inheritable(file.fileno())
    file.close()


def test_a_part_is_read_while_the_rest_comes() -> None:
    """In memory and on disk; the rest goes behind what is there."""
    body = begun(BodyStorage(LIMITS), 12)
    body.take(b"abcdef", 0)
    assert body.buffer.peek(1, 3) == b"bcd"
    body.take(b"ghijkl", 0)
    assert body.buffer.peek(4, 100) == b"efghijkl"
    file = body.buffer.take()
    assert isinstance(file, DiskFile)
    assert file.read() == b"abcdefghijkl"
    file.close()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), max_size=40))
def test_what_is_used_is_the_sum_of_what_is_kept(steps: list[tuple[int, int]]) -> None:
    """Whatever bodies do, in any order."""
    storage = BodyStorage(LIMITS)
    bodies: dict[int, FramedBody] = {}
    for number, size in steps:
        if number in bodies and size > 30:
            bodies.pop(number).buffer.discard()
            continue
        body = bodies.setdefault(number, begun(storage, CHUNKED))
        try:
            body.take(chunk(size), 0)
        except Refusal:
            bodies.pop(number).buffer.discard()
        memory, disk = used(storage)
        assert memory + disk == sum(body.buffer.size for body in bodies.values())
        assert disk <= 100
    for body in bodies.values():
        body.buffer.discard()
    assert used(storage) == (0, 0)
