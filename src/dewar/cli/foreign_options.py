"""Hints for those who give an option of gunicorn or uWSGI."""

from dewar.cli.uwsgi_options import UWSGI
from dewar.server.gunicorn.names import GUNICORN, Fate, GunicornName


def maybe_foreign_hint(option: str) -> str | None:
    """Return what to give instead of an option of gunicorn or uWSGI; None for any other option."""
    for known in GUNICORN.values():
        if option in known.flags:
            return _of_gunicorn(option, known)
    if not option.startswith("--"):
        return None
    other = UWSGI.get(option.removeprefix("--"))
    return None if other is None else _hint("uWSGI", option, other.ours, other.note)


def _of_gunicorn(option: str, known: GunicornName) -> str:
    if known.fate is Fate.APPLIED and not known.ours:
        return (
            f"{option!r} is an option of gunicorn. Here {known.name!r} works in a file alone,"
            f" named with '-c gunicorn.conf.py' ({known.note})."
        )
    return _hint("gunicorn", option, known.ours, known.note)


def _hint(server: str, option: str, ours: str, note: str) -> str:
    more = f" ({note})" if note else ""
    if ours:
        return f"{option!r} is an option of {server}. Here it is {ours!r}{more}."
    return f"{option!r} is an option of {server}, with nothing to give here{more}."
