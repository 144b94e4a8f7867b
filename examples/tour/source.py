"""Quotes the code behind a page, so that what the page shows is what runs."""

import inspect

from dewar import current_app


def source_of(*endpoints: str) -> str:
    """Give the source of the views with these endpoints, one after the other."""
    views = (current_app.view_functions[endpoint] for endpoint in endpoints)
    return "\n\n".join(inspect.getsource(view).rstrip() for view in views)
