"""Expressions: their types, and their form as data."""
