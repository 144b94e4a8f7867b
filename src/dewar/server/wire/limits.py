"""The limits of a request."""

from dataclasses import dataclass

KIB = 1024
GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of one request; each has its own status.

    Args:
        request_line: Bytes of the request line without its end; 414 above it. Apache
            ``LimitRequestLine`` 8190, nginx 8192, gunicorn 4094.
        header_count: Fields in a head, and in a trailer; 431 above it. Apache and gunicorn 100,
            Tomcat 100.
        header_bytes: Bytes of a head's fields with their line ends, and separately of a body's
            trailers and chunk extensions together; 431 above it. waitress 256 KiB, uvicorn 64 KiB,
            node 16 KiB.
        body: Bytes of a body; 413 above it; ``None`` for no limit. Apache 1 GiB (since 2.4.53),
            nginx 1 MiB, IIS 30 MB. Large bodies are on disk, not in memory.
        buffered_body: Bytes of a body that are kept in memory; a larger one goes to a temporary
            file. waitress 512 KiB, Django 2.5 MiB.
        spooled: Bytes of all bodies of a process that are in temporary files at a time; 503 above
            it, and 413 for a body that is larger by itself; ``None`` for no limit.
    """

    request_line: int = 8190
    header_count: int = 100
    header_bytes: int = 64 * KIB
    body: int | None = GIB
    buffered_body: int = 512 * KIB
    spooled: int | None = 4 * GIB
