"""Settings for gunicorn that not every version has a flag for: in a file, it skips the unknown."""

# The control socket would be made in the home folder, and two gunicorns would meet there.
control_socket_disable = True
