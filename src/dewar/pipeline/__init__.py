"""The life of a request, from the environ to the response."""
