"""Calls the tools of programs: Python functions, searches, servers."""
