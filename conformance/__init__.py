"""Runs the published tests of other projects on Dewar, and for comparison on Flask."""
