"""What is known of a project after any edits is what a check from nothing finds: of names, types, mistakes and the IR.

Random edits of texts, words, whole blocks, imports, files, data and settings. The blocks are those of generated programs and
of the corpus of wrong ones, so that most findings come and go.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from media import png
from program_writer import LIBRARY, write_program
from pydantic import TypeAdapter

from dspec.compiler.check.analysis import Analysis, analysed
from dspec.compiler.check.checking import ProjectCheck
from dspec.compiler.data import AtOnce, DataSeen, Question
from dspec.compiler.diagnostics.record import Diagnostic, Label
from dspec.compiler.project.loading import Files
from dspec.compiler.project.reads import journal
from dspec.compiler.project.source import Location
from dspec.grammar import parse
from dspec.lsp.data import Answers, Later

DEEP = bool(os.environ.get("DSPEC_DEEP"))
CORPUS = Path(__file__).parent / "corpus"
MAIN, LIB, OTHER = "main.dspec", "lib.dspec", "other.dspec"
PIECES = (
    "\n", " ", "{", "}", '"', '"""', "(", ")", ",", "=", ".", "->", ";", "x", "# note\n", "# dspc: allow DS0205 -- kept\n",
    "\nlm extra { model = \"openai/gpt-4o\" }\n", '\nimport "other.dspec" as other\n', '\nimport "lib.dspec" as lib\n',
    "\ntype T = \"a\" | \"b\"\n", "\nrecord R { field r: R }\n", "\ndspec 1\n", " default = true", "\nmodule again = Predict(sig(a -> b))\n",
    "\noptimize made { program = again; lm = extra }\n", "é", "\r\n",
)  # fmt: skip


def corpus() -> list[str]:
    """Blocks of the wrong programs, without what is expected of them."""
    found: list[str] = []
    for path in sorted(CORPUS.glob("*.dspec")):
        text = path.read_text(encoding="utf-8")
        found += [
            block.text for block in parse(text).blocks if "dspec" not in block.text.split(maxsplit=1)[:1]
        ]
    return found


DATA = (
    'signature Seen { input photo: image; input more: list[image]; output kind: str; demo { photo = "a.png"; more = ["b.png"]; kind = "x" } }\n',
    'signature Twice { input photo: image; output kind: str; demo { photo = "a.png"; kind = "x" }; demo { photo = "b.png"; kind = "x" } }\n',
    "signature Wider extends Seen { output sure: bool = true }\n",
    "module look = Predict(Seen)\n",
    "module chat = Predict(sig(past: history, question -> answer))\n",
    "module chat = Predict(sig(past: history, photo: image, question -> answer))\n",
    'dataset talks { source = jsonl("talks.jsonl"); input past: history; input question: str; field answer: str }\n',
    'dataset photos { source = jsonl("photos.jsonl"); input photo: image; field kind: str }\n',
    "metric same(gold: talks, pred: chat) = gold.answer == pred.answer\n",
    "eval talked { program = chat; metric = same; data = talks }\n",
    'test told { program = chat; given past = [dict(question = "Who?", answer = "Ada.")]; given question = "When?"; expect answer != "" }\n',
    'test shown { program = chat; given past = [dict(photo = "a.png", question = "Who?", answer = "Ada.")]; given question = "?"; given photo = "b.png"; expect answer != "" }\n',
    'test seen { program = look; given photo = "a.png"; given more = ["b.png"]; expect kind != "" }\n',
)  # fmt: skip
"""Blocks that ask about rows, pictures and histories."""
TALKS = (
    '{"past": [{"question": "Who?", "answer": "Ada."}], "question": "When?", "answer": "1815"}\n',
    '{"past": [{"question": "Who?"}], "question": "When?", "answer": "1815"}\n',
    '{"past": [{"photo": "a.png", "question": "Who?", "answer": "Ada."}], "question": "When?", "answer": "1815"}\n',
)
BLOCKS = corpus()


def at(location: Location) -> tuple[str, int, int]:
    return location.source.name, location.start, location.end


def label(one: Label) -> tuple[object, ...]:
    return (*at(one.location), one.text)


def plain(found: Diagnostic) -> tuple[object, ...]:
    fixes = [
        (fix.title, fix.applicability, [(*at(edit.location), edit.replacement) for edit in fix.edits])
        for fix in found.fixes
    ]
    labels = [label(one) for one in (found.primary, *found.secondary)]
    return found.code, found.severity, found.message, labels, found.notes, found.help, fixes


def known(analysis: Analysis) -> dict[str, object]:
    """All that an analysis says, without objects that have an identity."""
    symbols = analysis.symbols
    return {
        "diagnostics": sorted(map(repr, map(plain, analysis.diagnostics))),
        "declared": sorted(
            repr((one.kind, one.name, one.key, at(one.location), one.doc, one.detail))
            for one in symbols.declared
        ),
        "uses": sorted(
            repr((at(use.location), use.symbol.key, at(use.symbol.location))) for use in symbols.uses
        ),
        "names": list(symbols.scope.symbols),
        "project": None if analysis.project is None else analysis.project.model_dump(),
        "crashes": [crash.traceback for crash in analysis.crashes],
    }


def seen(name: str) -> DataSeen:
    """What a question's process answers."""
    folder, root, _, question = json.loads(name)
    with journal() as files:
        found = AtOnce(Path(folder), Path(root)).see(TypeAdapter(Question).validate_json(question))
    return found.model_copy(update={"files": tuple(files.items())})


class Editor:
    """A folder of sources that are edited at random, kept checked, and checked from nothing."""

    def __init__(self, folder: Path, seed: int, *, probe: bool, later: bool = False) -> None:
        """With `later`, questions about data are answered after the check that asks them, as an editor has it."""
        self.random = random.Random(seed)
        self.folder = folder
        self.probe = probe
        (folder / "dspec.toml").write_text("")
        self.texts = {MAIN: write_program(seed), LIB: LIBRARY, OTHER: write_program(seed + 1)}
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name in ("letters.csv", "rows.csv"):
            (folder / name).write_text("text,tone\n" + "".join(f"m{i},calm\n" for i in range(9)))
        self.files = Files()
        self.answers = Answers()
        looks = partial(Later, self.answers) if later else None
        self.checking = ProjectCheck(folder / MAIN, self.files, probe=probe, looks=looks, noting=True)

    def kept(self) -> Analysis:
        found = analysed(self.checking, lowering=True)
        while questions := self.checking.questions:
            for name in questions:
                self.answers.keep(name, seen(name))
            self.checking.answered()
            found = analysed(self.checking, lowering=True)
        return found

    def fresh(self) -> Analysis:
        files = Files(self.files.texts)
        return analysed(ProjectCheck(self.folder / MAIN, files, probe=self.probe), lowering=True)

    def edit(self) -> str:
        """One edit, in a few words."""
        edits: Sequence[Callable[[str], str]] = (
            self.type, self.type, self.type, self.word, self.word, self.word, self.move, self.drop, self.copy,
            self.splice, self.splice, self.undo, self.disk, self.data, self.settings, self.comment, self.ask, self.beside,
        )  # fmt: skip
        name = self.random.choice((MAIN, MAIN, MAIN, LIB, OTHER))
        edit = self.random.choice(edits)
        return f"{edit.__name__} {name}: {edit(name)}"

    def refresh(self) -> None:
        self.answers.refresh()
        self.checking.refresh()

    def put(self, name: str, text: str) -> None:
        self.texts[name] = text
        self.files.edit((self.folder / name).resolve(), text)

    def type(self, name: str) -> str:
        text = self.texts[name]
        start = self.random.randrange(len(text) + 1)
        end = min(len(text), start + self.random.choice((0, 0, 0, 1, 5, 40)))
        piece = self.random.choice(PIECES)
        self.put(name, text[:start] + piece + text[end:])
        return repr((start, end, piece))

    def word(self, name: str) -> str:
        """One word becomes another one of the file."""
        text = self.texts[name]
        words = list(re.finditer(r"\w+", text))
        if len(words) < 2:
            return "nothing"
        old, new = self.random.choice(words), self.random.choice(words)[0]
        self.put(name, text[: old.start()] + new + text[old.end() :])
        return f"{old[0]} -> {new}"

    def blocks(self, name: str) -> list[str]:
        return [block.text for block in parse(self.texts[name]).blocks]

    def move(self, name: str) -> str:
        blocks = self.blocks(name)
        if len(blocks) < 3:
            return "nothing"
        block = blocks.pop(self.random.randrange(1, len(blocks)))
        blocks.insert(self.random.randrange(1, len(blocks) + 1), block)
        self.put(name, "".join(blocks))
        return block[:20]

    def drop(self, name: str) -> str:
        blocks = self.blocks(name)
        if len(blocks) < 2:
            return "nothing"
        block = blocks.pop(self.random.randrange(1, len(blocks)))
        self.put(name, "".join(blocks))
        return block[:20]

    def copy(self, name: str) -> str:
        blocks = self.blocks(self.random.choice(list(self.texts)))
        if not blocks:
            return "nothing"
        self.put(name, self.texts[name].rstrip() + "\n\n" + self.random.choice(blocks))
        return "a block"

    def splice(self, name: str) -> str:
        block = self.random.choice(BLOCKS)
        blocks = self.blocks(name)
        blocks.insert(self.random.randrange(1, len(blocks) + 2), block.rstrip() + "\n\n")
        self.put(name, "".join(blocks))
        return block[:20]

    def ask(self, name: str) -> str:
        """A block that asks about data, before the others or after them."""
        block = self.random.choice(DATA)
        self.put(name, self.texts[name].rstrip() + "\n\n" + block)
        return block

    def beside(self, _: str) -> str:
        """What rows and demos name appears, vanishes or becomes another one."""
        name = self.random.choice(("a.png", "b.png", "talks.jsonl", "photos.jsonl"))
        place = self.folder / name
        if place.exists() and self.random.random() < 0.4:
            place.unlink()
        elif name.endswith("png"):
            place.write_bytes(
                png(2, 2, self.random.randrange(2)) if self.random.random() < 0.8 else b"no picture"
            )
        elif name == "talks.jsonl":
            place.write_text(self.random.choice(TALKS) * self.random.randrange(1, 5))
        else:
            picture = self.random.choice(("a.png", "b.png"))
            place.write_text(f'{{"photo": "{picture}", "kind": "x"}}\n' * self.random.randrange(1, 5))
        self.refresh()
        return name

    def undo(self, name: str) -> str:
        """The file as it is on disk; now and then another program."""
        if self.random.random() < 0.5:
            self.put(name, write_program(self.random.randrange(10_000)) if name != LIB else LIBRARY)
            return "another program"
        self.files.release((self.folder / name).resolve())
        place = self.folder / name
        self.texts[name] = place.read_text(encoding="utf-8") if place.exists() else ""
        return "as on disk"

    def disk(self, name: str) -> str:
        """A file appears or vanishes."""
        name = self.random.choice((LIB, OTHER))
        place = self.folder / name
        if place.exists():
            place.unlink()
        else:
            place.write_text(self.texts[name], encoding="utf-8")
        self.files.refresh()
        self.refresh()
        return "turned"

    def data(self, _: str) -> str:
        for name in re.findall(r'"([\w./-]+\.csv)"', self.texts[MAIN])[:3] or ["rows.csv"]:
            place = self.folder / name
            if ".." in name or name.startswith("/"):
                continue
            place.parent.mkdir(exist_ok=True)
            column = self.random.choice(("text", "tone", "kind"))
            rows = "".join(f"m{i},calm\n" for i in range(self.random.randrange(12)))
            place.write_text(f"{column},tone\n{rows}")
        self.refresh()
        return "rows"

    def settings(self, _: str) -> str:
        level = self.random.choice(("off", "hint", "error"))
        (self.folder / "dspec.toml").write_text(f'[severity]\nDS0205 = "{level}"\n')
        self.refresh()
        return level

    def comment(self, name: str) -> str:
        """A line behind a declaration, which changes nothing."""
        blocks = self.blocks(name)
        if not blocks:
            return "nothing"
        place = self.random.randrange(len(blocks))
        blocks[place] = blocks[place].rstrip() + "\n\n# a note\n"
        self.put(name, "".join(blocks))
        return "a note"


@pytest.mark.parametrize("data", ["left alone", "read", "read later"])
@pytest.mark.parametrize("seed", range(1_000 if DEEP else 3))
def test_after_any_edits_the_state_is_that_of_a_check_from_nothing(
    tmp_path: Path, seed: int, data: str
) -> None:
    editor = Editor(tmp_path, seed, probe=data != "left alone", later=data == "read later")
    done: list[str] = []
    for _ in range(25):
        done += [editor.edit() for _ in range(editor.random.choice((1, 1, 1, 2, 4)))]
        if any(len(text) > 20_000 for text in editor.texts.values()):
            editor.put(MAIN, write_program(seed))
            editor.put(OTHER, LIBRARY)
        kept, fresh = known(editor.kept()), known(editor.fresh())
        for what, found in fresh.items():
            assert kept[what] == found, (what, done)


def test_names_that_would_fit_stand_in_the_order_of_the_imports_also_when_that_changes(
    tmp_path: Path,
) -> None:
    (tmp_path / "dspec.toml").touch()
    one, two = 'import "one.dspec" as one\n', 'import "two.dspec" as two\n'
    use = "module ask = Predict(one.A)\nmodule tell = Predict(two.B)\nmodule wrong = Predict(Missing)\n"
    texts = {
        "one.dspec": "dspec 1\nsignature A { input a: str; output b: str }\n",
        "two.dspec": "dspec 1\nsignature B { input a: str; output b: str }\n",
    }
    files = Files({(tmp_path / name).resolve(): text for name, text in texts.items()})
    main = (tmp_path / MAIN).resolve()
    files.edit(main, f"dspec 1\n{one}{two}{use}")
    checking = ProjectCheck(tmp_path / MAIN, files, probe=False, noting=True)

    def helps() -> list[str | None]:
        return [found.help for found in analysed(checking).diagnostics if found.code == "DS0201"]

    assert helps() == ["2 names would fit here: `one.A` and `two.B`"]
    files.edit(main, f"dspec 1\n{two}{one}{use}")
    assert helps() == ["2 names would fit here: `two.B` and `one.A`"]


def test_a_check_ends_after_its_steps_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dspec.toml").touch()
    text = "dspec 1\n" + "".join(f"signature S{n} {{ input a: str; output b: str }}\n" for n in range(200))
    files = Files({(tmp_path / MAIN).resolve(): text})
    checking = ProjectCheck(tmp_path / MAIN, files, probe=False, noting=True)
    monkeypatch.setattr("dspec.compiler.check.session.MAX_STEPS", 50)
    monkeypatch.setattr("dspec.compiler.check.checking.MAX_STEPS", 50)
    monkeypatch.setattr("dspec.compiler.check.project.MAX_STEPS", 50)
    found = analysed(checking)
    assert [one.message for one in found.diagnostics] == [
        "`main.dspec` is not checked to its end: that takes more than 50 steps"
    ]
    assert not found.crashes
    monkeypatch.undo()
    assert analysed(checking).diagnostics == ()
