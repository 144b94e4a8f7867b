"""The loader of a folder of templates. An app that has no templates does not import it."""

from jinja2 import BaseLoader, FileSystemLoader


def folder_loader(folder: str) -> BaseLoader:
    """Return the loader of the templates in a folder."""
    return FileSystemLoader(folder)
