import dataclasses
import re
from pathlib import Path

from dewar.tasks.webhooks.schedule import Schedule
from dewar.tasks.webhooks.settings import WebhookSettings

PAGE = Path(__file__).parents[3] / "docs/reference/callbacks.md"


def test_every_setting_of_callbacks_is_listed_with_its_default():
    """The reference has the fields of `WebhookSettings`, in their order."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| `([^`]+)` \|", text[text.index("## Settings") :], re.MULTILINE
    )
    settings = WebhookSettings()
    listed = [
        (field.name, repr(getattr(settings, field.name)))
        for field in dataclasses.fields(WebhookSettings)
    ]
    assert rows == [
        (name, "Schedule()" if value == repr(Schedule()) else value) for name, value in listed
    ]
