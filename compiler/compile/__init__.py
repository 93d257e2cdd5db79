"""Compiling: plan, run the steps, select, and say where the result comes from."""
