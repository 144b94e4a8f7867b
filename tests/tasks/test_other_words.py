"""Who writes a word of Celery, RQ or Huey is told the one that is meant."""

import copy
from collections.abc import Mapping

import pytest

from dewar import Dewar, Tasks, chain
from dewar.tasks.other_words import OF_JOBS, OF_STEPS, OF_TASKS

_OWNERS = ("task.", "job.")

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def tasks():
    tasks = Tasks(Dewar("words"))
    with tasks.immediate():
        yield tasks


@pytest.fixture
def resize(tasks):
    @tasks.task()
    def resize(path, width=800):
        return path

    return resize


def check(owner: object, words: Mapping[str, str]) -> None:
    for name, repair in words.items():
        with pytest.raises(AttributeError, match=f"no attribute '{name}'") as caught:
            getattr(owner, name)
        assert str(caught.value).endswith(f". Write: {repair}.")
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        owner.nonsense  # type: ignore[attr-defined]
    assert not hasattr(owner, next(iter(words)))


def test_each_word_is_answered_with_ours(resize):
    """On a task, a job, a step and a workflow; what nobody says anywhere is a plain error."""
    check(resize, OF_TASKS)
    check(resize.submit("a.png"), OF_JOBS)
    check(chain(resize.s("a.png")), OF_STEPS)
    check(resize.s("a.png"), OF_STEPS)
    check(chain(resize.s("a.png")).submit(), OF_JOBS)


def test_what_is_said_to_write_is_there(resize):
    """No repair names what a later version has not."""
    job = resize.submit("a.png")
    for owner, words in ((resize, OF_TASKS), (job, OF_JOBS)):
        own = [part for text in words.values() for part in text.split() if part.startswith(_OWNERS)]
        names = {part.split(".", 1)[1].partition("(")[0] for part in own}
        assert names
        assert all(hasattr(owner, name) for name in names), names
    assert all(hasattr(job.status(), name) for name in ("state", "error", "progress"))


@pytest.mark.parametrize(
    ("given", "ours"),
    [("countdown", "delay"), ("eta", "at"), ("queue", "queue"), ("after", "after")],
)
def test_an_option_among_the_arguments_is_told_where_it_goes(resize, given, ours):
    """The error names the task, as that of each call that does not fit does."""
    with pytest.raises(TypeError, match=rf"^resize: .*resize\.options_for\({ours}=\.\.\.\)"):
        resize.submit("a.png", **{given: 3})
    with pytest.raises(TypeError, match=r"^resize: got an unexpected keyword argument 'height'$"):
        resize.submit("a.png", height=3)
    with pytest.raises(TypeError, match=r"^resize: missing a required argument: 'path'$"):
        resize.submit(queue_of=3)
    with pytest.raises(TypeError, match=r"^resize: too many positional arguments$"):
        resize.map([1], [2], [3])


def test_an_object_that_is_not_complete_is_no_endless_loop(resize):
    """The error asks the object for nothing."""
    cls = type(resize)
    with pytest.raises(AttributeError, match="no attribute 'name'"):
        cls.__new__(cls).name
    step = chain(resize.s("a.png"))
    assert repr(copy.copy(step)) == repr(step)
