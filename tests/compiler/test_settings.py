"""`dspec.toml` and `# dspc: allow`: what they change, what they may not, and what is said of mistakes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.diagnostics.codes.table import CODES
from dspec.compiler.diagnostics.fixes import apply_fixes

UNUSED = 'dspec 1\n\nimport "lms.dspec" as lms\nlm mini { model = "openai/gpt-4o-mini" }\n'
LMS = 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n'


def checked(folder: Path, settings: str | None = "", text: str = UNUSED, *, probe: bool = True) -> Analysis:
    if settings is not None:
        (folder / "dspec.toml").write_text(settings, encoding="utf-8")
    (folder / "lms.dspec").write_text(LMS, encoding="utf-8")
    (folder / "main.dspec").write_text(text, encoding="utf-8")
    return analyse(folder / "main.dspec", probe=probe)


def found(analysis: Analysis) -> list[tuple[str, str]]:
    return [(each.code, each.severity) for each in analysis.diagnostics]


@pytest.mark.parametrize("level", ["hint", "warning", "error"])
def test_a_warning_gets_the_level_that_is_set(tmp_path: Path, level: str) -> None:
    analysis = checked(tmp_path, f'[severity]\nDS0205 = "{level}"\n')
    assert found(analysis) == [("DS0205", level)]
    assert (analysis.project is None) == (level == "error"), "what is an error stops a compile"


def test_a_code_that_is_off_is_not_reported(tmp_path: Path) -> None:
    assert found(checked(tmp_path, '[severity]\nDS0205 = "off"\n')) == []
    assert found(checked(tmp_path, 'severity.DS0205 = "off"\n')) == []


def test_without_settings_every_code_keeps_its_level(tmp_path: Path) -> None:
    assert found(checked(tmp_path, None)) == [("DS0205", "warning")]
    assert found(checked(tmp_path, "# nothing is set\n")) == [("DS0205", "warning")]


@pytest.mark.parametrize(
    ("settings", "code", "marked", "message"),
    [
        ('[severty]\nDS0205 = "off"\n', "DS0811", "severty", "`severty`; did you mean `severity`"),
        ('[colour]\nerror = "red"\n', "DS0811", "colour", "no setting `colour`"),
        ('[severity]\nDS0250 = "off"\n', "DS0811", "DS0250", "there is no code `DS0250`"),
        ('[severity]\nDS0205 = "of"\n', "DS0811", '"of"', 'cannot be set to "of"; did you mean "off"?'),
        ("[severity]\nDS0205 = 3\n", "DS0811", "3", "cannot be set to 3"),
        ('[severity]\nDS0201 = "warning"\n', "DS0814", "DS0201", "is an error and cannot be set"),
        ('severity = "off"\n', "DS0811", "severity", "is a table of codes"),
        ("budget = 5\n", "DS0811", "budget", "is a table of amounts"),
        ("[budget]\ndollars = 5\n", "DS0811", "dollars", "`[budget]` has no setting `dollars`"),
        ("[budget]\ntoken = 5\n", "DS0811", "token", "did you mean `tokens`"),
        ("[budget]\ncalls = 2.5\n", "DS0811", "2.5", "`calls` cannot be set to 2.5"),
        ("[budget]\nusd = -1\n", "DS0811", "-1", "`usd` cannot be set to -1"),
        ("[budget]\nusd = true\n", "DS0811", "true", "`usd` cannot be set to true"),
        ("[budget]\nusd = nan\n", "DS0811", "nan", "`usd` cannot be set to nan"),
        ("[paths]\ncompiled = 3\n", "DS0811", "3", "`compiled` cannot be set to 3"),
        ('[paths]\ncompiled = "../out"\n', "DS0811", '"../out"', "`compiled` cannot be set"),
        ('[paths]\ncompiled = "/tmp"\n', "DS0811", '"/tmp"', "`compiled` cannot be set"),
        ('[paths]\ncompiled = "a/../../b"\n', "DS0811", '"a/../../b"', "`compiled` cannot be set"),
        ('[paths]\ncompile = "out"\n', "DS0811", "compile", "did you mean `compiled`"),
        ("[severity\n", "DS0811", "\n", "cannot be read: expected ']'"),
        ("[severity]\nDS0205 =\n", "DS0811", "\n", "cannot be read: invalid value"),
        ('[severity]\nDS0205 = "a\n', "DS0811", "\n", "cannot be read"),
    ],
)
def test_mistakes_in_the_settings_have_a_place(
    tmp_path: Path, settings: str, code: str, marked: str, message: str
) -> None:
    analysis = checked(tmp_path, settings)
    (problem,) = [each for each in analysis.diagnostics if each.code == code]
    place = problem.primary.location
    assert place.source.name == "dspec.toml"
    assert place.source.text[place.start : place.end] == marked
    assert message in problem.message
    assert ("DS0205", "warning") in found(analysis), "the rest is checked at its own level"


def test_settings_that_are_no_file_are_reported_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dspec.toml")
    analysis = checked(tmp_path, None)
    assert found(analysis) == [("DS0811", "error"), ("DS0205", "warning")]
    (tmp_path / "dspec.toml").unlink()
    (tmp_path / "dspec.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in checked(tmp_path, None).diagnostics[0].message
    (tmp_path / "dspec.toml").write_text("#" * 100_000)
    assert "at most" in checked(tmp_path, None).diagnostics[0].message


ALLOWED = [
    UNUSED.replace("as lms", "as lms  # dspc: allow DS0205 -- will be used"),
    UNUSED.replace('import "', '# dspc: allow DS0205 -- will be used\nimport "'),
    UNUSED.replace('import "', '# dspc: allow DS0205 -- will be used\n# more words\n\nimport "'),
    UNUSED.replace('import "', '#dspc:allow DS0205 \u2014 will be used\nimport "'),
]


@pytest.mark.parametrize("text", ALLOWED)
def test_a_comment_allows_a_warning(tmp_path: Path, text: str) -> None:
    assert found(checked(tmp_path, text=text)) == []
    assert found(checked(tmp_path, '[severity]\nDS0205 = "error"\n', text)) == []


PROGRAM = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
module ask = Predict(sig(question -> answer))
program Twice(question: str, hint: str) -> (answer: str) {
  let first = ask(question = question)
  let second = ask(
    question = question
  )
  let third = 3
  return answer = first.answer
}
"""


def test_a_comment_above_a_declaration_covers_all_of_it(tmp_path: Path) -> None:
    codes = [code for code, _ in found(checked(tmp_path, text=PROGRAM))]
    assert sorted(codes) == ["DS0205", "DS0205", "DS0309"]
    above = PROGRAM.replace("program Twice", "# dspc: allow DS0205, DS0309 -- a sketch\nprogram Twice")
    assert found(checked(tmp_path, text=above)) == []


def test_a_comment_above_an_item_covers_its_lines_and_no_more(tmp_path: Path) -> None:
    item = PROGRAM.replace("  let second", "  # dspc: allow DS0309 -- measured\n  let second")
    assert [code for code, _ in found(checked(tmp_path, text=item))] == ["DS0205", "DS0205"]
    inside = PROGRAM.replace("  let third", "  # dspc: allow DS0205 -- a sketch\n  let third")
    assert [code for code, _ in found(checked(tmp_path, text=inside))] == ["DS0205", "DS0309"]


def test_words_in_quotes_allow_nothing(tmp_path: Path) -> None:
    text = UNUSED.replace('"openai/gpt-4o-mini"', '"openai/x # dspc: allow DS0205 -- no"')
    assert found(checked(tmp_path, text=text)) == [("DS0205", "warning")]


def test_unused_comments_are_told_only_where_everything_was_looked_for(tmp_path: Path) -> None:
    text = PROGRAM.replace("program Twice", "# dspc: allow DS0606 -- few rows\nprogram Twice")
    assert "DS0812" in dict(found(checked(tmp_path, text=text)))
    assert "DS0812" not in dict(found(checked(tmp_path, text=text, probe=False)))
    broken = text.replace("first.answer\n", "first.anser\n")
    assert "DS0812" not in dict(found(checked(tmp_path, text=broken)))


def test_removing_an_unused_comment_leaves_the_rest_of_its_line(tmp_path: Path) -> None:
    text = UNUSED.replace('import "lms.dspec" as lms\n', "") + "  # dspc: allow DS0205 -- gone\n"
    text = text.replace(" }\n  #", " }  #")
    repaired = apply_fixes(checked(tmp_path, text=text).diagnostics)
    assert list(repaired.texts.values()) == [text.partition("  #")[0] + "\n"]


def test_comments_work_in_imported_files_too(tmp_path: Path) -> None:
    (tmp_path / "deep.dspec").write_text(LMS, encoding="utf-8")
    main = 'dspec 1\n\nimport "mid.dspec" as mid\nmodule ask = Predict(sig(a -> b), lm = mid.own)\n'
    mid = 'dspec 1\n\nimport "deep.dspec" as deep\nlm own { model = "openai/gpt-4o" }\n'
    (tmp_path / "mid.dspec").write_text(mid, encoding="utf-8")
    assert found(checked(tmp_path, text=main)) == [("DS0205", "warning")]
    (tmp_path / "mid.dspec").write_text(mid.replace("as deep", "as deep  # dspc: allow DS0205 -- soon"))
    assert found(checked(tmp_path, text=main)) == []


@pytest.mark.parametrize("rest", ["", "@\n", "  @", "\x00", "}"])
def test_a_comment_before_nothing_that_can_be_read(tmp_path: Path, rest: str) -> None:
    analysis = checked(tmp_path, text="# dspc: allow DS0205 -- why not\n" + rest)
    assert not analysis.crashes


def test_every_error_code_stays_an_error(tmp_path: Path) -> None:
    errors = [name for name, code in CODES.items() if code.severity == "error"]
    settings = "[severity]\n" + "".join(f'{name} = "off"\n' for name in errors)
    analysis = checked(tmp_path, settings)
    assert [code for code, _ in found(analysis)].count("DS0814") == len(errors)


def test_a_flood_of_comments_takes_time_in_proportion(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        text = "dspec 1\n\n" + "# dspc: allow DS0205 -- why not\n" * count
        text += "lm mini {\n" + '  # dspc: allow DS0205 -- no\n  model = "openai/x"\n' * count + "}\n"
        began = time.process_time()
        checked(tmp_path, text=text)
        return time.process_time() - began

    small = max(seconds(300), 0.05)
    assert seconds(3000) < 40 * small


SHARED = '[project]\nname = "x"\n\n[tool.dspec.severity]\nDS0205 = "error"\n'


def test_a_shared_file_is_read_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SHARED, encoding="utf-8")
    assert found(checked(tmp_path, None)) == [("DS0205", "error")]
    both = checked(tmp_path, '[severity]\nDS0205 = "off"\n')
    assert found(both) == [("DS0816", "warning")]
    place = both.diagnostics[0].primary.location
    assert (place.source.name, place.text) == ("pyproject.toml", "tool.dspec.severity")


def test_a_mistake_in_the_shared_file_has_its_place(tmp_path: Path) -> None:
    text = '[tool.other]\nseverity = 1\n\n[tool.dspec]\nseverty = 1\n\n[tool.dspec.budget]\nusd = "much"\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    told = [each for each in checked(tmp_path, None).diagnostics if each.code == "DS0811"]
    assert [(each.primary.location.source.name, each.primary.location.text) for each in told] == [
        ("pyproject.toml", "severty"),
        ("pyproject.toml", '"much"'),
    ]


def test_a_shared_file_that_is_not_ours_is_nobodys_mistake(tmp_path: Path) -> None:
    for text in ("[project\n", "[tool.dspecs]\nx = 1\n", "x = " + "[" * 20_000):
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        assert found(checked(tmp_path, None)) == [("DS0205", "warning")]
    (tmp_path / "pyproject.toml").write_text("[tool.dspec]\nseverity = \n", encoding="utf-8")
    assert sorted(found(checked(tmp_path, None))) == [("DS0205", "warning"), ("DS0811", "error")]
