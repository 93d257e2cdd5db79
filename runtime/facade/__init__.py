"""dspec: run optimized language-model programs. `from dspec import load` is all an application needs."""
