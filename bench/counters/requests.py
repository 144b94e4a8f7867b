"""A request that is counted: as an environ, and as bytes."""

import io
from dataclasses import dataclass, field
from wsgiref.types import WSGIEnvironment

from bench.micro.in_process import environ


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. On the wire, it has the fields that `environ` has too, and ``fields``."""

    path: str = "/"
    query: str = ""
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def environ(self) -> WSGIEnvironment:
        """Return a new environ."""
        made = environ(self.path, self.query)
        made["REQUEST_METHOD"] = self.method
        for name, value in self.fields.items():
            made[_environ_key(name)] = value
        if self.body:
            made["CONTENT_LENGTH"] = str(len(self.body))
            made["wsgi.input"] = io.BytesIO(self.body)
        return made

    def message(self) -> bytes:
        """Return the bytes."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        fields = {"Host": "127.0.0.1:8000", "User-Agent": "bench", "Accept": "*/*"} | self.fields
        if self.body:
            fields["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key == "CONTENT_TYPE" else f"HTTP_{key}"
