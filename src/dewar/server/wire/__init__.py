"""HTTP/1.1 as data: bytes in, requests out, heads and chunks back. No socket, no thread."""
