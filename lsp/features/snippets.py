"""What a completion writes with places to fill in, for editors that know snippets."""

from __future__ import annotations

import re

from .offers import Offer

DECLARATIONS = {
    "import": 'import "${1:file.dspec}" as ${2:name}',
    "extern": """extern ${1:search}(${2:query: str}) -> ${3:list[str]} {
  "${4:What it does.}"
  source = $0
}""",
    "type": 'type ${1:Name} = "${2:one}" | "${3:other}"',
    "record": """record ${1:Name} {
  field ${2:name}: ${3:str}$0
}""",
    "lm": 'lm ${1:name} { model = "${2:openai/gpt-4o-mini}"$0 }',
    "signature": """signature ${1:Name} {
  "${2:What the model does.}"
  input ${3:text}: ${4:str}
  output ${5:answer}: ${6:str}$0
}""",
    "module": "module ${1:name} = ${2:Predict}($0)",
    "program": """program ${1:Name}(${2:text: str}) -> (${3:answer: str}) {
  let ${4:out} = $0
  return ${5:answer} = ${4:out}
}""",
    "dataset": """dataset ${1:rows} {
  source = ${2:csv}("$3")
  input ${4:text}: ${5:str}
  field ${6:label}: ${7:str}$0
  split { train = 40%; val = 40%; test = 20%; seed = 7 }
}""",
    "metric": "metric ${1:name}(gold: ${2:rows}, pred: ${3:program}) = $0",
    "optimize": """optimize ${1:name} {
  program = ${2:program}
  metric = ${3:metric}
  train = ${4:rows}.train
  val = ${4:rows}.val
  step ${5:demos} = $0
}""",
    "eval": "eval ${1:name} { program = ${2:program}; metric = ${3:metric}; data = ${4:rows}.test$0 }",
    "test": 'test ${1:name} { program = ${2:program}; given ${3:text} = "$4"; expect $0 }',
}
"""By the keyword of a declaration."""
_SECTION = re.compile(r"(\w+) \{ … \}")


def is_called(offer: Offer) -> bool:
    """Whether it stands for nothing without its arguments."""
    return offer.kind in ("function", "optimizer", "callable") and not offer.insert


def snippet(offer: Offer, following: str) -> str:
    """What is written instead, with its places marked; empty where nothing is to be filled in.

    `following` is what stands behind the cursor already: an opening bracket, or `=`.
    """
    text = offer.insert or offer.label
    if offer.kind == "keyword":
        return DECLARATIONS.get(offer.label, "") if text == f"{offer.label} " and not following else ""
    if text.endswith("(") and offer.kind in ("keyword", "function", "option", "callable"):
        return f"{escaped(text)}$0)"
    if following:
        return ""
    if is_called(offer):
        return f"{escaped(text)}($0)"
    if offer.kind == "type" and text.endswith("["):
        return f"{escaped(text)}$0]"
    if offer.kind == "option" and text.endswith("["):
        return f"{escaped(text)}$0]"
    if offer.kind == "attribute" and _SECTION.fullmatch(offer.detail):
        return f"{escaped(offer.label)} {{\n  $0\n}}"
    return ""


def escaped(text: str) -> str:
    return re.sub(r"([\\$}])", r"\\\1", text)
