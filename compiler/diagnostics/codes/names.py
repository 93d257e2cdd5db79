"""DS02: names, imports and files."""

from __future__ import annotations

from .base import Code
from .snippets import DATA, MODULE, TICKETS, TOOLS

LMS = {"lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n'}

NAMES: dict[str, Code] = {
    "DS0201": Code(
        "error",
        "unknown name",
        "Nothing of the wanted kind has this name, neither in this file nor in an imported one. "
        "Suggestions are of "
        "the kind that would fit.",
        MODULE + "module second = Predict(Rout)\n",
        MODULE + "module second = Predict(Route)\n",
    ),
    "DS0202": Code(
        "error",
        "name of the wrong kind",
        "The name exists and stands for something else than what is needed here.",
        MODULE + "module second = Predict(mini)\n",
        MODULE + "module second = Predict(Route)\n",
    ),
    "DS0203": Code(
        "error",
        "declared twice",
        "All declarations of a file share one set of names, and so do the fields of a block, the values "
        "of a program "
        "and the steps of an optimize block.",
        MODULE + 'lm mini { model = "openai/gpt-4o" }\n',
        MODULE
        + 'lm large { model = "openai/gpt-4o" }\nmodule second = Predict(Route, lm = large)\n'.replace(
            "lm large {", "lm large { default = true;"
        ),
    ),
    "DS0204": Code(
        "error",
        "import not found",
        "The path in an import is relative to the file that imports, and must lead to a readable text file.",
        'dspec 1\n\nimport "lm.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = '
        "lms.judge)\n",
        'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = '
        "lms.judge)\n",
        LMS,
    ),
    "DS0205": Code(
        "warning",
        "never used",
        "A name is declared and nothing reads it: left over, or a misspelling elsewhere.",
        MODULE + 'import "lms.dspec" as lms\n',
        MODULE + 'import "lms.dspec" as lms\nmodule second = Predict(Route, lm = lms.judge)\n',
        LMS,
    ),
    "DS0206": Code(
        "error",
        "Python function not found",
        '`python("module:function")` names a function in a file of the project: the module is looked for '
        "beside the source, in the project's root and in its `src`, and read without being imported.",
        'dspec 1\n\nextern find(query: str) -> list[str] = python("tools:serch")\n',
        'dspec 1\n\nextern find(query: str) -> list[str] = python("tools:search")\n',
        TOOLS,
    ),
    "DS0207": Code(
        "error",
        "import from outside the project",
        "Checking a project reads nothing outside its root, the nearest folder above the file with a "
        "`dspec.toml`, "
        "a `pyproject.toml` or a `.git`.",
        'dspec 1\n\nimport "../other/lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm '
        "= lms.judge)\n",
        'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = '
        "lms.judge)\n",
        LMS,
    ),
    "DS0208": Code(
        "error",
        "not in the imported file",
        "The imported file can be read, and it declares nothing of this kind by this name.",
        'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = '
        "lms.jugde)\n",
        'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = '
        "lms.judge)\n",
        LMS,
    ),
    "DS0209": Code(
        "error",
        "built-in name",
        "The names of built-in types cannot be declared again, since they would change what every other "
        "line means.",
        'dspec 1\n\ntype date = "today" | "tomorrow"\n',
        'dspec 1\n\ntype Day = "today" | "tomorrow"\n',
    ),
    "DS0210": Code(
        "error",
        "defined by way of itself",
        "Following the definitions leads back to where they started. Types may refer to themselves only "
        "through a "
        "record, and programs have no recursion.",
        "dspec 1\n\ntype Node = list[Node]\n",
        "dspec 1\n\nrecord Node { field children: list[Node] }\n",
    ),
    "DS0211": Code(
        "error",
        "unknown strategy or source",
        "A module names the strategy that answers its signature, a dataset names the format of its file, "
        "an extern "
        "names where its function lives. This word is none of those known.",
        MODULE + "module second = ChainOfThougt(Route)\n",
        MODULE + "module second = ChainOfThought(Route)\n",
    ),
    "DS0212": Code(
        "error",
        "unknown function",
        "Expressions may call the built-in functions; programs may call modules besides. There are no "
        "user-defined "
        "functions.",
        DATA + "metric right(gold: tickets, pred: router) = exact_mach(gold.topic, pred.topic)\n",
        DATA + "metric right(gold: tickets, pred: router) = exact_match(gold.topic, pred.topic)\n",
        TICKETS,
    ),
    "DS0214": Code(
        "error",
        "imports in a circle",
        "Two files that import each other cannot be understood one after the other. What both need "
        "belongs in a "
        "third file.",
        'dspec 1\n\nimport "main.dspec" as main\nmodule ask = Predict(main.Ask)\n'
        'lm mini { model = "openai/gpt-4o-mini" }\nsignature Ask { input question: str; output answer: '
        "str }\n",
        "dspec 1\n\nmodule ask = Predict(Ask)\n"
        'lm mini { model = "openai/gpt-4o-mini" }\nsignature Ask { input question: str; output answer: '
        "str }\n",
    ),
}
