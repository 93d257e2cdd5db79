"""DS02: imports, and names of imported files."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed, nouns
from .base import Code, Finding
from .snippets import LMS

DS0204 = Code(
    "DS0204",
    "error",
    "import not found",
    "The path in an import is relative to the file that imports, and must lead to a readable text file.",
    'dspec 1\n\nimport "lm.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    LMS,
)


class CannotImport(Finding, frozen=True):
    """`near` are sources with similar paths; they are looked for where there is no such file."""

    code = DS0204
    path: str
    reason: str
    near: tuple[str, ...] = ()
    missing: bool = False

    def told(self) -> Diagnostic:
        return self.says(
            f'cannot import "{self.path}": {self.reason}{did_you_mean(self.near)}',
            "not found" if self.missing else "cannot be imported",
            fixes=suggestions(self.where, tuple(f'"{name}"' for name in self.near)),
        )


DS0207 = Code(
    "DS0207",
    "error",
    "import from outside the project",
    "Checking a project reads nothing outside its root, the nearest folder above the file with a "
    "`dspec.toml`, "
    "a `pyproject.toml` or a `.git`.",
    'dspec 1\n\nimport "../other/lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm '
    "= lms.judge)\n",
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    LMS,
)


class OutsideProject(CannotImport, frozen=True):
    code = DS0207


DS0208 = Code(
    "DS0208",
    "error",
    "not in the imported file",
    "The imported file can be read, and it declares nothing of this kind by this name.",
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.jugde)\n',
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    LMS,
)


class NotInFile(Finding, frozen=True):
    """An imported `file` declares nothing of these `kinds` by that name; `known` are those that it declares."""

    code = DS0208
    file: str
    alias: Location
    kinds: tuple[str, ...]
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, wanted = self.where.text, nouns(self.kinds)
        near = closest(name, self.known)
        there = f"it declares {listed(self.known)}" if self.known else f"it declares no {wanted} at all"
        return self.says(
            f"`{self.file}` declares no {wanted} named `{name}`{did_you_mean(near)}",
            "not declared there",
            secondary=(Label(self.alias, f"`{self.alias.text}` is imported here"),),
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
        )


DS0214 = Code(
    "DS0214",
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
)


class ImportsInCircle(Finding, frozen=True):
    """`files` leads from a file back to it."""

    code = DS0214
    files: tuple[str, ...]

    def told(self) -> Diagnostic:
        if len(self.files) == 2:
            return self.says(
                "this file imports itself",
                "closes the circle",
                help="a file's own names need no alias",
            )
        return self.says(
            f"these files import each other in a circle: {' → '.join(self.files)}",
            "closes the circle",
            help="move what both need into a third file",
        )
