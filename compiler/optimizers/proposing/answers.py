"""A proposer's answer becomes an instruction or a description: trimmed of its wrapping, bounded, never more than text.

The answer is untrusted. A line that would open a section of the prompt is taken out, so that no
text can pose as a field, an example or an answer.
"""

from __future__ import annotations

import re

MAX_INSTRUCTION = 6_000
"""Characters of an instruction that a model wrote; longer ones end at the last line or sentence before."""
MAX_EXTENDED = 2 * MAX_INSTRUCTION
"""Characters of an instruction that steps have added to."""
MAX_DESCRIPTION = 1_000
"""Characters of a tool's description. Some providers refuse a tool whose description is longer than 1,024."""
MAX_READ = 50_000
"""Characters of an answer that are looked at."""

_SECTION = re.compile(r"^[ \t\\]*\[\[[ \t]*##.*$\n?", re.MULTILINE)
_LABEL = re.compile(
    r"^[*#_ \t]{0,6}(?:"
    r"(?:(?:the|my|a|new|proposed|improved|revised|final|better)[ \t]+){0,3}(?:instructions?|prompt|proposal)"
    # the same in Chinese, Japanese, Thai and Arabic
    r"|(?:新的?|改进的?|改進的?|最终|最終|新しい|改善された)?[ \t]?(?:指令|指示文?|提示词|提示詞|プロンプト)"
    r"|คำสั่ง(?:ใหม่)?|(?:ال)?تعليمات(?:[ \t](?:ال)?جديدة)?"
    r")[*_ \t]{0,4}[:：][*_]{0,2}[ \t]*\n?",
    re.IGNORECASE,
)
_DESCRIPTION = re.compile(_LABEL.pattern.replace("instructions?", "(?:tool )?description"), re.IGNORECASE)
_FENCE = re.compile(r"^```\w{0,20}[ \t]*\n(.*)\n```$", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")
_QUOTES = (
    ('"', '"'),
    ("'", "'"),
    ("“", "”"),
    ("«", "»"),
    ("`", "`"),
    ("「", "」"),
    ("『", "』"),
    ("„", "“"),
    ("《", "》"),
)
_SENTENCE_END = re.compile(r"\n|[.؟۔।] |[。！？]")


def clean(text: str) -> str:
    """The instruction in an answer; empty when there is none."""
    return _bounded(_unwrapped(text, _LABEL), MAX_INSTRUCTION)


def clean_description(text: str) -> str:
    """The description of a tool in an answer, as one paragraph, which is how an agent is told of it."""
    return _bounded(" ".join(_unwrapped(text, _DESCRIPTION).split()), MAX_DESCRIPTION)


def _unwrapped(text: str, label: re.Pattern[str]) -> str:
    text = text[:MAX_READ].encode("utf-8", "replace").decode().replace("\r\n", "\n")
    text = _SECTION.sub("", _CONTROL.sub(" ", text)).strip()
    for _ in range(3):
        before = text
        fence = _FENCE.match(text)
        text = _unquoted(label.sub("", fence[1] if fence else text, count=1).strip())
        if text == before:
            break
    return text


def extended(instruction: str, addition: str) -> str | None:
    """The instruction with something added; None where the two together would be too long."""
    text = f"{instruction}\n\n{addition}".strip()
    return text if len(text) <= MAX_EXTENDED else None


def _unquoted(text: str) -> str:
    """The text without one pair of quotes around all of it."""
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        if len(text) > 1 and text[0] == opening and text[-1] == closing:
            return text if opening in inner or closing in inner else inner.strip()
    return text


def _bounded(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    head = text[:most]
    end = max((match.end() for match in _SENTENCE_END.finditer(head)), default=0)
    return (head[:end] if end > most // 2 else head).rstrip()
