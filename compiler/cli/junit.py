"""JUnit's XML, which every CI shows: suites of cases, each passed, failed, or in error.

It holds no time, so that equal results give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as Xml

from msgspec import Struct

from .console import Exit, fail

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


Outcome = Literal["passed", "failed", "error"]


class JUnitCase(Struct, frozen=True):
    """`lines` say why it did not pass, or what it came to."""

    name: str
    outcome: Outcome = "passed"
    lines: Sequence[str] = ()


class CaseSuite(Struct, frozen=True):
    """The cases of one `file`, or of one block of it."""

    name: str
    file: Path
    cases: Sequence[JUnitCase]


def junit_text(suites: Sequence[CaseSuite]) -> str:
    root = Xml.Element("testsuites", name="dspc")
    for suite in suites:
        outcomes = [case.outcome for case in suite.cases]
        made = Xml.SubElement(
            root,
            "testsuite",
            name=suite.name,
            tests=str(len(outcomes)),
            failures=str(outcomes.count("failed")),
            errors=str(outcomes.count("error")),
        )
        for one in suite.cases:
            case = Xml.SubElement(
                made, "testcase", name=one.name, classname=suite.file.stem, file=str(suite.file)
            )
            lines = [_NOT_XML.sub("\ufffd", line) for line in one.lines]
            if one.outcome == "passed":
                if lines:
                    Xml.SubElement(case, "system-out").text = "\n".join(lines)
                continue
            kind = "failure" if one.outcome == "failed" else "error"
            Xml.SubElement(case, kind, message=lines[0]).text = "\n".join(lines)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def write_junit(path: Path, suites: Sequence[CaseSuite]) -> None:
    """Leaves where the file cannot be written."""
    from ..project.files import write_text

    try:
        write_text(path, junit_text(suites))
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}", code=Exit.USAGE)
