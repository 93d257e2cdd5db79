"""Workspaces that somebody hostile may have left for an editor to open: each has a few kinds of what could go wrong."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

OUTSIDE = "outside-of-the-root"
"""Stands in files beside the workspace, and must never be told."""
SECRET = "the-secret-of-the-environment"
"""The value of `WORKSPACE_SECRET` in the environment, which must never be told."""
EVIL = (
    "import os\nopen('ran', 'w').close()\ndef run(a: str) -> str:\n    return a\ndef rows():\n    return []\n"
)
HEAD = 'dspec 1\nlm m { model = "openai/gpt-4o-mini" }\nsignature S { input a: str; output b: str }\nmodule one = Predict(S)\n'
DATASET = (
    "dataset {name} {{ source = {source}; input a: str; field b: str; split {{ train = 50%; val = 50% }} }}\n"
)
USED = (
    "metric right{n}(gold: {name}, pred: one) = gold.b == pred.b\n"
    "optimize o{n} {{ program = one; metric = right{n}; train = {name}.train; val = {name}.val; step s = BootstrapFewShot() }}\n"
)
OUT = ("../outside.{0}", "../../../../../../../etc/passwd", "/etc/passwd", "~/outside.{0}", "//etc/passwd", "sub/../../outside.{0}",
       "file:///etc/passwd", "..\\\\outside.{0}", "C:\\\\outside.{0}", "/proc/self/environ", "/dev/zero", "%2e%2e/outside.{0}")  # fmt: skip
DATA = ("csv", "json", "jsonl", "parquet")


class Workspace:
    """A folder that is being filled. `text` is its main source."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.text = HEAD
        self.kinds: list[str] = []
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number

    def place(self, name: str) -> Path:
        """Where a file of that name goes; what was there makes room."""
        found = self.folder / name
        found.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(found) and not found.is_dir():
            found.unlink()
        return found

    def source(self, path: str) -> str:
        return f'{self.random.choice(DATA)}("{path}")'

    def dataset(self, source: str, *, used: bool = True) -> None:
        n = self.number()
        self.text += DATASET.format(name=f"d{n}", source=source)
        if used:
            self.text += USED.format(n=n, name=f"d{n}")

    def fill(self) -> None:
        """Add some kinds, and write the main source."""
        (self.folder / "dspec.toml").touch()
        for kind in self.random.sample(KINDS, self.random.randrange(2, 5)):
            self.kinds.append(kind.__name__)
            kind(self)
        self.place("main.dspec").write_text(self.text, encoding="utf-8", errors="replace")


def paths(at: Workspace) -> None:
    """Paths that lead out of the root."""
    for _ in range(4):
        path = at.random.choice(OUT)
        n = at.number()
        at.text += at.random.choice(
            (
                f'import "{path.format("dspec")}" as out{n}\n',
                DATASET.format(name=f"out{n}", source=at.source(path.format("csv"))),
                f'extern find{n}(a: str) -> list[str] = bm25("{path.format("csv")}", text = a)\n',
                f'test t{n} {{ program = saved("{path.format("json")}"); given a = "x"; expect b != "" }}\n',
                f'signature P{n} {{ input a: image; output b: str; demo {{ a = "{path.format("png")}"; b = "" }} }}\n',
            )
        )


def links(at: Workspace) -> None:
    """Links to files, folders and devices outside, to themselves, and to each other."""
    targets = (
        "../outside.csv",
        "../outside.dspec",
        "/etc/passwd",
        "/",
        "/dev/zero",
        "/proc/self/environ",
        "..",
        ".",
        "self",
        "link1",
    )
    for _ in range(4):
        n, ending = at.number(), at.random.choice(("csv", "dspec", "jsonl", "png", "py", "dspc.json"))
        name = f"link{n}" if ending == "csv" and at.random.random() < 0.3 else f"link{n}.{ending}"
        target = at.random.choice(targets)
        at.place(name).symlink_to(name if target == "self" else target)
        if ending == "dspec":
            at.text += f'import "{name}" as link{n}\n'
        elif ending == "png":
            at.text += (
                f'signature L{n} {{ input a: image; output b: str; demo {{ a = "{name}"; b = "" }} }}\n'
            )
        elif ending == "py":
            at.text += f'extern call{n}(a: str) -> str = python("link{n}:run")\n'
        else:
            at.dataset(at.source(name + at.random.choice(("", "/passwd", "/etc/passwd"))))


def special(at: Workspace) -> None:
    """Pipes and sockets where files are read."""
    for name in at.random.sample(
        ("pipe.csv", "pipe.dspec", "pipe.py", "pipe.png", "compiled/o9.dspc.json", "pipe.jsonl"), 3
    ):
        if at.random.random() < 0.7:
            os.mkfifo(at.place(name))
        else:
            here = Path.cwd()
            os.chdir(at.place(name).parent)  # a socket's path must be short
            with closing(socket.socket(socket.AF_UNIX)) as one:
                one.bind(Path(name).name)
            os.chdir(here)
    at.text += 'import "pipe.dspec" as pipe\nextern piped(a: str) -> str = python("pipe:run")\n'
    at.text += 'signature Pipe { input a: image; output b: str; demo { a = "pipe.png"; b = "" } }\n'
    at.dataset('csv("pipe.csv")')
    at.dataset('jsonl("pipe.jsonl")')
    (at.folder / "rows.csv").write_text("a,b\n" + "x,y\n" * 20)
    at.text += DATASET.format(name="d9", source='csv("rows.csv")') + USED.format(n=9, name="d9")
    at.text += 'test piped9 { program = saved("compiled/o9.dspc.json"); given a = "x"; expect b != "" }\n'


def huge(at: Workspace) -> None:
    """Files of terabytes, without a line's end."""
    for name in at.random.sample(
        (
            "huge.csv",
            "huge.json",
            "huge.jsonl",
            "huge.parquet",
            "huge.dspec",
            "huge.py",
            "huge.png",
            "compiled/d.dspc.json",
        ),
        3,
    ):
        with at.place(name).open("wb") as stream:
            stream.truncate(1 << at.random.choice((27, 33, 40)))
        ending = name.rpartition(".")[2]
        if ending in DATA and "/" not in name:
            at.dataset(f'{ending}("{name}")')
    at.text += 'import "huge.dspec" as big\nextern grown(a: str) -> str = python("huge:run")\n'
    at.text += 'signature Big { input a: image; output b: str; demo { a = "huge.png"; b = "" } }\n'


def python(at: Workspace) -> None:
    """Modules of the workspace with names of others, which must not be imported."""
    names = (
        "evil",
        "litellm",
        "optuna",
        "numpy",
        "pydantic",
        "json",
        "sitecustomize",
        "usercustomize",
        "conftest",
        "dspec",
        "lsprotocol",
    )
    for name in at.random.sample(names, 5):
        at.place(f"{name}.py" if at.random.random() < 0.6 else f"{name}/__init__.py").write_text(EVIL)
        n = at.number()
        at.text += at.random.choice(
            (
                f'extern call{n}(a: str) -> str = python("{name}:run")\n',
                f'extern deep{n}(a: str) -> str = python("{name}.inner.more:run")\n',
                f'module own{n} = python("{name}:run", sig(a -> b))\n',
                DATASET.format(name=f"rows{n}", source=f'python("{name}:rows")'),
                f'extern called{n}(a: str) -> str = mcp(command = "touch ran", tool = "{name}")\n',
                f'dataset far{n} {{ source = huggingface("{name}/set"); input a: str; field b: str }}\n',
            )
        )


def secrets(at: Workspace) -> None:
    """Texts that ask for the environment, or for code to be run."""
    at.text += (
        'lm s { model = "openai/x"; api_base = "http://127.0.0.1:9/"; api_key = env("WORKSPACE_SECRET") }\n'
        'extern web(a: str) -> str = http("http://127.0.0.1:9/{a}", headers = dict(x = env("WORKSPACE_SECRET")))\n'
        "signature T { \"{{ ''.__class__.__mro__[1].__subclasses__() }} ${WORKSPACE_SECRET} {{ cycler.__init__.__globals__.os.environ }}\""
        '; input a: str "[x](command:run) <script>alert(1)</script> ![x](http://127.0.0.1:9/x.png)"; output b: str }\n'
        "module told = Predict(T, lm = s)\n"
        'metric slow(gold: rows, pred: one) = matches(gold.b, "(a+)+(a|a)*$") and matches("'
        + "a" * 5_000
        + '!", "(a+)+$")\n'
    )


def circles(at: Workspace) -> None:
    """Declarations and files that need themselves."""
    count = at.random.randrange(2, 20)
    for n in range(count):
        after = (n + 1) % count
        at.text += f'record R{n} {{ field r: R{after} }}\ntype T{n} = T{after} | "x"\n'
        at.text += f"signature E{n} extends E{after} {{ input x{n}: str }}\n"
        at.text += f"program p{n}(a: str) -> (b: str) {{\n  let r = p{after}(a = a)\n  return b = r.b\n}}\n"
        at.text += f'lm l{n} {{ model = "openai/x"; fallback = l{after} }}\n'
        at.place(f"c{n}.dspec").write_text(
            f'dspec 1\nimport "c{after}.dspec" as next\nimport "main.dspec" as main\n'
        )
    at.text += 'import "c0.dspec" as c\nimport "main.dspec" as me\n'


def depth(at: Workspace) -> None:
    """Nesting that no parser should follow."""
    many = at.random.choice((300, 3_000))
    for opener, inner, closer in at.random.sample(
        (
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("not ", "true", ""),
            ("-", "1", ""),
            ("f(x = ", "1", ")"),
            ("1 if true else ", "1", ""),
        ),
        2,
    ):
        at.text += (
            f"metric deep{at.number()}(gold: rows, pred: one) = {opener * many}{inner}{closer * many}\n"
        )
    at.text += f"type Deep = {'list[' * many}str{']' * many}\n"
    at.place("deep.json").write_text("[" * 100_000)
    at.place("deep.jsonl").write_text(('{"a":' * 50_000 + "1" + "}" * 50_000 + "\n") * 3)
    at.dataset('json("deep.json")')
    at.dataset('jsonl("deep.jsonl")')
    at.place("dspec.toml").write_text("x = " + "[" * 20_000)


def characters(at: Workspace) -> None:
    """Characters that terminals and editors obey, or stumble over."""
    odd = (
        "\0",
        "\x1b]0;x\x07",
        "\x1b[2J",
        "\u202e",
        "\u2028",
        "\u0085",
        "\ufeff",
        "\r",
        "\x0c",
        "\U000e0041",
        "\uffff",
        "é" * 300,
    )
    for character in at.random.sample(odd, 5):
        n = at.number()
        at.text += (
            f'signature C{n} {{ "{character}"; input a{character}: str "{character * 50}"; output b: str }}\n'
        )
        at.text += f'import "x{character}y.dspec" as x{n}\n' + DATASET.format(
            name=f"c{n}", source=f'csv("x{character}.csv")'
        )
    at.place("odd.csv").write_bytes(b"\xff\xfea,b\n" + bytes(range(256)) * 20)
    at.dataset('csv("odd.csv")')
    with suppress(OSError):
        at.place("a\x1b[2J\n.dspec").write_text("dspec 1\n")


def many(at: Workspace) -> None:
    """Very many of something, or a very large number."""
    at.text += at.random.choice(
        (
            "".join(f'type N{n} = "a"\n' for n in range(1_500)),
            "".join(f'type D = "{n}"\n' for n in range(1_500)),
            "signature W { "
            + "; ".join(f"input i{n}: str" for n in range(500))
            + "; output o: str }\nmodule w = Predict(W)\n",
            "type U = "
            + " | ".join(f'"{n}"' for n in range(1_500))
            + "\nsignature V { input a: U; output b: U }\nmodule v = Predict(V)\n",
            f"program Rep(a: str) -> (b: str) {{\n  let r = [one(a = a) for i in range({10**9})]\n  return b = str(r)\n}}\n",
            'dataset s { source = csv("rows.csv"); input a: str; split { train = 99999999999999999999%; val = 1e308% } }\n',
        )
    )
    at.place("rows.csv").write_text(",".join(f"c{n}" for n in range(500)) + "\n" + "x," * 20_000)
    at.dataset('csv("rows.csv")')
    for n in range(60):
        at.place(f"many/f{n}.dspec").write_text(HEAD)
    at.text += "".join(f'import "many/f{n}.dspec" as f{n}\n' for n in range(0, 60, 2))


def artifacts(at: Workspace) -> None:
    """What looks like our own files, in the places where they are looked for."""
    (at.folder / "rows.csv").write_text("a,b\n" + "x,y\n" * 20)
    at.text += DATASET.format(name="d8", source='csv("rows.csv")') + USED.format(n=8, name="d8")
    content = at.random.choice(
        (
            b"",
            b"\x80\x04garbage",
            b"[" * 100_000,
            b'{"format": 1, "program": {}}',
            b'{"format": 99999999999999999999999}',
            b'{"a":' * 9_000,
            EVIL.encode(),
        )
    )
    at.place("compiled/o8.dspc.json").write_bytes(content)
    at.place("compiled/other.dspc.json").symlink_to("../../outside.json")
    at.text += 'test kept8 { program = saved("compiled/o8.dspc.json"); given a = "x"; expect b != "" }\n'
    if at.random.random() < 0.5 and not (at.folder / ".dspec").exists():
        (at.folder / ".dspec").symlink_to("..")
    else:
        at.place(".dspec/cache.json").write_bytes(content)


KINDS: tuple[Callable[[Workspace], None], ...] = (
    paths, links, special, huge, python, secrets, circles, depth, characters, many, artifacts,
)  # fmt: skip


def write_workspace(folder: Path, seed: int) -> Workspace:
    """A hostile workspace in `folder`, whose parent gets files that must not be read."""
    for ending in ("csv", "dspec", "json", "png", "py"):
        (folder.parent / f"outside.{ending}").write_text(f'dspec 1\nlm x {{ model = "{OUTSIDE}" }}\n')
    folder.mkdir()
    made = Workspace(folder, seed)
    made.fill()
    return made
