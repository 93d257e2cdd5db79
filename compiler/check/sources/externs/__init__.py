"""Where externs come from: one file per source, and the table that lists them."""
