"""Files that the tests of a release need, but that are missing in its archive."""
