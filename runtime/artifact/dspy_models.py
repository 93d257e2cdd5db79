"""Writes how a DSPy module gets its state and its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..schema.lms import LM, SENT
from ..schema.program import Program
from .python_text import python_literal


def loading(program: Program, own: str, state: str, names: Mapping[str, str]) -> str:
    """The source of a module's `load()`. `own` is the module's class, `state` the file that it reads, `names` are the predictors'
    paths in it, by address."""
    models = {name: lm for name, lm in program.lms.items() if not lm.model.startswith("embedded/")}
    asked = {
        address: predictor.lm for address, predictor in program.predictors.items() if predictor.lm in models
    }
    wanted = list(dict.fromkeys(asked.values()))
    lines = [
        f"STATE = Path(__file__).with_name({python_literal(state)})",
        "",
        "",
        f"def load(state: Path = STATE, lm: dspy.LM | None = None) -> {own}:",
        '    """The program with its state, on its own models, or all of it on another one."""',
        f"    program = {own}()",
        "    program.load(state)",
        "    if lm is not None:",
        "        program.set_lm(lm)",
        "        return program",
    ]
    if len(wanted) == 1:
        lines.append(f"    program.set_lm({_lm(models[wanted[0]])})")
    elif wanted:
        lines.append("    models = {")
        lines += [f"        {python_literal(name)}: {_lm(models[name])}," for name in wanted]
        lines.append("    }")
        lines.append("    asked = {")
        lines += [
            f"        {python_literal(names[address])}: {python_literal(name)},"
            for address, name in asked.items()
            if address in names
        ]
        lines.append("    }")
        lines += [
            "    for name, predictor in program.named_predictors():",
            "        predictor.lm = models[asked[name]]",
        ]
    return "\n".join([*lines, "    return program", ""])


def _lm(lm: LM) -> str:
    given: list[str] = [python_literal(lm.model)]
    for name in ("temperature", "max_tokens", "seed", *SENT):
        value = getattr(lm, name)
        if value is not None:
            given.append(f"{name}={python_literal(value)}")
    if lm.api_base is not None:
        given.append(f"api_base={python_literal(lm.api_base)}")
    for name, variable in (("api_key", lm.api_key_env), ("api_base", lm.api_base_env)):
        if variable is not None:
            given.append(f"{name}=os.getenv({python_literal(variable)})")
    if lm.retry_said:
        given.append(f"num_retries={lm.retry}")
    return f"dspy.LM({', '.join(given)})"


def lm_losses(lm: LM) -> Iterator[str]:
    """What `dspy.LM` has no word for of a model."""
    if lm.model.startswith("embedded/"):
        yield "the offline learner, which only this project has: give `load` an `lm`"
        return
    if lm.adapter != "chat":
        yield f"the layout `{lm.adapter}`: `dspy.configure(adapter=…)` has it for the whole application"
    for name, value in (
        ("fallback", lm.fallback),
        ("on_unreadable", lm.on_unreadable),
        ("extract", lm.extract),
        ("tool_calls", lm.tool_calls),
        ("rpm", lm.rpm),
        ("tpm", lm.tpm),
        ("max_parallel", lm.max_parallel),
        ("hedge", lm.hedge),
        ("headers", lm.headers or lm.headers_env),
        ("extra", lm.extra),
        ("api_version", lm.api_version),
    ):
        if value:
            yield f"`{name}`, which `dspy.LM` has no setting for"
    if lm.parse == "strict":
        yield "`parse`: DSPy reads answers in its own way"
    if lm.custom_endpoint:
        yield "where it is served: give `load` an `lm`"
