"""Notices as messages, and the notifications that tell nothing."""

from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.notifications import (
    JOBS,
    PARTIAL,
    NoNotifications,
    Notice,
    Topic,
    decode,
    encode,
)

_IDS = st.lists(st.builds(new_id, st.floats(0, 1e9)), max_size=5).map(tuple)


@given(st.booleans(), _IDS, _IDS)
def test_a_notice_is_read_as_it_was_written(
    jobs: bool, ended: tuple[str, ...], owners: tuple[str, ...]
) -> None:
    """Whatever is in it."""
    notice = Notice(jobs=jobs, ended=ended, owners=owners)
    assert decode(encode(notice)) == notice


@given(st.binary(max_size=300))
def test_any_message_is_some_notice(message: bytes) -> None:
    """A process of this user may send anything."""
    decode(message)


@given(st.integers(0, 12))
def test_too_many_ids_make_it_partial(count: int) -> None:
    """It never names only some of them."""
    notice = Notice(ended=tuple(map(str, range(count))))
    found = decode(encode(notice, max_ids=8))
    assert found == (PARTIAL if count > 8 else notice)


def test_an_empty_notice_is_false() -> None:
    """There is nothing to tell."""
    assert not Notice()
    assert JOBS
    assert PARTIAL
    assert Notice(owners=("a",))
    assert Notice(ended=("a",))


def test_no_notifications_do_nothing() -> None:
    """The processes poll."""
    notifications = NoNotifications()
    notifications.listen("one", [Topic.JOBS], lambda notice: 1 / 0)
    notifications.notify(JOBS)
    notifications.maintain()
    assert not notifications.add_topic(Topic.ENDED)
    assert not notifications.is_listening
    notifications.close()
