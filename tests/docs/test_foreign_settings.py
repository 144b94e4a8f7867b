"""The pages about gunicorn and uWSGI have what the code has."""

import re
from itertools import groupby
from pathlib import Path

import click
import pytest

from dewar.cli.run import run_command
from dewar.cli.uwsgi_options import UWSGI
from dewar.server.gunicorn.names import GUNICORN, Fate, GunicornName

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference/gunicorn-and-uwsgi.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to/come-from-gunicorn.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the first table below a heading, without its head."""
    below = PAGE.partition(f"\n{heading}\n")[2]
    found = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n?)+)", below, re.MULTILINE)
    assert found, heading
    return [row.strip("|").split("|") for row in found[1].splitlines()]


def cells(heading: str) -> list[tuple[str, ...]]:
    return [tuple(cell.strip() for cell in row) for row in table(heading)]


def named(*fates: Fate) -> list[GunicornName]:
    return [each for fate in fates for each in GUNICORN.values() if each.fate is fate]


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def test_each_setting_of_gunicorn_is_listed_with_ours() -> None:
    """In the order of the table in the code, with the same note."""
    expected = [
        (code(each.name), code(each.ours), each.note) for each in named(Fate.SETTING, Fate.APPLIED)
    ]
    assert cells("## Settings of gunicorn") == expected


@pytest.mark.parametrize(
    ("heading", "fate"),
    [
        ("### No effect, because there is nothing to choose", Fate.NEEDLESS),
        ("### No counterpart", Fate.MISSING),
    ],
)
def test_each_setting_without_effect_is_listed_with_the_reason(heading: str, fate: Fate) -> None:
    """Those with the same reason in one row."""
    expected = [
        (", ".join(code(each.name) for each in group), note)
        for note, group in groupby(named(fate), key=lambda each: each.note)
    ]
    assert cells(heading) == expected


def test_each_hook_of_gunicorn_is_listed() -> None:
    """With its arguments."""
    expected = [(code(each.name), each.note) for each in named(Fate.HOOK)]
    assert cells("## Hooks of gunicorn") == expected


def test_each_option_of_uwsgi_is_listed() -> None:
    """With ours."""
    expected = [(code(name), code(each.ours), each.note) for name, each in UWSGI.items()]
    assert cells("## Options of uWSGI") == expected


def test_each_of_our_options_that_the_pages_name_exists() -> None:
    """In the column that says what to write here."""
    options = {
        option
        for param in run_command.params
        if isinstance(param, click.Option)
        for option in (*param.opts, *param.secondary_opts)
    }
    rows = re.findall(r"^\| .* \| (.*) \|$", HOW_TO, re.MULTILINE)
    shown = set(re.findall(r"`(--?[a-z][a-z-]*)`", "\n".join(rows)))
    shown |= {each.ours.split()[0] for each in UWSGI.values() if each.ours.startswith("-")}
    assert shown
    assert shown <= options
