"""Takes the pictures of `docs/editors.md` and `docs/reports.md`: VS Code and a report in a headless Chromium, Neovim in a
terminal that nobody sees.

    python3.11 dev.py shell python docs/screenshots.py TOOLS
    python3.11 dev.py shell python docs/screenshots.py report     # that alone, which needs no tools

TOOLS is a folder whose `node_modules` hold `code-server` and `playwright-core`, made from source as `docs/editors.md` says.
Chromium, `nvim`, `tmux` and ImageMagick's `convert` are found on the PATH, the extension in `dist` (`dev.py vsix`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PICTURES = DOCS / "pictures"
COLUMNS, ROWS = 100, 26
LIGHT = TerminalTheme(
    (255, 255, 255),
    (40, 40, 40),
    [
        (0, 0, 0),
        (180, 30, 30),
        (30, 120, 30),
        (140, 100, 0),
        (30, 70, 170),
        (130, 40, 130),
        (0, 120, 130),
        (150, 150, 150),
    ],
)
PAGE = """<meta charset="utf-8"><style>body {{ margin: 8px; background: {background}; }}
pre {{ font: 13px/17px "DejaVu Sans Mono", monospace; margin: 0; }} {stylesheet}</style>
<pre><code>{code}</code></pre>"""


def project(folder: Path) -> Path:
    """The ticket example with one word misspelt."""
    shutil.copytree(
        ROOT / "examples" / "tickets", folder, ignore=shutil.ignore_patterns("compiled", ".dspec")
    )
    (folder / "dspec.toml").touch()
    spec = folder / "tickets.dspec"
    spec.write_text(spec.read_text(encoding="utf-8").replace("= Predict(", "= Pedict("), encoding="utf-8")
    return folder


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TMUX"))}
    return kept | {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def vs_code(tools: Path, folder: Path) -> dict[str, object]:
    """Drives the extension (`lsp/editors/vscode/test/browser.mjs`); what was seen, and pictures in `folder`."""
    given = {
        "TOOLS": str(tools),
        "CHROMIUM": shutil.which("chromium") or "",
        "VSIX": str(ROOT / "dist" / "dspec.vsix"),
        "DSPC": str(Path(sys.executable).parent / "dspc"),
        "PROJECT": str(project(folder / "project")),
        "OUT": str(folder),
    }
    script = ROOT / "lsp" / "editors" / "vscode" / "test" / "browser.mjs"
    done = subprocess.run(
        ["node", script], env=environment(folder) | given, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def neovim(folder: Path) -> None:
    """A problem, and a hover below it, as `neovim.png`."""
    home = folder / "home"
    start = home / ".local" / "share" / "nvim" / "site" / "pack" / "dspec" / "start"
    start.mkdir(parents=True)
    (start / "dspec").symlink_to(ROOT / "lsp" / "editors" / "neovim")
    spec = project(folder / "nvim") / "tickets.dspec"

    def tmux(*arguments: str) -> str:
        command = ["tmux", "-L", "dspec-docs", *arguments]
        return subprocess.run(
            command, env=environment(home), check=True, capture_output=True, text=True
        ).stdout

    def wait(words: str) -> None:
        for _ in range(300):
            if words in tmux("capture-pane", "-p"):
                return
            time.sleep(0.1)
        raise TimeoutError(f"Neovim does not show {words!r}:\n{tmux('capture-pane', '-p')}")

    size = ("-x", str(COLUMNS), "-y", str(ROWS))
    settings = "set background=light nowrap signcolumn=no nohlsearch"
    editor = f"nvim -n -i NONE -c '{settings}' -c 'normal 17Gzt' {spec.name}"
    tmux("-f", "/dev/null", "new-session", "-d", "-c", str(spec.parent), *size, editor)
    try:
        wait("did you mean")
        tmux("send-keys", "/tickets, pred", "Enter", ":lua vim.lsp.buf.hover()", "Enter")
        wait("dataset tickets(")
        time.sleep(1)
        shown = tmux("capture-pane", "-e", "-p")
    finally:
        tmux("kill-server")
    console = Console(width=COLUMNS, record=True, file=open(os.devnull, "w"), force_terminal=True)  # noqa: PTH123, SIM115
    console.print(Text.from_ansi(shown), end="")
    page = folder / "neovim.html"
    page.write_text(console.export_html(theme=LIGHT, code_format=PAGE), encoding="utf-8")
    chromium = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=816,460"]
    subprocess.run(
        [*chromium, f"--screenshot={folder / 'neovim.png'}", page.as_uri()], check=True, capture_output=True
    )


def report(folder: Path) -> None:
    """The first screen of the ticket example's report, as `report.png`."""
    place = folder / "report"
    shutil.copytree(ROOT / "examples" / "tickets", place, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    (place / "dspec.toml").touch()
    for command in (["compile"], ["report", "-o", str(folder / "report.html")]):
        dspc = [Path(sys.executable).parent / "dspc", command[0], "tickets.dspec", *command[1:]]
        subprocess.run(dspc, cwd=place, env=environment(folder), check=True, capture_output=True)
    chromium = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1180,1130"]
    page = (folder / "report.html").as_uri()
    subprocess.run(
        [*chromium, f"--user-data-dir={folder / 'profile'}", f"--screenshot={folder / 'report.png'}", page],
        check=True,
        capture_output=True,
    )


def small(folder: Path, *pictures: str) -> None:
    """Writes the pictures, in few colours."""
    for picture in pictures:
        few_colours = ["+dither", "-colors", "48", "-define", "png:compression-level=9"]
        subprocess.run(
            ["convert", folder / f"{picture}.png", *few_colours, f"PNG8:{PICTURES / picture}.png"],
            check=True,
        )


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report(folder)
        small(folder, "report")
        if sys.argv[1] == "report":
            return
        tools = Path(sys.argv[1]).resolve()
        neovim(folder)
        seen = vs_code(tools, folder)
        print(json.dumps(seen, indent=2))
        if "error" in seen:
            shutil.copy(folder / "error.png", tempfile.gettempdir())
            sys.exit(f"the visit in VS Code broke off; {tempfile.gettempdir()}/error.png shows where")
        small(folder, "neovim", "problem", "plan")


if __name__ == "__main__":
    main()
