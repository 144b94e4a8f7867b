"""The settings of a server, the kinds of their values, and the sources they come from."""
