"""The current app, request, session and `g` of a thread, greenlet or task."""
