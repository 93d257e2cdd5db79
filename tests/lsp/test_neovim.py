"""A real editor, set up as docs/editors.md says: Neovim without a screen."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NVIM = shutil.which("nvim")
DSPC = Path(sys.executable).parent / "dspc"
PATIENCE = 240
"""Seconds for the whole visit."""


@pytest.mark.skipif(NVIM is None, reason="Neovim (`nvim`) is not installed")
@pytest.mark.skipif(not DSPC.exists(), reason="the command `dspc` is not installed")
def test_diagnostics_and_completion_in_neovim(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "tickets", folder)
    (folder / "dspec.toml").touch()
    spec = folder / "tickets.dspec"
    text = spec.read_text(encoding="utf-8")
    spec.write_text(text.replace("= Predict(", "= Pedict("), encoding="utf-8")
    (lua,) = re.findall(r"```lua\n(.*?)```", (ROOT / "docs" / "editors.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "init.lua").write_text(lua, encoding="utf-8")
    report = tmp_path / "report.json"
    environment = {
        **os.environ,
        "PATH": f"{DSPC.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "FILE": str(spec),
        "CONFIG": str(tmp_path / "init.lua"),
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
    assert found["items"] == ["text", "intent"]
    assert found["line"].strip() == "accept = gold.intent == pred.intent"
