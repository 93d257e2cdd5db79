"""Types: what a type's name stands for, and what an expression may be."""
