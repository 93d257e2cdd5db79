"""How diagnostics look in a terminal. Machine formats are in `formats`."""

from .human import render, summary

__all__ = ["render", "summary"]
