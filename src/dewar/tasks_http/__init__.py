"""The HTTP face of tasks: a blueprint that tells of jobs and cancels them."""
