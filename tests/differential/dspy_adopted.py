"""DSPy's programs, and what `dspc export` wrote for DSPy, on one model. Runs in DSPy's environment:

    python dspy_adopted.py CASES.json RESULTS.json

A case names a file, what in it is the program, a state to load and the inputs. Its result is the messages of every call, the
outputs, and the state that DSPy saves of the program.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback


class Heard(BaseCallback):
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.messages.append(inputs["messages"])


def program(case: dict[str, Any], lm: dspy.LM) -> dspy.Module:
    """The program of a file: a class or a variable, with the state that is named, or what its `load` gives."""
    path = Path(case["file"])
    sys.path.insert(0, str(path.parent))
    for name in [path.stem, *case.get("forget", [])]:
        sys.modules.pop(name, None)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    sys.path.pop(0)
    if case["program"] == "load":
        return module.load(lm=lm)
    found = getattr(module, case["program"])
    made = found() if isinstance(found, type) else found
    if "state" in case:
        made.load(case["state"])
    made.set_lm(lm)
    return made


def result(case: dict[str, Any], url: str, folder: Path) -> dict[str, Any]:
    lm = dspy.LM(f"openai/{case['model']}", api_base=url, api_key="none", cache=False, temperature=0.0)
    made = program(case, lm)
    if case["inputs"] is None:
        return {"names": [name for name, _ in made.named_predictors()]}
    heard = Heard()
    with dspy.context(lm=lm, callbacks=[heard]):
        found = made(**case["inputs"])
    saved = folder / "saved.json"
    made.set_lm(None)
    made.save(saved)
    outputs = {name: str(value) for name, value in found.items() if name != "trajectory"}
    return {"messages": heard.messages, "outputs": outputs, "saved": json.loads(saved.read_text())}


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    logging.disable(logging.WARNING)
    results: dict[str, Any] = {}
    for case in work["cases"]:
        try:
            results[case["name"]] = result(case, work["url"], Path(sys.argv[2]).parent)
        except Exception:  # noqa: BLE001 - a case's failure is its result
            results[case["name"]] = {"error": traceback.format_exc()[-3000:]}
    Path(sys.argv[2]).write_text(json.dumps(results, default=str))


if __name__ == "__main__":
    main()
