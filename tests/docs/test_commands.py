"""The commands and the configuration files on the pages are ones that the product takes."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dewar.__main__ import cli
from dewar.cli.flask_group import FlaskGroup
from dewar.server.settings.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# A fence may be indented in a list.
BLOCK = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for _, language, _, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def commands(page: Path) -> Iterator[list[str]]:
    """Return the words of each command of `dewar` or `flask`, wherever the page has it."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line for block in blocks(page, "sh", "ini", "dockerfile") for line in block.split("\n")
    ]
    lines += re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    for line in lines:
        if line.startswith("CMD ["):
            line = line.removeprefix("CMD ").replace(",", " ").strip("[]")
        found = re.search(r"(?:^|[ =/])((?:dewar|flask) .*)", line)
        if found and not re.search(r"…|[A-Z]{4}|pip ", found[1]):
            words = shlex.split(found[1], comments=True)
            yield words[: words.index("|")] if "|" in words else words


def refused(words: list[str]) -> Iterator[str]:
    """Return the options of a command that it does not have."""
    program, *rest = words
    command: click.Command = FlaskGroup() if program == "flask" else cli()
    while rest:
        options = {
            name: option
            for option in command.params
            if isinstance(option, click.Option)
            for name in [*option.opts, *option.secondary_opts, "--help"]
        }
        word = rest.pop(0)
        if word.startswith("-"):
            name, _, value = word.partition("=")
            option = options.get(name)
            if option is None:
                yield f"{word} in {shlex.join(words)}"
            elif not (option.is_flag or value or name == "--help"):
                rest = rest[1:]
        elif isinstance(command, click.Group):
            inner = command.commands.get(word)
            if inner is None:
                return  # a command of an app
            command = inner


@each_page
def test_a_shell_can_read_each_block(page: Path) -> None:
    """What has a meaning for the shell is quoted."""
    for block in blocks(page, "sh"):
        read = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True)
        assert read.returncode == 0, f"{block}\n{read.stderr}"


@each_page
def test_a_command_has_the_options_that_it_is_shown_with(page: Path) -> None:
    """In blocks, in the text, in unit files and in images."""
    assert [option for words in commands(page) for option in refused(words)] == []


@each_page
def test_a_file_with_settings_is_one_that_the_server_takes(page: Path, tmp_path: Path) -> None:
    """Its keys and its values; and so are the variables that begin with DEWAR."""
    settings = {setting.name for setting in SETTINGS}
    for block in blocks(page, "toml"):
        if "server]\n" not in block:
            continue
        file = tmp_path / "dewar.toml"
        file.write_text(block, encoding="utf-8")
        read = CliRunner().invoke(cli(), ["run", "--config", str(file), "--print-settings"])
        assert read.exit_code == 0, f"{block}\n{read.output}"
    for block in blocks(page, "sh", "ini", "dockerfile", "yaml"):
        for name in re.findall(r"\bDEWAR_(?!TASKS)(?:RUN_)?([A-Z_]+)=", block):
            assert name.lower() in settings | {"app", "debug", "config", "skip_dotenv"}, name


def test_an_unknown_option_is_found() -> None:
    """Of a command, before it, and of one that comes after a value."""
    assert list(refused(shlex.split("dewar run shop:app --nope"))) != []
    assert list(refused(shlex.split("dewar --nope run shop:app"))) != []
    assert list(refused(shlex.split("dewar --app shop run -p 5 --sort rule"))) != []
    assert list(refused(shlex.split("flask --app shop run --cert adhoc"))) == []
    assert list(refused(shlex.split("flask --app shop run --threads 4"))) != []
    assert sum(len(list(commands(page))) for page in PAGES) > 60
