"""The loader of all templates of an app. An app that has no templates does not import it."""

from jinja2 import BaseLoader

from dewar.template_lookup import TemplatedApp, TemplatesOfAll


def global_loader(app: TemplatedApp) -> BaseLoader:
    """Return the loader of the templates of an app and its blueprints."""
    return TemplatesOfAll(app)
