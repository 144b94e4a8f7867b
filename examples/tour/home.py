"""The home page: an introduction and all routes of the app."""

import inspect
from dataclasses import dataclass

from dewar import current_app, render_template
from examples.tour.application import app


@dataclass(frozen=True)
class Route:
    """A row in the table of routes."""

    path: str
    methods: str
    does: str


@app.get("/")
def home() -> str:
    """Show an introduction, the pages and the routes."""
    return render_template("home.html", routes=routes())


def routes() -> list[Route]:
    """Return the routes by path, each with the first line of its view's docstring."""
    found = []
    for rule in current_app.url_map.iter_rules():
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        does = inspect.getdoc(current_app.view_functions[rule.endpoint]) or rule.endpoint
        found.append(Route(rule.rule, " ".join(methods), does.partition("\n")[0]))
    return sorted(found, key=lambda route: (route.path, route.methods))
