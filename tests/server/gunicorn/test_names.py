"""The table of gunicorn's settings knows all of them, and leads to flags that exist."""

import click
import pytest
from gunicorn.config import KNOWN_SETTINGS

from dewar.cli.run import run_command
from dewar.server.gunicorn.names import GUNICORN, Fate
from dewar.server.gunicorn.values import _RULES


@pytest.mark.parametrize("known", KNOWN_SETTINGS, ids=lambda known: known.name)
def test_each_setting_of_gunicorn_is_in_the_table_with_its_flags(known: type) -> None:
    """One that is not would have no effect, and nobody would be told. Newer names are ours too."""
    ours = GUNICORN[known.name]
    shared = {option for param in run_command.params for option in param.opts}
    missing = {flag for flag in known.cli or () if flag not in shared} - set(ours.flags)
    assert missing <= {"-R", "-e", "-p", "-c"} | shared, ours


def test_each_flag_that_the_table_leads_to_exists() -> None:
    """And takes what is said."""
    options = {
        option
        for param in run_command.params
        if isinstance(param, click.Option)
        for option in param.opts
    }
    for known in GUNICORN.values():
        if known.ours.startswith("-"):
            assert known.ours.split()[0] in options, known


def test_each_setting_that_gives_one_of_ours_has_a_rule() -> None:
    """Or is one of those that are read together with others."""
    together = {
        "threads", "worker_class", "ca_certs", "cert_reqs", "ciphers", "ssl_context",
        "proxy_protocol", "proxy_allow_ips", "accesslog",
    }  # fmt: skip
    named = {known.name for known in GUNICORN.values() if known.fate is Fate.SETTING}
    assert named == set(_RULES) | together


def test_each_setting_without_effect_says_why() -> None:
    """The warning leads to a page that has the reason."""
    for known in GUNICORN.values():
        if known.fate is not Fate.SETTING:
            assert known.note, known
