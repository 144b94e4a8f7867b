"""Runs other projects' published tests on Dewar, and the same tests on Flask beside it."""
