"""The table of settings: complete, and of one mind with itself."""

import tomllib
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.config import default_config
from dewar.server.settings.kinds import quote
from dewar.server.settings.setting import Setting
from dewar.server.settings.settings import SETTINGS, Settings

TEXTUAL = [setting for setting in SETTINGS if setting.has_text]
DEFAULTS = {field.name: field.default for field in fields(Settings) if field.init}

#: For each setting values that it may have, beside its default.
VALUES: dict[str, list[object]] = {
    "bind": ["[::1]:80,unix:/run/x"],
    "unix_mode": [None, "660", "0600"],
    "ipv6_only": [True, False],
    "chdir": [None, "/srv/shop/current"],
    "server_name": [None, "Shop/1.0"],
    "max_body": [None, 0, 10**12],
    "keep_alive": [0, 0.25, 1e6],
    "access_log": [True, False],
    "access_log_format": ["json", "combined"],
    "access_log_file": [None, '/var/log/a "b"\\\n\x7fé.log'],
    "trusted_hosts": ["", "10.0.0.0/8, unix", "*"],
    "forwarded_headers": ["", "x-forwarded", "forwarded, x-forwarded-prefix"],
    "script_name": ["", "/shop", "/a/b"],
    "threads": [1, 10**6],
}

every_setting = pytest.mark.parametrize("setting", TEXTUAL, ids=lambda setting: setting.name)

BY_NAME = {setting.name: setting for setting in SETTINGS}


def test_every_field_is_a_setting() -> None:
    """And no setting is without a field."""
    assert sorted(setting.name for setting in SETTINGS) == sorted(DEFAULTS)


def test_no_two_settings_share_a_spelling() -> None:
    """Neither a flag nor a variable."""
    flags = [flag for s in TEXTUAL for flag in (s.flag, *s.aliases)]
    variables = [setting.variable for setting in TEXTUAL]
    assert len(flags) == len(set(flags))
    assert len(variables) == len(set(variables))


def test_no_variable_is_one_of_an_app() -> None:
    """``app.config.from_prefixed_env()`` reads ``DEWAR_SERVER_NAME`` for the app."""
    assert not {s.variable for s in TEXTUAL} & {f"DEWAR_{key}" for key in default_config()}


@every_setting
def test_what_is_written_is_accepted(setting: Setting) -> None:
    """A value goes through TOML, and the default through text, unchanged."""
    default = DEFAULTS[setting.name]
    for value in [default, *VALUES.get(setting.name, [])]:
        assert setting.holds(value)
        document = tomllib.loads(f"x = {setting.write(value)}")
        assert setting.accept(document["x"]) == value
    text = "none" if default is None else str(default)
    assert setting.read(text) == default


@every_setting
def test_no_setting_takes_just_anything(setting: Setting) -> None:
    """Each refuses objects, and the file each kind of TOML that is not its own."""
    assert not setting.holds(object())
    assert not setting.holds([])
    for value in (object(), {}, 1.5j):
        with pytest.raises(ValueError, match=r"."):
            setting.accept(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", 0),
        ("threads", True),
        ("threads", 2.0),
        ("keep_alive", float("nan")),
        ("keep_alive", float("inf")),
        ("keep_alive", True),
        ("access_log", 1),
        ("access_log_format", "xml"),
        ("access_log_file", ""),
        ("pid_file", "a\0b"),
        ("forwarded_headers", None),
        ("unix_mode", "999"),
        ("unix_mode", 660),
        ("unix_mode", "66"),
        ("script_name", "shop"),
        ("script_name", "/shop/"),
        ("script_name", "/"),
        ("script_name", "/a?b"),
        ("script_name", None),
        ("server_name", "Sho\r\np"),
        ("server_name", "Dewar\u2122"),
        ("server_name", ""),
        ("bind", ""),
        ("bind", "a\nb"),
        ("trusted_hosts", None),
        ("max_body", -1),
    ],
)
def test_what_can_not_be_is_refused(name: str, value: object) -> None:
    """A value that would only fail later does not come in."""
    assert not BY_NAME[name].holds(value)


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("threads", 4, 4),
        ("max_body", "512k", 524288),
        ("max_body", 7, 7),
        ("max_body", "NONE", None),
        ("keep_alive", "2m", 120),
        ("keep_alive", 2, 2),
        ("bind", ["a:1", "unix:/x"], "a:1,unix:/x"),
        ("trusted_hosts", [], ""),
        ("access_log", True, True),
    ],
)
def test_a_file_may_use_the_types_of_toml(name: str, given_: object, value: object) -> None:
    """Numbers as numbers or with a unit, several texts as an array."""
    assert BY_NAME[name].accept(given_) == value


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("threads", "4"),
        ("threads", True),
        ("access_log", "yes"),
        ("bind", [1]),
        ("unix_mode", 660),
        ("keep_alive", True),
    ],
)
def test_a_file_may_not_use_others(name: str, given_: object) -> None:
    """A number in quotes is a slip."""
    with pytest.raises(ValueError, match=r"."):
        BY_NAME[name].accept(given_)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("Yes", True), (" on ", True), ("false", False), ("0", False), ("off", False)],
)
def test_a_variable_is_on_or_off(text: str, value: bool) -> None:
    """In the words that are used for it."""
    assert BY_NAME["preload"].read(text) is value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_quoted(text: str) -> None:
    """`quote` writes a string of TOML for whatever a path may be, on one line."""
    written = quote(text)
    assert tomllib.loads(f"x = {written}") == {"x": text}
    assert "\n" not in written
    assert "\r" not in written
