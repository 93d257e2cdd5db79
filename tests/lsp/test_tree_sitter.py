"""The tree-sitter grammar, compiled here and read by the tree-sitter that Neovim brings along."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from coloured import PROGRAMS
from generators import generator

ROOT = Path(__file__).resolve().parents[2]
made = generator("editors")
FOLDER = made.EDITORS / "tree-sitter"
NVIM, CC, TREE_SITTER = shutil.which("nvim"), shutil.which("cc"), shutil.which("tree-sitter")
SCRIPT = """
local given = vim.json and vim.json.decode(vim.env.GIVEN) or vim.fn.json_decode(vim.env.GIVEN)
local add = vim.treesitter.language and vim.treesitter.language.add
if add then add("dspec", { path = given.parser }) else vim.treesitter.require_language("dspec", given.parser) end
local parse_query = vim.treesitter.query.parse or vim.treesitter.parse_query
local read = vim.treesitter.get_node_text or vim.treesitter.query.get_node_text
local result = { wrong = {}, colours = {} }
for _, path in ipairs(given.files) do
  local text = table.concat(vim.fn.readfile(path, "b"), "\\n")
  local root = vim.treesitter.get_string_parser(text, "dspec"):parse()[1]:root()
  if root:has_error() then table.insert(result.wrong, path) end
  for name, query in pairs(given.queries) do
    local parsed = parse_query("dspec", query)
    for id, node in parsed:iter_captures(root, text, 0, -1) do
      if name == "highlights" then result.colours[read(node, text) .. " " .. parsed.captures[id]] = true end
    end
  end
end
local out = io.open(vim.env.REPORT, "w")
out:write(vim.fn.json_encode({ wrong = result.wrong, colours = vim.tbl_keys(result.colours) }))
out:close()
vim.cmd("qall!")
"""


@pytest.mark.parametrize("name", made.COPIES)
def test_queries_of_editors_are_fresh(name: str) -> None:
    assert made.copied(name) == (made.EDITORS / name).read_text(encoding="utf-8"), (
        "python3.11 dev.py generate"
    )


def test_the_parser_knows_the_words_of_the_grammar() -> None:
    """`src/grammar.json` is what the parser beside it was made from."""
    read = json.loads((FOLDER / "src" / "grammar.json").read_text(encoding="utf-8"))["rules"]

    def strings(rule: object) -> set[str]:
        if isinstance(rule, list):
            return set().union(*map(strings, rule)) if rule else set()
        if not isinstance(rule, dict):
            return set()
        own = {rule["value"]} if rule.get("type") == "STRING" else set[str]()
        return own.union(*map(strings, rule.values()))

    assert strings(read["_head"]) >= set(made.WORDS["declarations"]) - {"type"}
    assert strings(read["_item_word"]) == set(made.WORDS["items"])
    parser = (FOLDER / "src" / "parser.c").read_text(encoding="utf-8")
    assert all(f"anon_sym_{word}," in parser for word in (*made.WORDS["declarations"], *made.WORDS["items"]))


@pytest.mark.skipif(TREE_SITTER is None, reason="`tree-sitter` is not installed")
def test_the_parser_is_fresh(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "grammar")
    assert TREE_SITTER
    subprocess.run(
        [TREE_SITTER, "generate", "--no-bindings"], cwd=tmp_path / "grammar", check=True, capture_output=True
    )
    for name in ("parser.c", "grammar.json"):
        assert (tmp_path / "grammar" / "src" / name).read_bytes() == (FOLDER / "src" / name).read_bytes(), (
            name
        )


@pytest.mark.skipif(NVIM is None, reason="Neovim (`nvim`) is not installed")
@pytest.mark.skipif(CC is None, reason="there is no C compiler (`cc`)")
def test_every_program_is_read_without_an_error(tmp_path: Path) -> None:
    parser = tmp_path / "dspec.so"
    sources = [FOLDER / "src" / "parser.c", FOLDER / "src" / "scanner.c"]
    assert CC
    assert NVIM
    subprocess.run([CC, "-shared", "-fPIC", "-O0", f"-I{FOLDER / 'src'}", "-o", parser, *sources], check=True)
    (tmp_path / "script.lua").write_text(SCRIPT, encoding="utf-8")
    broken = tmp_path / "broken.dspec"
    broken.write_text('lm x { a = = }\nlm y { doc = """open\n}\nlm z { seed = 1 }\n', encoding="utf-8")
    queries = {path.stem: path.read_text("utf-8") for path in (FOLDER / "queries").glob("*.scm")}
    given = {"parser": str(parser), "files": [str(path) for path in (*PROGRAMS, broken)], "queries": queries}
    report = tmp_path / "report.json"
    environment = {
        "HOME": str(tmp_path),
        "GIVEN": json.dumps(given),
        "REPORT": str(report),
        "PATH": "/usr/bin:/bin",
    }
    command = [
        NVIM,
        "--headless",
        "-u",
        "NONE",
        "-n",
        "-i",
        "NONE",
        "-c",
        f"luafile {tmp_path / 'script.lua'}",
    ]
    subprocess.run(command, env=environment, timeout=60, check=True, capture_output=True)
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["wrong"] == [str(broken)]
    assert set(found["colours"]) >= {
        "signature keyword", "output keyword", "BootstrapFewShot constructor", "ReAct constructor", "csv function.builtin",
        "env function", "str type.builtin", "Intent type", "2.00 number", "20% number", "true constant.builtin", "and keyword.operator",
    }  # fmt: skip
