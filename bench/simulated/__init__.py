"""Simulated tasks for `bench/optimizers.py`: a model whose every program's true score can be computed."""
