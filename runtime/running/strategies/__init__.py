"""How a module answers its signature: one file per strategy, and the table that lists them."""
