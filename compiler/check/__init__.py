"""Names and types: from syntax trees to checked values, one file per kind of declaration."""
