"""Compiled programs at work: rows of a file answered in bulk, and a server."""
