"""Gathers what a module or program calls: the tables of its runtime program, filled from those of what it calls."""

from __future__ import annotations

from msgspec import Struct, field

from dspec.runtime.schema.program import LM, Graph, ModuleSpec, Predictor, Program, Record, Tool

from ..types.declared import RunnableInfo


class CalledTables(Struct):
    """Tables in progress. `unbound` are addresses of predictors that name no model."""

    predictors: dict[str, Predictor] = field(default_factory=dict[str, Predictor])
    modules: dict[str, ModuleSpec] = field(default_factory=dict[str, ModuleSpec])
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    graphs: dict[str, Graph] = field(default_factory=dict[str, Graph])
    lms: dict[str, LM] = field(default_factory=dict[str, LM])
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    unbound: list[str] = field(default_factory=list[str])

    def add(self, found: RunnableInfo, program: Program) -> str:
        """Takes in what a module or program, which `program` is, is made of; the key that it goes by."""
        key = found.symbol.key
        self.predictors |= program.predictors
        self.modules |= program.modules
        self.tools |= program.tools
        self.graphs |= program.graphs
        self.lms |= program.lms
        self.records |= program.records
        self.unbound += [address for address in found.unbound if address not in self.unbound]
        if key not in program.predictors and key not in program.modules:
            self.graphs[key] = Graph(
                name=program.name,
                inputs=program.inputs,
                outputs=program.outputs,
                steps=program.steps,
                returns=program.returns,
            )
        return key
