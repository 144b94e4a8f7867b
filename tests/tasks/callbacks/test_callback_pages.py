import dataclasses
import re
from pathlib import Path

from dewar.tasks.callbacks.schedule import Schedule
from dewar.tasks.callbacks.settings import CallbackSettings

PAGE = Path(__file__).parents[3] / "docs/reference/callbacks.md"


def test_every_setting_of_callbacks_is_listed_with_its_default():
    """The reference has the fields of `CallbackSettings`, in their order."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| `([^`]+)` \|", text[text.index("## Settings") :], re.MULTILINE
    )
    settings = CallbackSettings()
    listed = [
        (field.name, repr(getattr(settings, field.name)))
        for field in dataclasses.fields(CallbackSettings)
    ]
    assert rows == [
        (name, "Schedule()" if value == repr(Schedule()) else value) for name, value in listed
    ]
