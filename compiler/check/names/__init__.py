"""Names: which declaration each use of a name means."""
