"""The isolation check on the command line: ``dewar self-check``."""

from concurrent.futures import ThreadPoolExecutor

import click

from dewar import Dewar
from examples.tour.application import app


def mixed_up(subject: Dewar, names: list[str], hold: float = 0) -> list[str]:
    """Send a request for each name, all at once; return the names that saw another's state."""

    def sees_only_itself(name: str) -> bool:
        response = subject.test_client().get(
            "/api/whoami", query_string={"name": name, "hold": hold}
        )
        return bool(response.json and set(response.json["saw"].values()) == {name})

    with ThreadPoolExecutor(len(names)) as pool:
        checked = zip(names, pool.map(sees_only_itself, names), strict=True)
        return [name for name, isolated in checked if not isolated]


@app.cli.command("self-check")  # type: ignore[untyped-decorator]  # until AppGroup.command is typed
@click.option("--requests", default=32, type=click.IntRange(1, 256), show_default=True)
def self_check(requests: int) -> None:
    """Send many requests at once, and check that each sees only its own state."""
    names = [f"visitor-{number}" for number in range(1, requests + 1)]
    failed = mixed_up(app, names, hold=0.05)
    click.echo(f"{requests - len(failed)} of {requests} requests saw only their own state.")
    if failed:
        raise click.ClickException(f"These saw another request's state: {', '.join(failed)}")
