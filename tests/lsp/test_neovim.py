"""A real editor, set up as docs/editors.md says: Neovim without a screen."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dspec.grammar.tokens import tokenize

ROOT = Path(__file__).resolve().parents[2]
NVIM = shutil.which("nvim")
DSPC = Path(sys.executable).parent / "dspc"
PATIENCE = 240
"""Seconds for the whole visit."""
GROUPS = {"comment": {"dspecComment", "dspecTodo"}, "number": {"dspecNumber"}, "percent": {"dspecNumber"}}
STRINGS = {"dspecString", "dspecText"}


def folder_of_plugin() -> Path:
    """Where `docs/editors.md` has it, below the home folder."""
    page = (ROOT / "docs" / "editors.md").read_text("utf-8")
    (folder,) = re.findall(r'^ln -s "\$PWD/lsp/editors/neovim" ~/(\S+)$', page, re.MULTILINE)
    return Path(folder)


@pytest.mark.skipif(NVIM is None, reason="Neovim (`nvim`) is not installed")
@pytest.mark.skipif(not DSPC.exists(), reason="the command `dspc` is not installed")
def test_a_visit_in_neovim(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "tickets", folder)
    (folder / "dspec.toml").touch()
    spec = folder / "tickets.dspec"
    text = spec.read_text(encoding="utf-8")
    spec.write_text(text.replace("= Predict(", "= Pedict("), encoding="utf-8")
    plugin = tmp_path / folder_of_plugin()
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to(ROOT / "lsp" / "editors" / "neovim")
    sample = ROOT / "tests" / "grammar" / "sample.dspec"
    shown = sample.read_text(encoding="utf-8")
    tokens = [token for token in tokenize(shown) if token.kind not in ("space", "newline")]
    report = tmp_path / "report.json"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
        "PATH": f"{DSPC.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FILE": str(spec),
        "SAMPLE": str(sample),
        "WORDS": json.dumps([place(shown, token.start) for token in tokens]),
        "REPORT": str(report),
    }
    script = Path(__file__).with_name("neovim.lua")
    assert NVIM
    command = [NVIM, "--headless", "-u", "NONE", "-n", "-c", f"luafile {script}"]
    subprocess.run(command, env=environment, cwd=tmp_path, timeout=PATIENCE, check=True, capture_output=True)
    found = json.loads(report.read_text(encoding="utf-8"))
    assert "error" not in found, found["error"]

    line = next(number for number, line in enumerate(text.splitlines()) if line.startswith("module"))
    assert [message["line"] for message in found["messages"]] == [line]
    assert "did you mean `Predict`" in found["messages"][0]["text"]
    assert "Predict" in found["offered"][0]
    assert "Decide which intent" in found["hover"]
    assert found["definition"] == "signature Route {"
    assert found["items"] == ["text", "intent"]
    assert found["line"].strip() == "accept = gold.intent == pred.intent"
    assert found["typed"] == ["record Line {", "  field   sku:str", "}"]
    assert found["formatted"] == "  field sku: str"
    assert found["renamed"] == "module router = Predict(Sort)"
    assert {"check", "compile", "eval"} <= set(found["lenses"])
    assert "plan of router_v1" in found["plan"]
    for token, group in zip(tokens, found["colours"], strict=True):
        assert (token.kind == "string") == (group in STRINGS), (token, group)
        assert group in GROUPS.get(token.kind, {group}), (token, group)
    assert {(token.text, group) for token, group in zip(tokens, found["colours"], strict=True)} >= {
        ("signature", "dspecKeyword"), ("output", "dspecItem"), ("BootstrapFewShot", "dspecOptimizer"), ("ReAct", "dspecStrategy"),
        ("env", "dspecFunction"), ("csv", "dspecSource"), ("float", "dspecType"), ("else", "dspecReserved"), ("seed", "dspecProperty"), ("output", "dspecProperty"),
    }  # fmt: skip


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column as Vim counts them, from one and in bytes."""
    before = text[:offset]
    return before.count("\n") + 1, len(before.rpartition("\n")[2].encode()) + 1
