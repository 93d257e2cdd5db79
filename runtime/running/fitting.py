"""Fits what an application gives to a program's inputs."""

from __future__ import annotations

from ..errors import InputError
from ..schema.ensemble import Runnable, programs
from ..schema.program import FieldSpec
from ..schema.types import OptionalOf, Row, spell
from ..values.checks import record_failures
from ..values.media import is_history
from ..values.rows import given


def _takes(program: Runnable) -> str:
    return f"`{program.name}` takes {', '.join(_listed(spec) for spec in program.inputs) or 'no inputs'}"


def check_inputs(program: Runnable, inputs: Row) -> Row:
    """Every input, checked and with defaults filled in. Raises InputError."""
    known = [spec.name for spec in program.inputs]
    for name in inputs:
        if name not in known:
            raise InputError(f"there is no input `{name}`: {_takes(program)}")
    row: Row = {}
    for spec in program.inputs:
        try:
            row[spec.name] = given(spec, inputs, program.records)
        except LookupError:
            raise InputError(f"the input `{spec.name}` is missing: {_takes(program)}") from None
        except ValueError as error:
            raise InputError(f"the input `{spec.name}` does not fit: {error}") from None
    for failure in record_failures(program.inputs, row, program.records):
        if failure.kind == "assert":
            raise InputError(f"the inputs do not hold: {failure.message}")
    if any(is_history(spec.type) for spec in program.inputs):
        from ..adapters.turns import unfit_turns  # few programs take a history

        # Before anything is asked: the call that shows the turns may be the last of many.
        if why := next(filter(None, (unfit_turns(one, row) for one in programs(program))), ""):
            raise InputError(why)
    return row


def _listed(spec: FieldSpec) -> str:
    return f"{spec.name}: {spell(spec.type)}" + (" (optional)" if _optional(spec) else "")


def _optional(spec: FieldSpec) -> bool:
    return spec.has_default or isinstance(spec.type, OptionalOf)
