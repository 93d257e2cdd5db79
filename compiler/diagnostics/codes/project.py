"""DS08: evaluations, gates and the project as a whole."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean
from .base import Code, Finding
from .calls import UnknownField
from .snippets import METRIC, MODULE, TICKETS, optimize

EVAL = "eval ship { program = router; metric = right; data = tickets.test; "
TUNED = METRIC + optimize("step demos = BootstrapFewShot()")

UNUSED = 'import "lms.dspec" as lms'
LMS = {"lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n'}

DS0000 = Code(
    "DS0000",
    "error",
    "a bug in dspc",
    "The toolchain itself failed while it checked this place. The rest was checked; a report that a "
    "maintainer needs was written to a file, which the help names. No value from the environment and "
    "no data stands in it.",
    "",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class Crashed(Finding, frozen=True):
    """An exception that no check expected: its class, and the first line of what it says."""

    code = DS0000
    error: str
    words: str

    def told(self) -> Diagnostic:
        return self.says(
            f"dspc itself failed here: {self.error}" + (f": {self.words[:200]}" if self.words else ""),
            "could not be checked",
            notes=("this is a bug in dspc and no mistake of yours; everything else was checked",),
        )


DS0805 = Code(
    "DS0805",
    "warning",
    "scored on rows it was tuned on",
    "A program does better on the rows that it was tuned on than on new ones, so this score promises "
    "too much.",
    TUNED + "eval ship { program = v1; metric = right; data = tickets.train }\n",
    TUNED + "eval ship { program = v1; metric = right; data = tickets.test }\n",
    TICKETS,
)


class TunedOnThese(Finding, frozen=True):
    """A program is scored on rows that are its `role`, which stands at `rows`."""

    code = DS0805
    program: str
    role: str
    rows: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.program}` was tuned on `{self.rows.text}`, so its score on `{self.where.text}` says little",
            f"also its `{self.role}`",
            secondary=(Label(self.rows, f"`{self.role}` of `{self.program}`"),),
            help="score on rows that no step has seen",
        )


DS0815 = Code(
    "DS0815",
    "warning",
    "compared with itself",
    "The baseline is the program, so the gain is 0 whatever either is worth.",
    TUNED + "eval ship { program = v1; baseline = v1; metric = right; data = tickets.test }\n",
    TUNED + "eval ship { program = v1; baseline = router; metric = right; data = tickets.test }\n",
    TICKETS,
)


class ComparedWithItself(Finding, frozen=True):
    """An eval whose baseline is its program, which stands at `program`."""

    code = DS0815
    program: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is compared with itself, so its gain is 0 whatever it is worth",
            "also the program",
            secondary=(Label(self.program, "the same"),),
            help="name what it was made from, or leave `baseline` out",
        )


DS0806 = Code(
    "DS0806",
    "error",
    "gate without its baseline",
    "A gate reads `score`, the mean score of the program, and, in a block that names a `baseline`, "
    "`baseline.score`.",
    METRIC + EVAL + "gate score >= baseline.score }\n",
    METRIC + EVAL + "gate score >= 0.8 }\n",
    TICKETS,
)


class UnknownResult(UnknownField, frozen=True):
    code = DS0806


class NoBaseline(Finding, frozen=True):
    code = DS0806
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        return self.says(
            "this gate reads `baseline`, and the block names no baseline",
            "no baseline to compare with",
            help="add `baseline = …`",
            fixes=insert_item(self.room, "baseline = router", "Insert `baseline = …`"),
        )


DS0810 = Code(
    "DS0810",
    "error",
    "file cannot be read",
    "A source is a regular file of UTF-8 text inside the project's root, of at most 4 MiB. The "
    "check of all its declarations, and of those that it imports, takes a bounded number of steps. The "
    "message says which "
    "of these does not hold.",
    "",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class SourceUnreadable(Finding, frozen=True):
    """`reason` is the reader's."""

    code = DS0810
    reason: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.where.source.name}` cannot be read: {self.reason}")


class CheckTooLong(Finding, frozen=True):
    """The check ended after `steps`, with much of the file unchecked."""

    code = DS0810
    steps: int

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.source.name}` is not checked to its end: that takes more than {self.steps:,} steps",
            help="divide it into files that do not import each other",
        )


DS0811 = Code(
    "DS0811",
    "error",
    "settings cannot be read",
    "`dspec.toml` in the project's root, or `[tool.dspec]` in its `pyproject.toml`, sets the level of codes, one line each "
    "under `[severity]`: `off`, `hint`, `warning` or `error`; under `[budget]` what ends commands (`usd`, `calls`, `tokens`, "
    "`minutes`), and under `[paths]` the folder of artifacts (`compiled`). A key or a value that is not known would otherwise "
    "be ignored without a word.",
    '[severity]\nDS0607 = "none"\n',
    '[severity]\nDS0607 = "off"\n',
    about="dspec.toml",
)


class SettingsUnreadable(Finding, frozen=True):
    """`reason` is the reader's."""

    code = DS0811
    reason: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.source.name}` cannot be read: {self.reason}", "not TOML" if self.where.end else ""
        )


_TABLES = {
    "severity": ("a table of codes", '`[severity]` and `DS0607 = "off"`'),
    "budget": ("a table of amounts", "`[budget]` and `usd = 5.00`"),
    "paths": ("a table of folders", '`[paths]` and `compiled = "artifacts"`'),
}


class NoTable(Finding, frozen=True):
    """The table `name` is one value."""

    code = DS0811
    name: str

    def told(self) -> Diagnostic:
        what, example = _TABLES[self.name]
        return self.says(f"`{self.name}` is {what}", "unknown", help=f"for example {example}")


class UnknownSetting(Finding, frozen=True):
    """A name that the settings, or their table `of`, do not have among what is `known`."""

    code = DS0811
    name: str
    known: tuple[str, ...]
    of: str = ""

    def told(self) -> Diagnostic:
        near = closest(self.name, self.known)
        place = f"`[{self.of}]`" if self.of else f"`{self.where.source.name}`"
        return self.says(
            f"{place} has no setting `{self.name}`{did_you_mean(near)}",
            "unknown",
            help="" if near else f"it has {', '.join(f'`{one}`' for one in self.known)}",
            fixes=suggestions(self.where, near, guess=True),
        )


class NotASetting(Finding, frozen=True):
    """A value of `name` that is not what is `wanted`."""

    code = DS0811
    name: str
    wanted: str

    def told(self) -> Diagnostic:
        shown = self.where.text[:40] or "that"
        return self.says(
            f"`{self.name}` cannot be set to {shown}", "no such value", help=f"write {self.wanted}"
        )


DS0816 = Code(
    "DS0816",
    "warning",
    "settings in two places",
    "A project's settings stand in `dspec.toml`, or in `[tool.dspec]` of `pyproject.toml`. Where both are there, the first alone "
    "is read.",
    "",
    '[severity]\nDS0205 = "error"\n',
    about="dspec.toml",
)


class SettingsTwice(Finding, frozen=True):
    """`[tool.dspec]` stands beside a `dspec.toml`."""

    code = DS0816

    def told(self) -> Diagnostic:
        return self.says(
            "`[tool.dspec]` is not read: there is a `dspec.toml`",
            "not read",
            help="put the settings into one of the two files",
        )


class SetsNoCode(Finding, frozen=True):
    code = DS0811
    name: str
    codes: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.name, self.codes)
        return self.says(
            f"there is no code `{self.name}`{did_you_mean(near)}",
            "unknown",
            help="" if near else "`dspc explain` lists them all",
            fixes=suggestions(self.where, near, guess=True),
        )


class NotALevel(Finding, frozen=True):
    """What the code `name` is set to: a text, or another value as it is written."""

    code = DS0811
    name: str
    level: str
    text: bool
    levels: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.level, self.levels) if self.text else ()
        shown = f'"{self.level}"' if self.text else self.level
        return self.says(
            f"`{self.name}` cannot be set to {shown}" + (f'; did you mean "{near[0]}"?' if near else ""),
            "not a level",
            help="a level is " + ", ".join(f'"{name}"' for name in self.levels),
            fixes=tuple(
                replace(self.where, f'"{name}"', f'Replace with "{name}"', guess=True) for name in near
            ),
        )


DS0812 = Code(
    "DS0812",
    "warning",
    "allows nothing",
    "The comment allows a code that is not reported at the place it covers: the reason for it is gone, "
    "or it stands in the wrong place. At the end of a line it covers that line; on a line of its own, "
    "the item or the declaration that starts on the next one.",
    MODULE + "# dspc: allow DS0205 -- used by the next version\nmodule second = Predict(Route)\n",
    MODULE + f"# dspc: allow DS0205 -- used by the next version\n{UNUSED}\n",
    LMS,
)


class AllowsNothing(Finding, frozen=True):
    """A comment allows a code that is not reported there; `comment` is the whole comment, if it allows nothing else."""

    code = DS0812
    title: str
    comment: Location | None

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"`{name}` ({self.title}) is not reported here, so there is nothing to allow",
            "allows nothing",
            help="" if self.comment else f"remove `{name}` from the comment",
            fixes=(replace(self.comment, "", "Remove the comment"),) if self.comment else (),
        )


DS0813 = Code(
    "DS0813",
    "warning",
    "comment to dspc not understood",
    "A comment that starts with `dspc:` speaks to the checker: `allow`, the codes, two dashes and the "
    "reason, which the next reader will want to know.",
    MODULE + f"{UNUSED}  # dspc: allow DS0205\n",
    MODULE + f"{UNUSED}  # dspc: allow DS0205 -- used by the next version\n",
    LMS,
)


class NotUnderstood(Finding, frozen=True):
    """A comment to dspc that starts with another word than `allow`."""

    code = DS0813

    def told(self) -> Diagnostic:
        near = closest(self.where.text, ("allow",))
        return self.says(
            f"dspc does not understand `{self.where.text}`{did_you_mean(near)}",
            "not understood",
            help="" if near else self.example,
            fixes=suggestions(self.where, near),
        )

    @property
    def example(self) -> str:
        return "write `# dspc: allow DS0606 -- why it is fine here`"


class SaysNothing(NotUnderstood, frozen=True):
    """A comment to dspc without a word."""

    def told(self) -> Diagnostic:
        return self.says("this comment speaks to dspc and says nothing", "not understood", help=self.example)


class AllowsNoCode(Finding, frozen=True):
    code = DS0813

    def told(self) -> Diagnostic:
        return self.says("this comment allows no code", "which code?", help="for example `allow DS0606`")


class GivesNoReason(Finding, frozen=True):
    code = DS0813

    def told(self) -> Diagnostic:
        return self.says(
            "this comment gives no reason",
            "why is it fine here?",
            help="write `-- ` and a reason behind the code, for whoever reads this next",
        )


class NoSuchCode(Finding, frozen=True):
    """`codes` are those that may have been meant."""

    code = DS0813
    codes: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.codes)
        return self.says(
            f"there is no code `{self.where.text}`{did_you_mean(near)}",
            "no such code",
            help="" if near else "`dspc explain` lists them all",
            fixes=suggestions(self.where, near),
        )


DS0814 = Code(
    "DS0814",
    "warning",
    "errors stay errors",
    "Warnings and hints can be allowed by a comment and set to another level in `dspec.toml`. An error "
    "cannot: nothing could be compiled from a program that has one.",
    '[severity]\nDS0201 = "warning"\n',
    '[severity]\nDS0205 = "error"\n',
    about="dspec.toml",
)


class AllowsError(Finding, frozen=True):
    code = DS0814
    title: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` ({self.title}) is an error and cannot be allowed",
            "stays an error",
            help="warnings and hints can be allowed; a program with errors cannot be compiled",
        )


class SetsError(Finding, frozen=True):
    """The code of an error, `name`, is set to another level."""

    code = DS0814
    name: str
    title: str
    level: str

    def told(self) -> Diagnostic:
        return self.says(
            f'`{self.name}` ({self.title}) is an error and cannot be set to "{self.level}"',
            "stays an error",
            help="warnings and hints can be set; a program with errors cannot be compiled",
        )
