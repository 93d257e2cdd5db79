"""Emacs without a screen: the mode of `lsp/editors/emacs`, and the server by way of eglot where Emacs has it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dspec.grammar.tokens import tokenize

ROOT = Path(__file__).resolve().parents[2]
EMACS = shutil.which("emacs")
DSPC = Path(sys.executable).parent / "dspc"
PATIENCE = 240
FACES = {
    "string": {"font-lock-string-face"},
    "comment": {"font-lock-comment-face", "font-lock-comment-delimiter-face"},
}


@pytest.mark.skipif(EMACS is None, reason="Emacs (`emacs`) is not installed")
@pytest.mark.skipif(not DSPC.exists(), reason="the command `dspc` is not installed")
def test_a_visit_in_emacs(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "tickets", project)
    subprocess.run(["git", "init", "-q", project], check=True)
    spec = project / "tickets.dspec"
    spec.write_text(spec.read_text("utf-8").replace("= Predict(", "= Pedict("), encoding="utf-8")
    sample = tmp_path / "sample.dspec"
    text = (ROOT / "tests" / "grammar" / "sample.dspec").read_text(encoding="utf-8")
    text += 'lm open {\n  model = "open\n  doc = """of "two"\nlines \\""" """\n}\nlm other { model = """never closed\n}\nlm mini { x = 1 }\n'
    sample.write_text(text, encoding="utf-8")
    tokens = [token for token in tokenize(text) if token.kind not in ("space", "newline")]
    report = tmp_path / "report.json"
    environment = {
        **os.environ,
        "PATH": f"{DSPC.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PLUGIN": str(ROOT / "lsp" / "editors" / "emacs"),
        "FILE": str(spec),
        "SAMPLE": str(sample),
        "PLACES": json.dumps([token.start for token in tokens]),
        "REPORT": str(report),
    }
    assert EMACS
    script = Path(__file__).with_name("emacs.el")
    command = [EMACS, "--batch", "-q", "-l", script]
    subprocess.run(command, env=environment, cwd=tmp_path, timeout=PATIENCE, check=True, capture_output=True)
    found = json.loads(report.read_text(encoding="utf-8"))
    assert "error" not in found, found["error"]

    for token, face in zip(tokens, found["faces"], strict=True):
        kind = "string" if token.kind == "broken_string" else token.kind
        assert face in FACES[kind] if kind in FACES else face not in set.union(*FACES.values()), (token, face)
    assert {(token.text, face) for token, face in zip(tokens, found["faces"], strict=True)} >= {
        ("signature", "font-lock-keyword-face"), ("output", "font-lock-keyword-face"),
        ("output", "font-lock-variable-name-face"), ("else", "font-lock-keyword-face"),
        ("BootstrapFewShot", "font-lock-type-face"), ("ReAct", "font-lock-type-face"),
        ("float", "font-lock-type-face"), ("env", "font-lock-builtin-face"), ("csv", "font-lock-builtin-face"),
    }  # fmt: skip
    if "problems" not in found:
        pytest.skip("Emacs has no eglot")
    assert "did you mean `Predict`" in found["problems"][0]
    assert "Decide which intent" in found["hover"]
    assert found["definition"] == "signature Route {"
    assert found["renamed"] == "module router = Predict(Sort)"
    assert found["items"] == ["text", "intent"]
    assert found["formatted"] == "  accept = gold.intent == pred.intent"
