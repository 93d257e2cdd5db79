"""The built-in types, by name, as check, completion, hover and the docs read them."""

from __future__ import annotations

TYPES: dict[str, str] = {
    "str": "Text.",
    "int": "A whole number.",
    "float": "A number.",
    "bool": "true or false.",
    "date": "A calendar date, as `2024-05-31`.",
    "datetime": "A date and time in ISO 8601.",
    "any": "Any JSON value.",
    "image": "An image, as an input: a path, a URL or data.",
    "audio": "A recording, as an input: a path or data.",
    "file": "A PDF or a text file, as an input: a path, a URL or data.",
    "history": "Earlier turns of the same signature, as an input; they become messages.",
    "list": "`list[T]`: a list of values of one type.",
    "dict": "`dict[K, V]`: values by key.",
    "tuple": "`tuple[A, B]`: so many values, each of its own type.",
}
"""Built-in types."""
