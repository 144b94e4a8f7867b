"""Errors that debug mode raises for requests that are probably a mistake."""

from typing import Protocol

from werkzeug.datastructures import MultiDict

from dewar.errors import DewarError


class FormRequest(Protocol):
    """The members of a request that an explanation uses."""

    @property
    def form(self) -> MultiDict[str, str]:
        """The form that was sent."""

    @property
    def mimetype(self) -> str:
        """How it was sent."""


class DebugFilesKeyError(DewarError, KeyError, AssertionError):
    """Raised in debug mode when a file is read from a form that could not send files.

    It is a `KeyError` and an `AssertionError`, as Flask's is.
    """

    def __init__(self, request: FormRequest, key: str) -> None:
        names = [f"{name!r}" for name in request.form.getlist(key)]
        self._message = (
            f"You tried to access the file {key!r} in request.files, but it does not exist. The"
            f" form was sent as {request.mimetype!r}, so no file contents were transmitted. To"
            ' upload files, write <form method="post" enctype="multipart/form-data">.'
        )
        if names:
            self._message += f" This was submitted: {', '.join(names)}."
        super().__init__(key)

    def __str__(self) -> str:
        return self._message
