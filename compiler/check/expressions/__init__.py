"""Expressions: their types, and their form as data."""

from . import calls, expressions, operators

__all__ = ["calls", "expressions", "operators"]
