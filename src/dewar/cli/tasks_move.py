"""``dewar tasks move``: moves all jobs of an app to another database."""

import click

from dewar.cli.tasks_interface import tasks_of

#: After how many rows it is said how far the move is.
_STEP = 100_000


@click.command("move", short_help="Move all jobs to another database.")
@click.option("--to", required=True, help="The URL or the path of the new ledger.")
@click.option("--schema", help="Its schema in PostgreSQL, as in TASKS_SCHEMA.")
@click.option("--force", is_flag=True, help="Also if the old one seems in use, or was moved.")
@click.pass_context
def move_command(ctx: click.Context, to: str, schema: str | None, force: bool) -> None:
    """Move the ledger: all jobs, callbacks and rates. Stop all processes of the app before.

    After an error the old ledger can be used as before. If the command is killed, repeat it.
    """
    tasks = tasks_of(ctx)
    from dewar.tasks.ledger.moving import move_ledger

    said: dict[str, int] = {}

    def note(table: str, done: int) -> None:
        if done >= said.get(table, 0) + _STEP:
            said[table] = done
            click.echo(f"{table}: {done} rows ...")

    counts = move_ledger(
        tasks.ledger_location(),
        to,
        schema=tasks.settings().schema,
        to_schema=schema,
        force=force,
        note=note,
    )
    for table, count in counts.items():
        click.echo(f"{table}: {count} rows")
    click.echo(
        "The jobs are moved. Before you start the app again, set TASKS_LEDGER to the new ledger"
        + ("." if schema is None else f", and TASKS_SCHEMA to {schema!r}.")
    )
