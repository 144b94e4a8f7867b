"""What is current: the app, the request, the session and `g` of the running owner."""
