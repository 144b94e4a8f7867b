import json
import tomllib
from datetime import timedelta
from types import SimpleNamespace

import flask
import pytest

from dewar.config import (
    Config,
    ConfigAttribute,
    ConfigKeyError,
    ConfigVariableError,
    default_config,
)
from dewar.errors import DewarError


@pytest.fixture
def config(tmp_path):
    """An empty config over an empty folder."""
    return Config(tmp_path)


@pytest.fixture
def environ(monkeypatch):
    """Sets environment variables for one test."""

    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_default_config_is_flasks():
    """An app starts with the settings that a Flask app starts with."""
    assert default_config() == dict(flask.Flask.default_config)


def test_default_config_is_the_callers_own():
    """Changing one app's defaults leaves those of the next app alone."""
    default_config()["DEBUG"] = True
    assert default_config()["DEBUG"] is None


def test_config_copies_its_defaults():
    """The dict given as defaults stays as it was."""
    defaults = {"A": 1}
    config = Config(".", defaults)
    config["A"] = 2
    assert defaults == {"A": 1}


def test_from_object_takes_capitals_only(config):
    """Names in capitals are settings; all others are the module's own business."""
    config.from_object(SimpleNamespace(KEY="value", Key="no", key="no", _KEY="hidden"))
    assert config == {"KEY": "value", "_KEY": "hidden"}


def test_from_object_reads_classes_and_properties(config):
    """A class gives what it inherits; its properties need an instance."""

    class Base:
        NAME = "base"

    class Production(Base):
        PORT = 80

        @property
        def URL(self):
            return f"http://{self.NAME}:{self.PORT}"

    config.from_object(Production())
    assert config == {"NAME": "base", "PORT": 80, "URL": "http://base:80"}


def test_from_object_imports_by_name(config):
    """A string is the import name of the object."""
    config.from_object("http.HTTPStatus")
    assert config["NOT_FOUND"] == 404


def test_from_object_names_what_it_can_not_import(config):
    """An import name that leads nowhere is an ImportError with that name."""
    with pytest.raises(ImportError, match="no_such_module_here"):
        config.from_object("no_such_module_here.settings")


def test_from_pyfile_runs_the_file(config, tmp_path):
    """A Python file may compute its settings, and knows its own name."""
    (tmp_path / "settings.cfg").write_text(
        "import math\nSIDES = math.floor(4.5)\nHERE = __file__\n"
    )
    assert config.from_pyfile("settings.cfg") is True
    assert config == {"SIDES": 4, "HERE": str(tmp_path / "settings.cfg")}


def test_from_pyfile_obeys_the_encoding_line(config, tmp_path):
    """The file's bytes are read as Python reads them."""
    (tmp_path / "old.cfg").write_bytes(
        "# -*- coding: latin-1 -*-\nNAME = 'Grün'\n".encode("latin-1")
    )
    config.from_pyfile("old.cfg")
    assert config["NAME"] == "Grün"


@pytest.mark.parametrize("name", ["missing.cfg", ".", "file.cfg/inside.cfg"])
def test_a_missing_file_can_be_passed_over(config, tmp_path, name):
    """No file, a folder, or a file in the place of a folder: silent loaders answer False."""
    (tmp_path / "file.cfg").write_text("A = 1")
    assert config.from_pyfile(name, silent=True) is False
    assert config.from_file(name, load=json.load, silent=True) is False
    assert config == {}


@pytest.mark.parametrize(
    "load",
    [
        lambda config, name: config.from_pyfile(name),
        lambda config, name: config.from_file(name, load=json.load),
    ],
    ids=["pyfile", "file"],
)
def test_a_missing_file_is_named(config, load):
    """Without silent it is an OSError that says what was wanted, and where."""
    with pytest.raises(FileNotFoundError) as caught:
        load(config, "missing.cfg")
    message = str(caught.value)
    assert "Unable to load configuration file (No such file or directory)" in message
    assert message.endswith("missing.cfg'")


def test_silent_does_not_hide_errors_inside_the_file(config, tmp_path):
    """Silence is for a missing file, not for what goes wrong while it runs."""
    (tmp_path / "settings.cfg").write_text("SECRET = open('/no/such/secret').read()")
    with pytest.raises(FileNotFoundError, match="/no/such/secret"):
        config.from_pyfile("settings.cfg", silent=True)


def test_from_envvar_follows_the_variable(config, tmp_path, environ):
    """The variable names the file."""
    (tmp_path / "settings.cfg").write_text("PORT = 8080")
    environ(SHOP_SETTINGS=str(tmp_path / "settings.cfg"))
    assert config.from_envvar("SHOP_SETTINGS") is True
    assert config == {"PORT": 8080}


def test_from_envvar_explains_an_unset_variable(config, environ):
    """An unset or empty variable is an error that shows how to set it."""
    environ(SHOP_EMPTY="")
    assert config.from_envvar("SHOP_EMPTY", silent=True) is False
    for name in ("SHOP_EMPTY", "SHOP_UNSET"):
        with pytest.raises(
            ConfigVariableError, match=f"'{name}' is not set.*export {name}="
        ) as caught:
            config.from_envvar(name)
        assert isinstance(caught.value, (RuntimeError, DewarError))
        assert caught.value.variable == name


def test_from_file_reads_text_and_bytes(config, tmp_path):
    """The loader gets the open file: as text, or as bytes where it asks for them."""
    (tmp_path / "a.json").write_text('{"CITY": "Zürich", "small": 1}', encoding="utf-8")
    (tmp_path / "b.toml").write_text("PORT = 1")
    assert config.from_file("a.json", load=json.load) is True
    assert config.from_file("b.toml", load=tomllib.load, text=False) is True
    assert config == {"CITY": "Zürich", "PORT": 1}


def test_from_mapping_takes_capitals_only(config):
    """Mappings, pairs and keywords all count, and keywords win."""
    assert config.from_mapping({"A": 1, "b": 2}, A=3, C=4) is True
    assert config.from_mapping([("D", 5)]) is True
    assert config.from_mapping() is True
    assert config == {"A": 3, "C": 4, "D": 5}


def test_from_prefixed_env_reads_json_or_text(config, environ):
    """A value that is JSON is loaded; anything else is the text itself."""
    environ(DEWAR_N="8", DEWAR_S="eight", DEWAR_L='["a"]', DEWAR_OK="true", OTHER_N="1")
    assert config.from_prefixed_env() is True
    assert config == {"N": 8, "S": "eight", "L": ["a"], "OK": True}


def test_from_prefixed_env_takes_any_prefix_and_loader(config, environ):
    """Programs that come from Flask keep their prefix; a loader may fail as it likes."""
    environ(FLASK_N="8", FLASK_M="x")
    config.from_prefixed_env("FLASK", loads=int)
    assert config == {"N": 8, "M": "x"}


def test_from_prefixed_env_reaches_into_dicts(config, environ):
    """A double underscore sets an item, and makes the dicts on the way."""
    config["MAIL"] = {"HOST": "here", "PORT": 25}
    environ(DEWAR_MAIL__HOST="there", DEWAR_DB__MAIN__NAME="shop")
    config.from_prefixed_env()
    assert config["MAIL"] == {"HOST": "there", "PORT": 25}
    assert config["DB"] == {"MAIN": {"NAME": "shop"}}


def test_from_prefixed_env_explains_a_step_into_nothing(config, environ):
    """An item of a setting that is no dict is a mistake with both names in it."""
    environ(DEWAR_MAIL="a", DEWAR_MAIL__HOST="b")
    with pytest.raises(
        ConfigKeyError, match=r"'DEWAR_MAIL__HOST' .* 'MAIL', which is 'str'"
    ) as caught:
        config.from_prefixed_env()
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("lowercase", "trim", "keys"),
    [
        (True, True, {"host", "port"}),
        (False, True, {"HOST", "PORT"}),
        (True, False, {"mail_host", "mail_port"}),
        (False, False, {"MAIL_HOST", "MAIL_PORT"}),
    ],
)
def test_get_namespace_gives_keyword_arguments(config, lowercase, trim, keys):
    """The settings with one prefix, as another function wants to have them."""
    config.from_mapping(MAIL_HOST="a", MAIL_PORT=1, MAILER="no")
    assert set(config.get_namespace("MAIL_", lowercase, trim)) == keys


def test_repr_shows_class_and_content():
    """A config is told apart from a plain dict."""
    assert repr(Config(".", {"A": 1})) == "<Config {'A': 1}>"


class AppWithSettings:
    testing = ConfigAttribute("TESTING")
    lifetime = ConfigAttribute("LIFETIME", get_converter=lambda days: timedelta(days=days))

    def __init__(self):
        self.config = {"TESTING": False, "LIFETIME": 2}


def test_config_attribute_forwards_both_ways():
    """The attribute is the setting: read, converted, and written."""
    app = AppWithSettings()
    app.testing = True
    assert app.config["TESTING"] is True
    assert app.testing is True
    assert app.lifetime == timedelta(days=2)


def test_config_attribute_on_the_class_is_itself():
    """Without an app there is nothing to forward to."""
    assert isinstance(AppWithSettings.testing, ConfigAttribute)
    assert repr(AppWithSettings.testing) == "<ConfigAttribute 'TESTING'>"
