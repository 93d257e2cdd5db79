"""Diagnostics: the record, the table of codes, and every form in which they are shown."""
