"""Arguments in a few characters."""

import pytest

from dewar.cli.job_arguments import shown_arguments
from dewar.support.redaction import secret_names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[[], {}]", "()"),
        ('[["a.png", 3], {"wide": true}]', '("a.png", 3, wide=true)'),
        ('[[{"api_key": "k", "n": [1]}], {}]', '({"api_key": "***", "n": [1]})'),
        ('[["https://u:p@h/?token=t&a=1"], {}]', '("https://h/?token=***&a=1")'),
        ('[["\\u001b[2J"], {}]', '("\\u001b[2J")'),
        ("[1", "(unreadable)"),
        ('"text"', "(unreadable)"),
        ("x" * 200_000, "(200,000 characters)"),
    ],
)
def test_arguments_are_one_short_line(text: str, shown: str) -> None:
    """As in a call, without credentials, whatever the ledger has."""
    assert shown_arguments(text, (), secret_names()) == shown


def test_the_name_of_a_parameter_tells_a_credential() -> None:
    """Also of a value that was given by its place."""
    shown = shown_arguments('[["ann", "hunter2"], {}]', ("user", "password"), secret_names())
    assert shown == '("ann", ***)'
