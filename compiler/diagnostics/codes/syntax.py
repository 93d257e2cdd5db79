"""DS01: syntax, and the shape of declarations."""

from __future__ import annotations

from .base import Code
from .snippets import MODULE, TICKETS

SYNTAX: dict[str, Code] = {
    "DS0101": Code(
        "error",
        "unexpected text",
        "The parser met something that cannot stand there. The message names what could. Other declarations "
        "in the file are checked all the same.",
        'dspec 1\n\nlm mini { model "openai/gpt-4o-mini" }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
    "DS0102": Code(
        "error",
        "never closed",
        "A brace, bracket or parenthesis is opened and not closed before its declaration ends. A keyword "
        "at the "
        "start of a line always begins a new declaration, so the damage stays inside one.",
        'dspec 1\n\nlm mini {\n  model = "openai/gpt-4o-mini"\n\ntype Topic = "a" | "b"\n',
        'dspec 1\n\nlm mini {\n  model = "openai/gpt-4o-mini"\n}\n\ntype Topic = "a" | "b"\n',
    ),
    "DS0103": Code(
        "error",
        "unknown declaration",
        "A line that starts at the left margin begins a declaration, and its first word says which kind. "
        "This "
        "word is none of them.",
        "dspec 1\n\nsignatur Route { input text: str; output topic: str }\n",
        "dspec 1\n\nsignature Route { input text: str; output topic: str }\n",
    ),
    "DS0104": Code(
        "error",
        "not allowed here",
        "Every block is written in the same way, but each kind of declaration takes its own items: a `step` "
        "belongs in an optimize block, an `output` in a signature. The message lists what may stand here.",
        "dspec 1\n\nrecord Line { output sku: str }\n",
        "dspec 1\n\nrecord Line { field sku: str }\n",
    ),
    "DS0105": Code(
        "error",
        "unknown attribute",
        "The block has no attribute or section of this name. A misspelt one would otherwise be ignored, "
        "and the "
        "setting would silently keep its default.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temprature = 0.0 }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0 }\n',
    ),
    "DS0106": Code(
        "error",
        "given twice",
        "One value is given in two places, and nothing says which one counts.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0; temperature = 1.0 }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0 }\n',
    ),
    "DS0107": Code(
        "error",
        "missing attribute",
        "The block cannot mean anything without this attribute.",
        "dspec 1\n\nlm mini { temperature = 0.0 }\n",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0 }\n',
    ),
    "DS0108": Code(
        "warning",
        "no language version",
        "A file says which version of the language it is written in, so that later compilers read it in "
        "the same "
        "way. `dspec 1` belongs on the first line.",
        'lm mini { model = "openai/gpt-4o-mini" }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
    "DS0109": Code(
        "error",
        "broken text in quotes",
        "Text in double quotes ends on the line where it starts; text in three double quotes may span "
        "lines. After "
        "a backslash only the known escapes may stand.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
    "DS0110": Code(
        "error",
        "wrong kind of value",
        "The attribute takes another kind of value: a number, text in quotes, `true` or `false`, one of a "
        "few words.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = "low" }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.2 }\n',
    ),
    "DS0111": Code(
        "error",
        "declaration of another shape",
        "Each kind of declaration is written in one way: with a block in braces, with `=`, with or "
        "without parameters. "
        "The help shows an example of this kind.",
        MODULE + "module second { signature = Route }\n",
        MODULE + "module second = ChainOfThought(Route)\n",
    ),
    "DS0112": Code(
        "error",
        "unknown language version",
        "The file asks for a version of the language that this compiler does not know, usually because "
        "the compiler "
        "is older than the file.",
        'dspec 7\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
    "DS0113": Code(
        "error",
        "nested too deeply",
        "Brackets or blocks stand inside each other beyond the depth that the parser follows. No program "
        "needs it; "
        "the limit keeps a hostile file from using up memory.",
        "dspec 1\n\nsignature S { input a: str; output b: int; assert b == "
        + "(" * 400
        + "1"
        + ")" * 400
        + " }\n",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
    "DS0114": Code(
        "error",
        "unknown character",
        "The language does not use this character outside text in quotes and comments.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; @ }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
    "DS0115": Code(
        "error",
        "number out of range",
        "The attribute or option takes numbers within bounds, both included.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 7 }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.7 }\n',
    ),
    "DS0120": Code(
        "error",
        "not supported yet",
        "The language has this, and this version of the toolchain cannot run it. The declaration is still "
        "checked "
        "for names and types; the file cannot be compiled while it is there.",
        MODULE + "module agent = ReAct(Route, tools = [])\n",
        MODULE + "module thinker = ChainOfThought(Route)\n",
        TICKETS,
    ),
}
