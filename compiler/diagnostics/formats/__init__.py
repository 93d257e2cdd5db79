"""Diagnostics for machines, a file for each: JSON, SARIF, GitHub annotations, and one line each.

All take diagnostics in the order they are to appear and return text without a line end at the end.
"""
