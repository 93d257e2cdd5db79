"""What an editor may ask of a document: one file per request, and the table that lists them."""
