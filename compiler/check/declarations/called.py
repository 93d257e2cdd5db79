"""Gathers what a module or program calls: the tables of its runtime program, filled from those of what it calls."""

from __future__ import annotations

from msgspec import Struct, field

from dspec.runtime.schema.program import LM, Graph, ModuleSpec, Predictor, Program, Record, Tool

from ..session import Session
from ..types.declared import RunnableInfo, lm_closure, reachable
from .externs import ExternInfo


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
        """Takes in the tables of a module or program, whose runtime program is `program`. Returns its key in them."""
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

    def add_tool(self, session: Session, key: str, found: ExternInfo, tool: Tool) -> None:
        """Takes in an extern's tool, the model that it asks, and the records in its inputs and outputs."""
        self.tools[key] = tool
        if found.lm is not None:
            self.lms |= lm_closure(session, found.lm)
        gives = [one.type for one in tool.outputs] if tool.output is None else [tool.output]
        self.records |= reachable(session, [*(one.type for one in found.inputs.values()), *gives])

    def program(self, graph: Graph) -> Program:
        """The runtime program of a graph with all that it calls."""
        return Program(
            name=graph.name,
            inputs=graph.inputs,
            outputs=graph.outputs,
            steps=graph.steps,
            returns=graph.returns,
            predictors=self.predictors,
            records=dict(sorted(self.records.items())),
            lms=self.lms,
            modules=self.modules,
            tools=self.tools,
            graphs=self.graphs,
        )
