"""TextMate grammars as editors read them: line by line, the earliest match of the rules in force, with `re`.

Ours use no more of regular expressions than `re` and Oniguruma have in common. `tests/lsp/test_vscode.py` holds this
against VS Code's own reader, where that is installed.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

Rule = dict[str, Any]


class _Level(NamedTuple):
    rule: Rule
    scopes: tuple[str, ...]
    """Of what stands between begin and end."""
    entered: int = -1
    """Where on its line the reader was before it began."""


class Grammar:
    """One grammar file."""

    def __init__(self, path: Path) -> None:
        self._grammar: Rule = json.loads(path.read_text(encoding="utf-8"))
        self._compiled: dict[str, re.Pattern[str]] = {}

    def patterns(self) -> list[str]:
        """Every regular expression of the grammar."""
        found: list[str] = []
        waiting: list[Any] = [self._grammar]
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                found += [one[key] for key in ("match", "begin", "end") if isinstance(one.get(key), str)]
                waiting += one.values()
            elif isinstance(one, list):
                waiting += one
        return found

    def scopes(self, text: str) -> list[tuple[str, ...]]:
        """The scopes of every character, outermost first; without that of the language."""
        result: list[tuple[str, ...]] = []
        stack = [_Level(self._grammar, ())]
        for line in text.splitlines(keepends=True) if text else []:
            result += self._line(line, stack)
        return result

    def _line(self, line: str, stack: list[_Level]) -> list[tuple[str, ...]]:
        shown: list[tuple[str, ...]] = [()] * len(line)
        at = 0
        stack[1:] = [level._replace(entered=-1) for level in stack[1:]]
        while at <= len(line):
            found = self._next(line, at, stack[-1])
            if found is None:
                shown[at:] = [stack[-1].scopes] * (len(line) - at)
                break
            match, rule, part = found
            shown[at : match.start()] = [stack[-1].scopes] * (match.start() - at)
            if part == "end":
                level = stack.pop()
                self._show(shown, match, level.scopes, rule.get("endCaptures", {}))
                if match.end() == at == level.entered:
                    break  # nothing was read since it began
            else:
                inner = stack[-1].scopes + ((rule["name"],) if "name" in rule else ())
                self._show(
                    shown, match, inner, rule.get("beginCaptures" if part == "begin" else "captures", {})
                )
                if part == "begin":
                    stack.append(_Level(rule, inner, at))
                elif match.end() == at:
                    break  # an empty match: editors give up on the line
            at = match.end()
        return shown

    def _next(self, line: str, at: int, level: _Level) -> tuple[re.Match[str], Rule, str] | None:
        best: tuple[re.Match[str], Rule, str] | None = None
        candidates = [(level.rule, "end")] if "end" in level.rule else []
        candidates += [(rule, "begin" if "begin" in rule else "match") for rule in self._flat(level.rule)]
        for rule, part in candidates:
            match = self._pattern(rule[part]).search(line, at)
            if match is not None and (best is None or match.start() < best[0].start()):
                best = match, rule, part
        return best

    def _flat(self, rule: Rule) -> list[Rule]:
        found: list[Rule] = []
        for one in rule.get("patterns", ()):
            if "include" in one:
                one = self._grammar["repository"][one["include"].removeprefix("#")]
            found += [one] if "match" in one or "begin" in one else self._flat(one)
        return found

    def _pattern(self, text: str) -> re.Pattern[str]:
        if text not in self._compiled:
            self._compiled[text] = re.compile(text)
        return self._compiled[text]

    @staticmethod
    def _show(
        shown: list[tuple[str, ...]], match: re.Match[str], scopes: tuple[str, ...], captures: Rule
    ) -> None:
        shown[match.start() : match.end()] = [scopes] * (match.end() - match.start())
        for number in sorted(captures, key=int):
            start, end = match.span(int(number))
            if start >= 0:
                shown[start:end] = (
                    [(*shown[start], captures[number]["name"])] * (end - start) if end > start else []
                )
