"""The documentation is true: its examples run, its links lead somewhere, its tables are complete.

What the word after ```` ```python ```` says about a block:

- nothing: it is executed, after the blocks above it on the page and in the same namespace;
- ``file=name``: it is written to a file of that name (blocks in any language may have it), and a
  Python file is then imported, and its functions named ``test_…`` are called, by pytest if
  they take fixtures;
- ``no-run``: it is only compiled, because it would not come back, or needs what is not there.

The working directory is a temporary one.
"""

import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import flask
import pytest

import dewar
import dewar.__main__
import dewar.tasks.errors
from dewar.cli.setting_options import SettingOption
from dewar.config import default_config
from dewar.server.metrics.exposition import METRICS
from dewar.server.settings.kinds import Switch
from dewar.server.settings.settings import SETTINGS, Settings
from dewar.tasks.settings import TasksSettings
from dewar.websocket.settings import WebSocketSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FOLDERS = {"tutorials", "how-to", "reference", "explanation"}

_FENCE = re.compile(r"^```(\w+)?[ ]*([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| `([^`]+)` \|(.*)\|$", re.MULTILINE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Block(NamedTuple):
    """A fenced block: its language, what is said about it, its text, and its first line."""

    language: str
    info: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    content = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(content):
        line = content.count("\n", 0, match.start()) + 2
        yield Block(match[1] or "", match[2].strip(), match[3], line)


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def rows(page: str, below: str = "") -> dict[str, list[str]]:
    """Return the table rows, below a heading, that begin with a name in backticks."""
    found: dict[str, list[str]] = {}
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, rest in _ROW.findall(text[text.index(below) :]):
        assert name not in found, f"{name} is there twice"
        found[name] = [cell.strip() for cell in rest.split(" | ")]
    return found


def anchors(page: Path) -> set[str]:
    """Return what a link to the page may have behind ``#``."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def import_anew(name: str) -> ModuleType:
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def run_file(name: str) -> None:
    """Import a file of the working directory and call its tests."""
    module = import_anew(Path(name).stem)
    tests = [value for key, value in list(vars(module).items()) if key.startswith("test_")]
    if any(inspect.signature(test).parameters for test in tests):
        run_pytest(name)
    else:
        for test in tests:
            test()


def run_pytest(name: str) -> None:
    """Run a file of tests that need fixtures, as a reader does."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_dewar", "-W", "error", name]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Give a page a module of its own whose folder is the temporary one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = ModuleType("documented")
    module.__file__ = str(tmp_path / "documented.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    known = set(sys.modules)
    yield vars(module)
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@every_page
def test_every_example_runs(page: Path, namespace: dict[str, Any], tmp_path: Path) -> None:
    """The Python blocks of a page do what they say, one after the other."""
    for block in blocks(page):
        filename = block.info.removeprefix("file=") if block.info.startswith("file=") else ""
        if filename:
            path = tmp_path / filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.language != "python":
            continue
        # Blank lines before it, so that a traceback names the line of the page.
        source = "\n" * (block.line - 1) + block.text
        code = compile(source, str(page), "exec", dont_inherit=True)
        if filename:
            run_file(filename)
        elif block.info != "no-run":
            assert block.info == "", f"{page}:{block.line}: what does {block.info!r} mean?"
            exec(code, namespace)


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """The file is there, and so is the heading behind ``#``."""
    for target in _LINK.findall(prose(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} on {page.name}"
        assert file.is_relative_to(ROOT), f"{target} on {page.name}"
        if anchor:
            assert anchor in anchors(file), f"{target} on {page.name}"


def test_the_index_leads_to_every_page() -> None:
    """Nobody has to guess that a page exists."""
    index = DOCS / "index.md"
    linked = {(DOCS / target).resolve() for target in _LINK.findall(prose(index))}
    assert {page.resolve() for page in DOCS.rglob("*.md")} - {index.resolve()} <= linked


def test_pages_stand_in_the_four_folders() -> None:
    """A page teaches, helps, states or explains; beside them is only the index."""
    for page in DOCS.rglob("*.md"):
        parts = page.relative_to(DOCS).parts
        assert parts == ("index.md",) or (len(parts) == 2 and parts[0] in FOLDERS), page


@every_page
def test_a_page_has_one_title_and_stays_short(page: Path) -> None:
    """One heading of the first level, and at most 200 lines."""
    assert len(re.findall(r"^# ", prose(page), re.MULTILINE)) == 1
    if page.is_relative_to(DOCS):
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 200


def test_every_public_name_is_listed() -> None:
    """``names.md`` has each name of ``dewar.__all__``, and no other."""
    assert set(rows("reference/names.md")) == set(dewar.__all__)


def test_every_module_that_an_example_imports_is_public() -> None:
    """``names.md`` has it, or the page of import paths that ``names.md`` leads to."""
    names = (DOCS / "reference/names.md").read_text(encoding="utf-8")
    paths = (DOCS / "reference/differences-from-flask.md").read_text(encoding="utf-8")
    text = names + paths.partition("## Import paths")[2]
    listed = set(re.findall(r"`(dewar(?:\.[a-z_]+)*)", text))
    for page in PAGES:
        for block in blocks(page):
            if block.language != "python":
                continue
            for module in re.findall(r"^ *(?:from|import) (dewar[\w.]*)", block.text, re.MULTILINE):
                assert module == "dewar" or module in listed, f"{module} on {page.name}"


def test_every_extra_is_listed() -> None:
    """``dependencies.md`` has those of ``pyproject.toml``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = rows("explanation/dependencies.md", "## Extras")
    assert set(project["optional-dependencies"]) <= set(extras)


def test_every_setting_of_an_app_is_listed_with_its_default() -> None:
    """``configuration.md`` has the keys and the defaults of `default_config`."""
    listed = {key: cells[0] for key, cells in rows("reference/configuration.md").items()}
    assert listed == {key: f"`{_shown(value)}`" for key, value in default_config().items()}


def test_every_setting_of_the_server_is_listed_with_its_default() -> None:
    """``server-settings.md`` has the fields that `Settings` takes, and their defaults."""
    listed = {name: cells[0] for name, cells in rows("reference/server-settings.md").items()}
    fields = {field.name: field.default for field in dataclasses.fields(Settings) if field.init}
    assert listed == {name: f"`{_shown(value)}`" for name, value in fields.items()}


def test_every_setting_of_the_server_is_listed_with_its_flag_and_variable() -> None:
    """``server-settings.md`` has the spellings of the table of settings."""
    listed = {
        name: [re.findall(r"`([^`]+)`", cell) for cell in cells[-2:]]
        for name, cells in rows("reference/server-settings.md").items()
    }
    for setting in SETTINGS:
        flags = [setting.flag, *setting.aliases]
        if isinstance(setting.kind, Switch):
            flags.append(f"--no-{setting.flag.removeprefix('--')}")
        expected = [flags, [setting.variable]] if setting.has_text else [[], []]
        assert listed[setting.name] == expected, setting.name


def test_every_metric_is_listed() -> None:
    """``log-and-measure.md`` has each that the endpoint shows."""
    page = (DOCS / "how-to/log-and-measure.md").read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"`{metric.name}`" in page, metric.name


def test_every_public_member_of_the_app_is_listed() -> None:
    """``app.md`` names all that an app has."""
    page = (DOCS / "reference/app.md").read_text(encoding="utf-8")
    app = dewar.Dewar("documented", static_folder=None)
    members = {name for name in dir(app) if not name.startswith("_")}
    mentioned = set(re.findall(r"`(?:@?app\.)?(\w+)", page))
    assert members - mentioned == set()


def test_no_name_of_flask_is_missing() -> None:
    """As ``differences-from-flask.md`` says."""
    named = {name for name in dir(flask) if _is_public_api(name)} - {"Flask"}
    missing = {name for name in named if not hasattr(dewar, name)}
    app = dewar.Dewar("documented", static_folder=None)
    members = {name for name in dir(flask.Flask) if not name.startswith("_")}
    missing |= {f"app.{name}" for name in members if not hasattr(app, name)}
    assert missing == set()


def test_every_command_and_option_is_listed() -> None:
    """``cli.md`` names each command of ``dewar`` and each of its options."""
    page = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    group = dewar.__main__.cli()
    for command in (group, *group.commands.values()):
        assert command is group or f"`dewar {command.name}" in page
        for parameter in command.params:
            if isinstance(parameter, SettingOption):
                continue  # on the page of the settings
            if isinstance(parameter, click.Option):
                for option in (*parameter.opts, *parameter.secondary_opts):
                    assert re.search(rf"`[^`]*{re.escape(option)}\b", page), option


def test_every_option_of_the_tasks_commands_is_listed() -> None:
    """``tasks-command.md`` names each command of ``dewar tasks`` and each of its options."""
    page = (DOCS / "reference/tasks-command.md").read_text(encoding="utf-8")
    group = dewar.__main__.cli().commands["tasks"]
    assert isinstance(group, click.Group)
    for command in group.commands.values():
        section = page.partition(f"\n## {command.name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for option in parameter.opts:
                    assert re.search(rf"`{option}\b", section), f"{command.name} {option}"
        assert f"`dewar tasks {command.name}" in page


def _is_own_error(value: object) -> bool:
    return isinstance(value, type) and value.__module__ == "dewar.tasks.errors"


def _is_public_api(name: str) -> bool:
    if name.startswith("_"):
        return False
    return str(getattr(getattr(flask, name), "__module__", "")).startswith("flask")


def _shown(value: object) -> str:
    text = repr(value)
    return re.sub(r"\bdatetime\.", "", text)


def test_tests_that_pages_name_exist() -> None:
    """A claim that says which test holds it is held by one."""
    there = set()
    for path in (DOCS.parent / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8")))
    for page in (DOCS / "explanation").glob("*.md"):
        named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
        assert named <= there, page


def test_every_setting_of_tasks_is_listed_with_its_default() -> None:
    """``tasks.md`` has each field of `TasksSettings`, as a key of the configuration."""
    listed = rows("reference/tasks.md", "## Settings")
    for field in dataclasses.fields(TasksSettings):
        cells = listed[f"TASKS_{field.name.upper()}"]
        if field.default is not dataclasses.MISSING:
            assert cells[0] == f"`{field.default!r}`", field.name
    keys = {name for name in listed if name.startswith("TASKS_")}
    assert len(keys) == len(dataclasses.fields(TasksSettings))


def test_every_setting_of_websockets_is_listed_with_its_default() -> None:
    """``websockets.md`` has each field of `WebSocketSettings`, as a key of the configuration."""
    listed = {
        key: cells[0]
        for key, cells in rows("reference/websockets.md", "## Configuration").items()
        if key.startswith("WEBSOCKET_")
    }
    fields = {
        f"WEBSOCKET_{f.name.upper()}": f.default for f in dataclasses.fields(WebSocketSettings)
    }
    assert listed == {
        key: f"`{value!r}`" for key, value in {**fields, "WEBSOCKET_ORIGINS": ()}.items()
    }


def test_every_error_of_tasks_is_listed_with_what_it_is() -> None:
    """A user who catches what `concurrent.futures` raises catches these."""
    listed = rows("reference/tasks.md", "## Errors")
    errors = {name for name, error in vars(dewar.tasks.errors).items() if _is_own_error(error)}
    assert set(listed) == errors - {"TasksError"}
    for name, cells in listed.items():
        error = getattr(dewar.tasks.errors, name)
        base = cells[0].strip("`")
        assert any(cls.__name__ == base for cls in error.__mro__), name


def test_the_glossary_names_modules_that_exist() -> None:
    """Each row says where its term is defined."""
    text = (DOCS / "explanation" / "glossary.md").read_text(encoding="utf-8")
    cells = [row.split("|")[4] for row in text.splitlines() if row.count("|") == 5]
    named = {name for cell in cells for name in re.findall(r"`([\w/]+)`", cell)}
    top = ROOT / "src" / "dewar"
    missing = [n for n in named if not ((top / n).is_dir() or (top / f"{n}.py").is_file())]
    assert len(named) > 50
    assert missing == []
