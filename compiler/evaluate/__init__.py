"""Scoring programs on rows: the one way in which a compile spends model calls."""
