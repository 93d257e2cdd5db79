"""The kinds of semantic tokens, as the legend lists them."""

TOKEN_TYPES = (
    "namespace", "type", "struct", "class", "function", "variable", "parameter", "property", "enumMember",
    "keyword", "string", "number", "comment",
)  # fmt: skip
MODIFIERS = ("declaration", "defaultLibrary", "readonly")
