"""From several sources to one set of settings, and back."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.settings.settings import Settings
from dewar.server.settings.sources import (
    Configuration,
    ConfigurationError,
    GivenValue,
    SettingSource,
    SourceValues,
    misspelt_variables,
    read_variables,
)
from dewar.server.settings.toml_file import read_file


def flags(**values: object) -> SourceValues:
    return {
        name: GivenValue(value, SettingSource.FLAG, f"--{name.replace('_', '-')}")
        for name, value in values.items()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dewar.toml").write_text("[server]\nthreads = 2\nmax_queue = 2\nbacklog = 2\n")
    return tmp_path


def test_flags_go_before_variables_before_files_before_defaults(folder: Path) -> None:
    """Each source is heard on what no louder one speaks of."""
    configuration = Configuration(
        read_file(None, folder),
        read_variables({"DEWAR_THREADS": "3", "DEWAR_MAX_QUEUE": "3", "OTHER": "x"}),
        flags(threads="4"),
    )
    settings = configuration.settings()
    assert (settings.threads, settings.max_queue, settings.backlog) == (4, 3, 2)
    assert settings.processes == Settings().processes
    text = configuration.as_toml()
    assert "threads = 4  # flag --threads\n" in text
    assert "max_queue = 3  # variable DEWAR_MAX_QUEUE\n" in text
    assert "backlog = 2  # file dewar.toml\n" in text
    assert "processes = 1  # default\n" in text


def test_an_empty_variable_says_nothing() -> None:
    """As in a shell, where that is how one is switched off."""
    assert read_variables({"DEWAR_THREADS": ""}) == {}


@pytest.mark.parametrize(
    ("layer", "flag", "message"),
    [
        (flags(threads="x"), "--threads", "threads='x' must be a whole number, 1 or more."),
        (flags(threads="0"), "--threads", "threads=0 must be a whole number, 1 or more."),
        (flags(max_body="5MB"), "--max-body", "such as 65536, 512k or 1GiB, or 'none'."),
        (flags(keyfile="x"), "--keyfile", "keyfile='x' needs certfile"),
        (
            read_variables({"DEWAR_KEEP_ALIVE": "soon"}),
            None,
            "DEWAR_KEEP_ALIVE: keep_alive='soon' must be a number of seconds",
        ),
        (
            {"threads": GivenValue("4", SettingSource.FILE, "shop.toml")},
            None,
            "shop.toml: threads='4' must be a whole number",
        ),
    ],
)
def test_an_error_names_its_source(layer: SourceValues, flag: str | None, message: str) -> None:
    """Whoever gave the value can find it."""
    with pytest.raises(ConfigurationError) as raised:
        Configuration(layer).settings()
    assert message in str(raised.value)
    assert raised.value.flag == flag


paths = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
).filter(lambda text: text.strip().lower() != "none")


@given(
    threads=st.integers(1, 10**6),
    keep_alive=st.floats(0, 1e6) | st.integers(0, 1000),
    max_body=st.none() | st.integers(0, 10**15),
    access_log=st.booleans(),
    pid_file=paths,
    access_log_file=paths,
    place=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_is_printed_gives_the_same_settings(place: str, **values: object) -> None:
    """The output of ``--print-settings`` is a file that says the same, whatever it says."""
    layer = {
        name: GivenValue(value, SettingSource.DEFAULT, place) for name, value in values.items()
    }
    layer = {
        name: GivenValue("none", SettingSource.FLAG, place) if given.raw is None else given
        for name, given in layer.items()
    }
    configuration = Configuration(layer)
    table = tomllib.loads(configuration.as_toml())["server"]
    again = Configuration({n: GivenValue(v, SettingSource.FILE, "x") for n, v in table.items()})
    assert again.settings() == configuration.settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DEWAR_THREAD", "DEWAR_THREADS"),
        ("DEWAR_TREADS", "DEWAR_THREADS"),
        ("DEWAR_KEEPALIVE", "DEWAR_KEEP_ALIVE"),
        ("DEWAR_THREADS", None),
        ("DEWAR_SERVER_NAME", None),
        ("DEWAR_PAGE_SIZE", None),
        ("SHOP_THREAD", None),
    ],
)
def test_a_slip_in_a_variable_is_noticed(name: str, near: str | None) -> None:
    """What is near to a setting's is; what has a meaning, or is something else, is not."""
    ours = ["DEWAR_THREADS", "DEWAR_KEEP_ALIVE", "DEWAR_SERVER_MAME"]
    said = misspelt_variables({name: "1"}, ours, ["DEWAR_SERVER_NAME"])
    assert said == (
        [f"{name} is not a setting and has no effect. Did you mean {near}?"] if near else []
    )
