"""HTTP/1.1 as data: bytes become requests, responses become bytes. No sockets, no threads."""
