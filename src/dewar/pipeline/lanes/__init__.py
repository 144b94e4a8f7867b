"""The ways in which a request is answered, which give the same answers."""
