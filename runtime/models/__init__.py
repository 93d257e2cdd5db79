"""Models: the engine, what it remembers, and the ways to reach an endpoint."""
