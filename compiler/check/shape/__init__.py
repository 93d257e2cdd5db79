"""The shape of declarations: what a block, an attribute and an argument may be."""
