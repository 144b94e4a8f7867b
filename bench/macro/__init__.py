"""Measurements of whole servers, each in a process of its own."""
