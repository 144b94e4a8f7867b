"""The source code of a page's views, so that a page shows the code that runs."""

import inspect

from dewar import current_app


def source_of(*endpoints: str) -> str:
    """Return the source of the views with these endpoints."""
    views = (current_app.view_functions[endpoint] for endpoint in endpoints)
    return "\n\n".join(inspect.getsource(view).rstrip() for view in views)
