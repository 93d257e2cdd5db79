"""Declarations: one file per kind, which checks and lowers in one walk."""
