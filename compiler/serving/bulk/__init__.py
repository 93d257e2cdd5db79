"""Answers for all rows of a file, by a program: streamed, and gone on with after any end."""
