"""Which models a block may ask, and for what: an answer, or an embedding.

The declarations alone say so. A model counts even if a step may end before it asks that model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from dspec.runtime.schema.program import LM, embedders
from dspec.runtime.schema.types import JsonValue

from ..declarations.metrics import MetricInfo
from ..session import Place, Session
from ..symbols import Symbol
from ..types.declared import RunnableInfo, models_with_fallbacks, runnable, saved
from .step import StepInfo


class ModelsAsked(Struct, frozen=True):
    """Models by key. `spare` ones answer only where another has failed for good, `embedding` ones never."""

    answering: Mapping[str, Symbol]
    spare: Mapping[str, Symbol]
    embedding: Mapping[str, Symbol]
    limited: frozenset[str] = frozenset()
    """Those of which every module that asks them says how long an answer is at most, whatever they say themselves."""

    def with_more(self, more: ModelsAsked) -> ModelsAsked:
        return ModelsAsked(
            {**self.answering, **more.answering},
            {**self.spare, **more.spare},
            {**self.embedding, **more.embedding},
            (self.limited - more._unlimited) | (more.limited - self._unlimited),
        )

    @property
    def _unlimited(self) -> frozenset[str]:
        return frozenset({**self.answering, **self.spare}) - self.limited


NOTHING = ModelsAsked({}, {}, {})


def asked_by_runs(session: Session, runs: Sequence[RunnableInfo], block: Symbol | None = None) -> ModelsAsked:
    """The models that runs of these programs may ask; `block` is the model of modules that name none."""
    found: dict[str, Symbol] = {}
    unlimited: set[str] = set()
    for one in runs:
        if one.program is None:
            continue
        for address, predictor in one.program.predictors.items():
            unbound = block is not None and address in one.unbound
            model = block if unbound else session.lms.get(predictor.lm)
            if model is not None:
                found.setdefault(model.key, model)
                if predictor.settings is None or predictor.settings.max_tokens is None:
                    unlimited.add(model.key)
    return _with_spare(session, found, unlimited)


def _with_extracting(session: Session, answering: Mapping[str, Symbol]) -> dict[str, Symbol]:
    """These models and those that take the outputs from their answers: they are asked as often."""
    settings = (session.checked(model) for model in answering.values())
    keys = [one.extract for one in settings if isinstance(one, LM) and one.extract is not None]
    return {
        **answering,
        **{key: session.lms[key] for key in keys if key in session.lms and key not in answering},
    }


def asked_by_result(
    session: Session, place: Place, tuned: RunnableInfo, block: Symbol | None, chain: Sequence[StepInfo]
) -> ModelsAsked:
    """The models that runs of a block's result may ask: the result is the block's program, or one that a step starts from
    or gathers."""
    steps = list(_every(chain))
    names = [name for step in steps for name in _started(step)]
    embedding: dict[str, Symbol] = {}
    for step in steps:
        for value in step.given.values():
            model = session.lms.get(named) if (named := _name(value, "lm")) else None
            if model is not None:
                embedding.setdefault(model.key, model)
    runs = asked_by_runs(session, [tuned, *declared_programs(session, place, names)], block)
    return runs.with_more(ModelsAsked({}, {}, embedding))


def asked_by_steps(
    session: Session, place: Place, lms: Mapping[str, Symbol | None], chain: Sequence[StepInfo]
) -> ModelsAsked:
    """The models that only the compile itself may ask: those of teachers, and the one that writes instructions."""
    steps = list(_every(chain))
    specs = [step.spec for step in steps if step.spec is not None]
    found: dict[str, Symbol] = {}
    for name, wanted in (
        ("teacher_lm", any(spec.takes_teacher for spec in specs)),
        ("prompt_lm", any(spec.prompts for spec in specs)),
    ):
        model = lms.get(name)
        if model is not None and wanted:
            found.setdefault(model.key, model)
    teachers = (
        []
        if lms.get("teacher_lm")
        else [name for step in steps for name in (step.teacher, *step.teachers) if name]
    )
    runs = asked_by_runs(session, declared_programs(session, place, teachers), lms.get("lm"))
    return _with_spare(session, found).with_more(runs)


def asked_by_judges(session: Session, metric: MetricInfo | None) -> ModelsAsked:
    """The models that the judges of a metric ask."""
    judges = metric.metric.judges if metric is not None and metric.metric is not None else ()
    names = [one.lm for judge in judges for one in judge.program.predictors.values()]
    names += [name for judge in judges for name in sorted(embedders(judge.program))]
    found = {name: session.lms.get(name) for name in names}
    return _with_spare(session, {key: model for key, model in found.items() if model is not None})


def _every(chain: Sequence[StepInfo]) -> Iterator[StepInfo]:
    """The steps, and the optimizers inside them."""
    for step in chain:
        yield step
        yield from step.nested.values()


def _started(step: StepInfo) -> Iterator[str]:
    """What a step starts from, gathers or reduces with: keys of programs, and names of steps."""
    if step.student is not None:
        yield step.student
    yield from (member.program for member in step.members)
    for value in step.given.values():
        if name := _name(value, "module") or _name(value, "program"):
            yield name


def _name(value: JsonValue, kind: str) -> str | None:
    """The declaration of that kind that an option names (`Option.refers`)."""
    found = value.get(kind) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def declared_programs(session: Session, place: Place, names: Sequence[str]) -> list[RunnableInfo]:
    """The programs among these names, which may also be those of steps."""
    scopes = [place.scope, *(scope for scope in place.scope.imports.values() if scope is not None)]
    found: list[RunnableInfo | None] = []
    for name in names:
        behind = (
            scope.symbols.get(name.removeprefix(scope.prefix))
            for scope in scopes
            if name.startswith(scope.prefix)
        )
        symbol = next((one for one in behind if one is not None and one.key == name), None)
        if symbol is not None:
            found.append(runnable(session, symbol))
    if any("(" in name for name in names):  # no name of a declaration, but an expression
        found += [one for one in saved(session) if one.symbol.key in names]
    return [one for one in found if one is not None]


def _with_spare(
    session: Session, answering: Mapping[str, Symbol], unlimited: Collection[str] | None = None
) -> ModelsAsked:
    answering = _with_extracting(session, answering)
    others = [key for key in models_with_fallbacks(session, answering) if key not in answering]
    open_ = models_with_fallbacks(session, answering if unlimited is None else unlimited)
    spare = {key: session.lms[key] for key in others if key in session.lms}
    return ModelsAsked(answering, spare, {}, frozenset({**answering, **spare}).difference(open_))
