"""A program as a DSPy 3.4 module: its source in Python, whose `load()` reads the state that `dspy_state` writes.

Whatever DSPy has no word for stays behind and is named: nothing is left out in silence.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from msgspec import Struct, field

from ..running.strategies.base import ModuleParts
from ..running.strategies.table import STRATEGIES, strategy_of
from ..schema.ensemble import Runnable
from ..schema.lms import SENT
from ..schema.program import (
    CallStep,
    FieldSpec,
    ModuleSpec,
    Predictor,
    Program,
    Reward,
    RunStep,
    Signature,
    Tool,
    canonical,
    walked,
)
from ..schema.types import JsonValue, Type
from .dspy_methods import MethodText, default_of
from .dspy_models import lm_losses, loading
from .dspy_state import dspy_state, left_behind
from .python_classes import PythonClasses, docstring, python_name
from .python_text import PythonText, imports_of, python_literal
from .stubs import class_name

_OPTIONS = {"n": "N", "m": "M", "max_output": "max_output_chars"}
_KEPT = ("max_iters", "max_llm_calls", "n", "threshold", "fail_count", "max_output")
"""Options of strategies that DSPy's modules have as well."""
_BASE = {
    "ReAct": "extract",
    "CodeAct": "extract",
    "ProgramOfThought": "answer",
    "RLM": "extract",
    "MultiChainComparison": "chain",
}
"""The role whose signature has the instruction of the module's own."""
_CHAINS = '''class Compared(dspy.Module):
    """Several chains of thought, and one more call that compares them."""

    def __init__(self, signature: type[dspy.Signature], m: int, temperature: float) -> None:
        super().__init__()
        self.chain = dspy.ChainOfThought(signature)
        self.compare = dspy.MultiChainComparison(signature, M=m)
        self.m = m
        self.temperature = temperature

    def forward(self, **inputs: Any) -> dspy.Prediction:
        settings = [{"temperature": self.temperature, "rollout_id": number} for number in range(self.m)]
        chains = [self.chain(**inputs, config=one) for one in settings]
        return self.compare(chains, **inputs)
'''
_SETTINGS = '''def settings(**given: Any) -> dict[str, Any]:
    """How one module asks its model."""
    return given
'''
_VOTES = '''class Voted(dspy.Module):
    """Several answers to the same inputs; the one that most of them agree on counts."""

    def __init__(self, module: dspy.Module, n: int, field: str | None, temperature: float) -> None:
        super().__init__()
        self.module = module
        self.n = n
        self.field = field
        self.temperature = temperature

    def forward(self, **inputs: Any) -> dspy.Prediction:
        settings = [{"temperature": self.temperature, "rollout_id": number} for number in range(self.n)]
        return dspy.majority([dict(self.module(**inputs, config=one)) for one in settings], field=self.field)
'''


class DspyProgram(Struct, frozen=True):
    """The source of a module, the names that its predictors have in the state, and what stayed behind."""

    text: str
    names: Mapping[str, str]
    lost: tuple[str, ...]


def dspy_program(program: Runnable, name: str, state: str) -> DspyProgram:
    """The module of a program; `state` is the name of the file that its `load` reads, in the same folder.

    Raises ArtifactError for what `dspy_state` refuses, and for a name that Python cannot have.
    """
    dspy_state(program)  # refuses what DSPy's format cannot hold
    assert isinstance(program, Program)
    return _Writer(program, name, PythonClasses(program.records)).written(state)


class _Writer(Struct):
    program: Program
    name: str
    classes: PythonClasses
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    """Names of attributes and methods by the keys of what they are."""
    functions: dict[str, str] = field(default_factory=dict[str, str])
    imports: dict[str, dict[str, None]] = field(default_factory=dict[str, "dict[str, None]"])
    """Names that are imported, by module."""
    text: PythonText = field(default_factory=PythonText)
    helpers: dict[str, str] = field(default_factory=dict[str, str])
    rewards: dict[str, str] = field(default_factory=dict[str, str])
    """Names of rewards by what they are."""

    def written(self, state: str) -> DspyProgram:
        program = self.program
        own = self.classes.free(class_name(self.name))
        for one in (*program.inputs, *program.outputs):
            python_name(one.name, "field")
        tried = self._tried()
        kept = [key for key in (*self._called(), *program.modules) if key not in tried]
        for key in dict.fromkeys(kept):
            self.attributes[key] = self._attribute(key)
        for key in program.graphs:
            self.attributes[key] = self._attribute(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower())
        lines = [f"        self.{self.attributes[key]} = {self._made(key)}" for key in dict.fromkeys(kept)]
        writing = MethodText(
            self.classes, self.text, self.attributes, lambda tool: self._function(program.tools[tool])
        )
        methods = [writing.method("forward", program)]
        methods += [writing.method(self.attributes[key], graph) for key, graph in program.graphs.items()]
        body = "\n\n".join(methods)
        made = (
            f"class {own}(dspy.Module):\n    def __init__(self) -> None:\n        super().__init__()\n"
            + "\n".join(lines)
            + f"\n\n{body}\n"
        )
        made_ready = loading(self.program, own, state, self._names())
        for function, most in self.text.missing.items():
            self.classes.lost.append(
                f"the function `{function}`, which Python has none for: write `dspec_{function}`"
            )
            given = ", ".join(f"value_{place}: Any" for place in range(most))
            self.functions[f"dspec_{function}"] = (
                f"def dspec_{function}({given}) -> Any:\n"
                f'    raise NotImplementedError("write what `{function}` does")\n'
            )
        helpers = [*self.text.helpers.values(), *self.helpers.values()]
        pieces = [*helpers, *self.classes.written.values(), *self.functions.values(), made, made_ready]
        code = "\n\n".join(piece.rstrip("\n") + "\n" for piece in pieces)
        head = f'"""The program `{_words(self.name)}` for DSPy 3.4, made by `dspc export`: `load()` gives it with its state."""\n'
        told = self._behind()
        return DspyProgram(
            f"{head}\n{self._imports(code)}\n\n{code}", self._names(), tuple(dict.fromkeys(told))
        )

    def _imports(self, code: str) -> str:
        standard = ["import datetime"] if re.search(r"\bdatetime\.date", code) else []
        standard += [one for one in imports_of(code) if one != "from typing import Any"]
        later = ["from pathlib import Path"]
        typing = [one for one in ("Any", "Literal") if re.search(rf"\b{one}\b", code)]
        later += [f"from typing import {', '.join(typing)}"] if typing else []
        others = ["import dspy"]
        pydantic = [one for one in ("BaseModel", "Field") if re.search(rf"\b{one}\b", code)]
        others += [f"from pydantic import {', '.join(pydantic)}"] if pydantic else []
        own = [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self.imports.items())
        ]
        groups = [sorted(standard) + later, others, *([own] if own else [])]
        return "\n\n".join("\n".join(group) for group in groups) + "\n"

    # Names ----------------------------------------------------------------------------------------

    def _attribute(self, key: str) -> str:
        name = re.sub(r"\W", "_", key, flags=re.ASCII)
        name = f"{name}_" if keyword.iskeyword(name) or hasattr(_Reserved, name) else name
        while name in self.attributes.values():
            name += "_"
        return name

    def _called(self) -> list[str]:
        """Keys of the predictors that steps or tools call, in the program's order."""
        own = {address for module in self.program.modules.values() for address in module.predictors.values()}
        return [address for address in self.program.predictors if address not in own]

    def _tried(self) -> dict[str, str]:
        """What a module tries and nobody else calls, with that module."""
        steps = [
            step for graph in (self.program, *self.program.graphs.values()) for step in walked(graph.steps)
        ]
        called = {step.predictor for step in steps if isinstance(step, CallStep)}
        called |= {step.runs for step in steps if isinstance(step, RunStep)}
        called |= {tool for module in self.program.modules.values() for tool in module.tools}
        return {
            module.runs: key
            for key, module in self.program.modules.items()
            if module.runs is not None
            and module.runs not in called
            and module.runs not in self.program.graphs
        }

    def _names(self) -> dict[str, str]:
        """The predictors' paths in the module, by address."""
        tried = self._tried()
        names: dict[str, str] = {}

        def path(key: str) -> str:
            inside: list[str] = []
            while key in tried:
                key = tried[key]
                inside.append("module")
            return ".".join((self.attributes.get(key, key), *inside))

        for address, predictor in self.program.predictors.items():
            inner = strategy_of(predictor).dspy
            names[address] = f"{path(address)}.{inner}" if inner else path(address)
        for key, module in self.program.modules.items():
            for role, address in module.predictors.items():
                inner = STRATEGIES[module.strategy].roles[role].dspy
                if inner:
                    names[address] = f"{path(key)}.{inner}"
                else:
                    names.pop(address, None)
        return names

    # Modules --------------------------------------------------------------------------------------

    def _made(self, key: str) -> str:
        if key in self.program.modules:
            return self._module(key, self.program.modules[key])
        return self._predictor(key, self.program.predictors[key])

    def _predictor(self, key: str, predictor: Predictor) -> str:
        adds = strategy_of(predictor).adds
        signature = predictor.signature
        made = self.classes.signature(
            signature, signature.name if "." not in signature.name else key, signature.outputs, adds
        )
        settings = [f"{name}={python_literal(value)}" for name, value in self._settings(key, predictor)]
        if (
            settings and predictor.strategy == "ChainOfThought"
        ):  # whose annotation of them is of something else
            self.helpers["settings"] = _SETTINGS
            settings = [f"**settings({', '.join(settings)})"]
        return f"dspy.{predictor.strategy}({', '.join([made, *settings])})"

    def _settings(self, key: str, predictor: Predictor) -> Iterator[tuple[str, JsonValue]]:
        if predictor.settings is None:
            return
        for name, value in predictor.settings.said.items():
            if name in ("temperature", "max_tokens", "seed", *SENT):
                yield (
                    name,
                    cast(
                        "JsonValue",
                        list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value,
                    ),
                )
            elif value is not None:
                self.classes.lost.append(f"{key}: `{name}`, which `dspy.Predict` has no setting for")

    def _module(self, key: str, module: ModuleSpec) -> str:
        if module.function is not None:
            self.classes.lost.append(
                f"{key}: a function of the project, which calls modules by their names: write it as a module"
            )
            made = self.classes.free(class_name(key))
            given = ", ".join(f"{one.name}: {self.classes.type_of(one.type)}" for one in module.inputs)
            self.functions[made] = (
                f"class {made}(dspy.Module):\n    def forward(self, {given}) -> dspy.Prediction:\n"
                f'        raise NotImplementedError("write what `{_words(key)}` does")\n'
            )
            return f"{made}()"
        options = {
            _OPTIONS.get(name, name): value
            for name, value in module.options.items()
            if name in _KEPT and value is not None
        }
        if module.runs is not None:
            return self._trying(key, module, options)
        base = self.program.predictors[module.predictors[_BASE[module.strategy]]].signature
        adds = STRATEGIES[module.strategy].adds
        plain = base.model_copy(update={"inputs": module.inputs, "fixed": self._own_fixed(module, base)})
        signature = self.classes.signature(plain, key, module.outputs, adds)
        for role, address in module.predictors.items():
            list(self._settings(address, self.program.predictors[address]))
            if not STRATEGIES[module.strategy].roles[role].dspy:
                self._without_place(address, module.strategy, role, signature=plain)
        if module.strategy == "MultiChainComparison":
            self.helpers["Compared"] = _CHAINS
            return f"Compared({signature}, m={module.options['m']!r}, temperature={module.options['temperature']!r})"
        given = [signature]
        if module.tools:
            given.append(f"tools=[{', '.join(self._tool(one, module.strategy) for one in module.tools)}]")
        if module.strategy == "ReAct":
            options.pop("max_output_chars", None)
        if module.strategy in ("ProgramOfThought", "CodeAct"):
            options = {name: value for name, value in options.items() if name == "max_iters"}
        given += [f"{name}={python_literal(value)}" for name, value in options.items()]
        return f"dspy.{module.strategy}({', '.join(given)})"

    def _without_place(self, address: str, strategy: str, role: str, signature: Signature) -> None:
        """Says of a predictor that DSPy does not have what was tuned of it."""
        predictor = self.program.predictors[address]
        parts = ModuleParts(address.rpartition(".")[0], signature, {}, ())
        if (
            predictor.demos
            or predictor.signature.instruction
            != STRATEGIES[strategy].roles[role].signature(parts).instruction
        ):
            self.classes.lost.append(
                f"{address}: its instruction and demos, since DSPy's {strategy} has no such predictor"
            )

    def _own_fixed(self, module: ModuleSpec, base: Signature) -> tuple[str, ...]:
        """The texts that the module's signature itself fixes: those that all of its roles with its instruction share."""
        others = [
            self.program.predictors[address].signature
            for address in module.predictors.values()
            if self.program.predictors[address].signature.instruction == base.instruction
        ]
        return tuple(
            text for text in base.fixed if len(others) > 1 and all(text in one.fixed for one in others)
        )

    def _trying(self, key: str, module: ModuleSpec, options: Mapping[str, object]) -> str:
        assert module.runs is not None
        tried = module.runs
        if tried in self.program.graphs:
            self.classes.lost.append(
                f"{key}: it tries a whole program, which is no module of its own here: write it as one"
            )
            inner = f"self.{self.attributes[tried]}"
        elif tried in self._tried():
            inner = self._made(tried)
        else:
            inner = f"self.{self.attributes[tried]}"
        if module.strategy == "Majority":
            self.helpers["Voted"] = _VOTES
            named = module.options.get("field")
            count, heat = (python_literal(module.options[one]) for one in ("n", "temperature"))
            return f"Voted({inner}, n={count}, field={python_literal(named)}, temperature={heat})"
        if "advise" in module.predictors:
            self._without_place(
                module.predictors["advise"],
                module.strategy,
                "advise",
                self.program.predictors[module.predictors["advise"]].signature,
            )
        reward = "None" if module.reward is None else self._reward(module.reward)
        given = [
            f"module={inner}",
            f"N={options['N']!r}",
            f"reward_fn={reward}",
            f"threshold={options['threshold']!r}",
        ]
        if "fail_count" in options:
            given.append(f"fail_count={options['fail_count']!r}")
        return f"dspy.{module.strategy}({', '.join(given)})"

    def _reward(self, reward: Reward) -> str:
        known = self.rewards.get(canonical(reward))
        if known is not None:
            return known
        name = self.rewards[canonical(reward)] = self.classes.free(re.sub(r"\W", "_", reward.name))
        if reward.judges:
            self.classes.lost.append(f"the reward `{reward.name}`: its judges: write `{name}`")
            self.functions[name] = (
                f"def {name}(args: dict[str, Any], pred: dspy.Prediction) -> float:\n"
                f'    raise NotImplementedError("write what `{_words(reward.name)}` asks")\n'
            )
            return name
        lines = (
            [f"    {reward.pred} = dspy.Prediction(**args, **dict(pred))"]
            if reward.pred != "pred"
            else ["    pred = dspy.Prediction(**args, **dict(pred))"]
        )
        names: dict[str, str] = {}
        for one in reward.lets:
            plain = re.sub(r"\W", "_", one.name)
            names[one.name] = plain
            lines.append(f"    {plain} = {self.text.of(one.value, names)}")
        lines.append(f"    return float({self.text.of(reward.score, names)})")
        self.functions[name] = "\n".join(
            [f"def {name}(args: dict[str, Any], pred: dspy.Prediction) -> float:", *lines, ""]
        )
        if reward.feedback is not None:
            self.classes.lost.append(
                f"the reward `{reward.name}`: its feedback, for which DSPy's rewards have no place"
            )
        return name

    def _tool(self, key: str, strategy: str) -> str:
        if key in self.program.tools:
            return self._function(self.program.tools[key])
        if strategy == "CodeAct":  # it takes functions whose source it can read, and nothing else
            called = self.program.predictors.get(key)
            fields = called.signature.inputs if called is not None else self._inputs(key)
            lost = f"a module as a tool of DSPy's CodeAct, which takes functions: write `{key}`"
            return self._stub(key, fields, None, f"`{key}`", lost)
        return f"dspy.Tool(self.{self.attributes.get(key, key)}, name={python_literal(key)})"

    def _inputs(self, key: str) -> tuple[FieldSpec, ...]:
        module = self.program.modules.get(key)
        return module.inputs if module is not None else self.program.graphs[key].inputs

    def _stub(self, key: str, fields: Sequence[FieldSpec], output: Type | None, what: str, lost: str) -> str:
        """A function that is to be written."""
        name = re.sub(r"\W", "_", key)
        if name not in self.functions:
            given = ", ".join(
                f"{python_name(one.name, 'input')}: {self.classes.type_of(one.type)}{default_of(one)}"
                for one in fields
            )
            gives = "Any" if output is None else self.classes.type_of(output)
            described = self.program.tools[key].description if key in self.program.tools else ""
            self.functions[name] = (
                f"def {name}({given}) -> {gives}:\n    {docstring(described or f'The tool `{key}`.')}\n"
                f'    raise NotImplementedError("write what {_words(what)} does")\n'
            )
            self.classes.lost.append(lost)
        return name

    def _function(self, tool: Tool) -> str:
        name = re.sub(r"\W", "_", tool.name)
        given = str(tool.options.get("function", ""))
        module, _, function = given.partition(":")
        if (
            tool.source == "python"
            and module
            and all(part.isidentifier() for part in (*module.split("."), function))
        ):
            alias = "" if function == name else f" as {name}"
            self.imports.setdefault(module, {})[f"{function}{alias}"] = None
            self.classes.taken.add(name)
            return name
        source = f"a `{tool.source}` source: write the function `{name}`"
        return self._stub(
            tool.name,
            tool.inputs,
            tool.output,
            f"the `{tool.source}` tool",
            f"the tool `{tool.name}`: {source}",
        )

    def _behind(self) -> list[str]:
        """What stays behind, of the format, of the models and of what was written here."""
        settings = ("its model's own reasoning", "what the labels of")
        told = [one for one in left_behind(self.program) if any(mark in one for mark in settings)]
        for name, lm in self.program.lms.items():
            told += [f"lm `{name}`: {one}" for one in lm_losses(lm)]
        return [*told, *self.classes.lost]


class _Reserved:
    """Attributes that a `dspy.Module` has of its own."""

    forward = aforward = acall = named_predictors = predictors = set_lm = get_lm = save = load = None
    dump_state = load_state = named_parameters = parameters = deepcopy = reset_copy = batch = (
        inspect_history
    ) = None
    callbacks = history = map_named_predictors = named_sub_modules = None


def _words(text: str) -> str:
    return re.sub(r'["\\\n]', " ", text)[:80]
