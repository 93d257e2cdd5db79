"""Where rows come from: one file per source, and the table that lists them."""
