"""Random `.dspec` programs that mean something: every name is declared, and types fit where they stand.

`dspec_writer` knows the grammar and nothing of names; this knows both. One item a line, so that a test
can cut a line off without touching another item.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

LIBRARY = """\
dspec 1

lm far { model = "openai/gpt-4o" }

type Tone = "calm" | "cross"

record Note {
  field body: str
  field tone: Tone?
}

signature Read {
  input text: str
  output notes: list[Note]
}

module reader = Predict(Read, lm = far)

dataset letters {
  source = csv("letters.csv")
  input text: str
  field tone: Tone
  split { early = 50%; late = 50% }
}

metric calm(gold: letters, pred: reader) = len(pred.notes) > 0 and gold.tone == "calm"
"""
"""The file `lib.dspec`, which about every second program imports as `lib`."""

FIELDS = ("text", "kind", "lines", "total", "sure", "note", "answer", "sku", "when", "tags", "reasoning")


@dataclass
class Fields:
    """Named values with the types they are written with."""

    types: dict[str, str] = field(default_factory=dict[str, str])
    defaults: set[str] = field(default_factory=set[str])


@dataclass
class Callee:
    inputs: Fields
    outputs: Fields


class Author:
    """Writes one program. `size` bounds how many declarations of a kind, and how deep an expression."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.size = size
        self.lines: list[str] = ["dspec 1"]
        self.count = 0
        self.imports = self.chance(0.5)
        self.unions: dict[str, tuple[str, ...]] = {}
        self.aliases: dict[str, str] = {}
        self.records: dict[str, Fields] = {}
        self.unchecked: set[str] = set()
        self.signatures: dict[str, Callee] = {}
        self.modules: dict[str, Callee] = {}
        self.programs: dict[str, Callee] = {}
        self.externs: dict[str, tuple[Fields, str]] = {}
        self.datasets: dict[str, tuple[Fields, list[str], str]] = {}
        self.metrics: dict[str, tuple[str, str]] = {}
        self.optimizes: dict[str, str] = {}
        self.lms: list[str] = []

    # Draws ---------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, values: Iterable[str]) -> str:
        return self.random.choice(list(values))

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def some(self, low: int, high: int) -> range:
        return range(self.random.randint(low, max(low, min(high, self.size))))

    # Types ---------------------------------------------------------------------------------------

    def type(self, *, simple: bool = False) -> str:
        plain = ["str", "str", "int", "float", "bool", *self.unions, *self.aliases]
        if self.imports:
            plain.append("lib.Tone")
        if simple or self.chance(0.5):
            return self.pick(plain)
        records = [*self.records, *(("lib.Note",) if self.imports else ())]
        item = self.pick([*plain, *records, *records])
        return self.random.choice((f"list[{item}]", f"{item}?", item, f"dict[str, {item}]"))

    def bare(self, kind: str) -> str:
        """The type with aliases followed."""
        return self.bare(self.aliases[kind]) if kind in self.aliases else kind

    def members(self, kind: str) -> Mapping[str, str]:
        kind = self.bare(kind).removesuffix("?")
        if kind == "lib.Note":
            return {"body": "str", "tone": "lib.Tone?"}
        return self.records[kind].types if kind in self.records else {}

    def values(self, kind: str) -> tuple[str, ...]:
        kind = self.bare(kind).removesuffix("?")
        return ("calm", "cross") if kind == "lib.Tone" else self.unions.get(kind, ())

    def fields(self, low: int, high: int, *, simple: bool = False, taken: Iterable[str] = ()) -> Fields:
        found = Fields()
        free = [name for name in FIELDS if name not in taken]
        for name in self.random.sample(free, self.random.randint(low, min(high, len(free)))):
            found.types[name] = self.type(simple=simple)
        return found

    # Expressions ---------------------------------------------------------------------------------

    def paths(self, known: Mapping[str, str | Fields], depth: int = 3) -> list[tuple[str, str]]:
        """Everything that can be read, with its type."""
        found: list[tuple[str, str]] = []
        waiting: list[tuple[str, str, int]] = []
        for name, value in known.items():
            if isinstance(value, Fields):
                head = f"({name})" if self.chance(0.1) else name
                waiting += [(f"{head}.{member}", kind, depth) for member, kind in value.types.items()]
            else:
                waiting.append((name, value, depth))
        while waiting:
            path, kind, left = waiting.pop()
            kind = self.bare(kind)
            found.append((path, kind))
            if not left or kind.endswith("?"):
                continue
            if kind.startswith("list["):
                waiting.append((f"{path}[0]", kind[5:-1], left - 1))
            elif kind.startswith("dict[str, "):
                waiting.append((f'{path}["a"]', kind[10:-1], left - 1))
            waiting += [(f"{path}.{name}", inner, left - 1) for name, inner in self.members(kind).items()]
        return sorted(found)

    def expression(self, want: str, known: Mapping[str, str | Fields], depth: int) -> str:
        want = self.bare(want)
        fitting = [path for path, kind in self.paths(known) if kind == want]
        if want.endswith("?"):
            return self.pick([*fitting, "none"])
        if depth > 0 and self.chance(0.15):
            condition = self.expression("bool", known, depth - 1)
            one, other = (self.expression(want, known, depth - 1) for _ in range(2))
            return f"if {condition} then {one} else {other}"
        if want == "bool":
            return self.condition(known, depth, fitting)
        if fitting and self.chance(0.6):
            return self.pick(fitting)
        literal = self.literal(want)
        if literal:
            return literal if depth <= 0 or self.chance(0.5) else self.computed(want, known, depth) or literal
        if want.startswith("list["):
            items = [self.expression(want[5:-1], known, depth - 1) for _ in self.some(0, 2)]
            return f"[{', '.join(items)}]"
        return self.pick(fitting) if fitting else "none"

    def computed(self, want: str, known: Mapping[str, str | Fields], depth: int) -> str:
        if want == "str":
            text = self.expression("str", known, depth - 1)
            return self.random.choice((f"lower({text})", f'({text}) + "x"', f"strip(text = {text})"))
        if want == "float":
            one, other = (self.expression("str", known, depth - 1) for _ in range(2))
            return f"f1({one}, {other})"
        if want == "int":
            return f"len({self.expression('str', known, depth - 1)})"
        return ""

    def condition(self, known: Mapping[str, str | Fields], depth: int, fitting: Sequence[str]) -> str:
        paths = self.paths(known)
        texts = [path for path, kind in paths if self.values(kind) or kind == "str"]
        numbers = [path for path, kind in paths if kind in ("int", "float")]
        lists = [(path, kind[5:-1]) for path, kind in paths if kind.startswith("list[")]
        options: list[Callable[[], str]] = [lambda: "true"]
        if fitting:
            options.append(lambda: self.pick(fitting))
        if texts:
            options += [lambda: self.comparison(self.pick(texts), paths)] * 3
        if numbers:
            options.append(lambda: f"{self.pick(numbers)} {self.pick(('<', '>=', '=='))} 3")
        if lists and depth > 0:
            options += [lambda: self.walk(known, lists, depth)] * 2
        dicts = [(path, kind[10:-1]) for path, kind in paths if kind.startswith("dict[str, ")]
        if dicts and depth > 0:
            options.append(lambda: self.walk_pairs(known, dicts, depth))
        if depth > 0:
            inner = [lambda: self.expression("bool", known, depth - 1)]
            options += [lambda: f"({inner[0]()}) {self.pick(('and', 'or'))} ({inner[0]()})"]
            options += [lambda: f"not ({inner[0]()})"]
        return self.random.choice(options)()

    def comparison(self, path: str, paths: Sequence[tuple[str, str]]) -> str:
        kind = dict(paths)[path]
        values = self.values(kind)
        if values and self.chance(0.3):
            return f'{path} {self.pick(("in", "not in"))} ["{self.pick(values)}"]'
        same = [other for other, also in paths if also == kind]
        right = f'"{self.pick(values)}"' if values and self.chance(0.6) else self.pick(same)
        return f"{path} {self.pick(('==', '!='))} {right}"

    def walk(self, known: Mapping[str, str | Fields], lists: Sequence[tuple[str, str]], depth: int) -> str:
        path, item = self.random.choice(lists)
        inner = {**known, "each": item}
        return (
            f"{self.pick(('all', 'any'))}([{self.expression('bool', inner, depth - 1)} for each in {path}])"
        )

    def walk_pairs(
        self, known: Mapping[str, str | Fields], dicts: Sequence[tuple[str, str]], depth: int
    ) -> str:
        path, item = self.random.choice(dicts)
        inner = {**known, "key": "str", "held": item}
        return f"all([{self.expression('bool', inner, depth - 1)} for key, held in {path}])"

    def literal(self, kind: str) -> str:
        values = self.values(kind)
        if values:
            return f'"{self.pick(values)}"'
        return {"str": '"some text"', "int": "3", "float": "0.5", "bool": "true"}.get(kind, "")

    def written(self, kind: str) -> str:
        """A value that is written out; empty for a type whose values might be refused."""
        kind = self.bare(kind)
        if kind.endswith("?"):
            return self.written(kind[:-1]) if self.chance(0.5) else "none"
        if kind.startswith("list["):
            items = [self.written(kind[5:-1]) for _ in self.some(0, 2)]
            return f"[{', '.join(items)}]" if all(items) else "[]"
        if kind.startswith("dict[str, "):
            value = self.written(kind[10:-1])
            return f"dict(a = {value})" if value else "dict()"
        if kind == "lib.Note" or kind in self.unchecked:
            values = {name: self.written(each) for name, each in self.members(kind).items()}
            given = ", ".join(f"{name} = {value}" for name, value in values.items())
            return f"{kind}({given})" if all(values.values()) else ""
        return self.literal(kind)

    def demo(self, *sides: Fields) -> str:
        """A demo of a signature without checks, some of whose fields have values that cannot be written here."""
        sure = [{name: self.written(kind) for name, kind in side.types.items()} for side in sides]
        given = [f"{name} = {value}" for side in sure for name, value in side.items() if value]
        whole = all(any(side.values()) for side in sure)
        return f"demo {{ {'; '.join(given)} }}" if whole else ""

    # Declarations --------------------------------------------------------------------------------

    def add(self, *lines: str) -> None:
        self.lines += ["", *lines]

    def block(self, head: str, *items: str) -> None:
        self.add(f"{head} {{", *(f"  {item}" for item in items), "}")

    def write(self) -> str:
        if self.imports:
            self.add('import "lib.dspec" as lib')
            self.modules["lib.reader"] = Callee(Fields({"text": "str"}), Fields({"notes": "list[lib.Note]"}))
            letters = Fields({"text": "str", "tone": "lib.Tone"})
            self.datasets["lib.letters"] = letters, ["early", "late"], "lib.reader"
            self.metrics["lib.calm"] = "lib.letters", "lib.reader"
        self.write_lms()
        for _ in self.some(1, 2):
            name = self.name("Kind")
            self.unions[name] = tuple(self.random.sample(("refund", "bug", "other", "praise"), 3))
            self.add(f"type {name} = " + " | ".join(f'"{value}"' for value in self.unions[name]))
        if self.chance(0.5):
            name = self.name("Alias")
            target = self.type()
            self.aliases[name] = target
            self.add(f"type {name} = {target}")
        for _ in self.some(1, 2):
            self.write_record()
        for _ in self.some(1, 2):
            self.write_signature()
        for _ in self.some(1, 3):
            self.write_module()
        if self.chance(0.4):
            self.write_extern()
            agent = f"ReAct({self.pick(self.signatures)}, tools = [{self.pick(self.externs)}])"
            self.add(f"module {self.name('agent')} = {agent}")
        for _ in self.some(1, 2):
            self.write_program()
        for _ in self.some(1, 2):
            self.write_dataset()
        for _ in self.some(1, 3):
            self.write_metric()
        for _ in self.some(1, 2):
            self.write_optimize()
        if self.chance(0.7):
            self.write_eval()
        if self.chance(0.4):
            self.write_test()
        return "\n".join(self.lines) + "\n"

    def write_lms(self) -> None:
        for number in self.some(1, 3):
            name = self.name("lm_")
            items = ['model = "openai/gpt-4o-mini"']
            if not number:
                items.append("default = true")
            if self.lms and self.chance(0.5):
                items.append(f"fallback = [{self.pick(self.lms)}]")
            if self.chance(0.3):
                items.append('parse = "strict"')
            self.lms.append(name)
            self.block(f"lm {name}", *items)

    def lm(self) -> str:
        return self.pick([*self.lms, *(("lib.far",) if self.imports else ())])

    def write_record(self) -> None:
        name = self.name("Record")
        found = self.fields(1, 4)
        items = [f"field {field}: {kind}" for field, kind in found.types.items()]
        if self.chance(0.5):
            items.append(f"assert {self.expression('bool', found.types, 1)}")
        else:
            self.unchecked.add(name)
        self.records[name] = found
        self.block(f"record {name}", *items)

    def write_signature(self) -> None:
        name = self.name("Sign")
        inputs = self.fields(1, 3)
        outputs = self.fields(1, 3, taken=inputs.types)
        items = ['"What to do."']
        for field_name, kind in inputs.types.items():
            default = self.literal(self.bare(kind)) if self.chance(0.3) else ""
            if default:
                inputs.defaults.add(field_name)
            items.append(f"input {field_name}: {kind}" + (f" = {default}" if default else ""))
        items += [f'output {field_name}: {kind} "described"' for field_name, kind in outputs.types.items()]
        both = {**inputs.types, **outputs.types}
        if self.chance(0.6):
            items.append(f"assert {self.expression('bool', both, 2)} else {self.expression('str', both, 1)}")
        else:
            items += filter(None, [self.demo(inputs, outputs) for _ in self.some(0, 2)])
        self.signatures[name] = Callee(inputs, outputs)
        self.block(f"signature {name}", *items)

    def write_module(self) -> None:
        name = self.name("mod")
        if self.chance(0.3):
            kind = self.type(simple=True)
            asked = f"sig(question -> answer, sure: bool, note: {kind})"
            callee = Callee(
                Fields({"question": "str"}), Fields({"answer": "str", "sure": "bool", "note": kind})
            )
        else:
            asked = self.pick(self.signatures)
            callee = self.signatures[asked]
        thinks = self.chance(0.4)
        strategy = "ChainOfThought" if thinks else "Predict"
        if thinks and "reasoning" not in callee.inputs.types:
            callee = Callee(callee.inputs, Fields({"reasoning": "str", **callee.outputs.types}))
        option = f", lm = {self.lm()}" if self.chance(0.5) else ""
        self.modules[name] = callee
        self.add(f"module {name} = {strategy}({asked}{option})")

    def write_extern(self) -> None:
        name = self.name("find")
        result = self.pick(("list[str]", *self.records))
        self.externs[name] = Fields({"query": "str"}), result
        self.add(f'extern {name}(query: str) -> {result} = mcp(tool = "{name}", command = "serve")')

    def write_program(self) -> None:
        name = self.name("flow")
        calls = [self.pick(self.modules) for _ in self.some(1, 3)]
        inputs = Fields({"text": "str"})
        for called in calls:
            inputs.types.update(self.modules[called].inputs.types)
        known: dict[str, str | Fields] = dict(inputs.types)
        items: list[str] = []
        for called in calls:
            callee = self.modules[called]
            let = self.name("let_")
            items.append(f"let {let} = {called}({self.arguments(callee.inputs, known)})")
            known[let] = callee.outputs
        for _ in self.some(0, 2):
            items += self.nested(known)
        if self.externs and self.chance(0.6):
            called = self.pick(self.externs)
            let = self.name("let_")
            items.append(f"let {let} = {called}(query = {self.expression('str', known, 1)})")
            known[let] = self.externs[called][1]
        if self.chance(0.6):
            let = self.name("let_")
            kind = self.pick(kind for _, kind in self.paths(known, 1))
            items.append(f"let {let} = {self.expression(kind, known, 2)}")
            known[let] = kind
        if self.chance(0.6):
            items.append(f"assert {self.expression('bool', known, 2)}")
        readable = [kind for _, kind in self.paths(known, 1) if not kind.startswith("dict")]
        outputs = Fields({"answer": "str", "kind": self.pick(readable)})
        placed = self.chance(0.3)
        given = [
            ("" if placed else f"{field_name} = ") + self.expression(kind, known, 1)
            for field_name, kind in outputs.types.items()
        ]
        items.append(f"return {', '.join(given)}")
        header = ", ".join(f"{field_name}: {kind}" for field_name, kind in inputs.types.items())
        promised = ", ".join(f"{field_name}: {kind}" for field_name, kind in outputs.types.items())
        self.programs[name] = Callee(inputs, outputs)
        self.block(f"program {name}({header}) -> ({promised})", *items)

    def nested(self, known: dict[str, str | Fields]) -> list[str]:
        """Values whose calls run only sometimes, or several times, or are those of another program."""
        way = self.pick(("branch", "and", "each", "repeat", "program"))
        called = self.pick(self.programs if way == "program" and self.programs else self.modules)
        callee = self.runnable()[called]
        let = self.name("let_")
        call = f"{called}({self.arguments(callee.inputs, known)})"
        condition = self.expression("bool", known, 1)
        match way:
            case "branch":
                other = f"{called}({self.arguments(callee.inputs, known)})"
                lines = [f"let {let} = if {condition} then {call} else {other}"]
                known[let] = callee.outputs
            case "and":
                flags = [name for name, kind in callee.outputs.types.items() if kind == "bool"]
                lines = [f"let {let} = {condition} and {call}.{flag}" for flag in flags[:1]]
                known.update({let: "bool"} if flags else {})
            case "each":
                item = self.name("item_")
                inside = self.arguments(callee.inputs, {**known, item: "int"})
                lines = [f"let {let} = [{called}({inside}) for {item} in first(range(4), 2)][1]"]
                known[let] = callee.outputs
            case "repeat":
                final, done = self.name("let_"), self.name("let_")
                inside = {**known, let: callee.outputs}
                lines = [
                    f"let {let} = {call}",
                    f"let {final} = repeat 2 from {let} {{",
                    f"  let {done} = {self.expression('bool', inside, 1)}",
                    f"  until {self.expression('bool', {**inside, done: 'bool'}, 1)}",
                    f"  let {let} = {called}({self.arguments(callee.inputs, inside)})",
                    "}",
                ]
                known.update({let: callee.outputs, final: callee.outputs})
            case _:
                lines = [f"let {let} = {call}"]
                known[let] = callee.outputs
        return lines

    def arguments(self, inputs: Fields, known: Mapping[str, str | Fields]) -> str:
        parts: list[str] = []
        placed = self.chance(0.3)
        for name, kind in inputs.types.items():
            if placed and name not in inputs.defaults:
                parts.append(self.expression(kind, known, 1))
            elif name not in inputs.defaults or self.chance(0.3):
                placed = False
                parts.append(f"{name} = {self.expression(kind, known, 1)}")
            else:
                placed = False
        return ", ".join(parts)

    def runnable(self) -> Mapping[str, Callee]:
        return {**self.modules, **self.programs}

    def write_dataset(self) -> None:
        name = self.name("rows")
        program = self.pick(self.runnable())
        callee = self.runnable()[program]
        columns = dict(callee.inputs.types)
        labels = {
            field_name: kind for field_name, kind in callee.outputs.types.items() if field_name not in columns
        }
        items = [f'source = csv("{name}.csv")']
        items += [f"input {field_name}: {kind}" for field_name, kind in columns.items()]
        items += [f"field {field_name}: {kind}" for field_name, kind in labels.items()]
        parts = [*self.random.sample(("train", "val", "dev"), 2), "test"]
        items.append(f"split {{ {'; '.join(f'{part} = 30%' for part in parts)}; seed = 7 }}")
        if self.chance(0.4):
            items[-1] = f"split {{ {parts[0]} = 30%; {parts[1]} = 30%; stratify = {self.pick(columns)} }}"
            parts = parts[:2]
        self.datasets[name] = Fields({**columns, **labels}), parts, program
        self.block(f"dataset {name}", *items)

    def write_metric(self) -> None:
        name = self.name("right")
        data = self.pick(self.datasets)
        judged = self.datasets[data][2]
        known: dict[str, str | Fields] = {
            "gold": self.datasets[data][0],
            "pred": self.runnable()[judged].outputs,
        }
        shown = judged
        tuned = [block for block, program in self.optimizes.items() if program == judged]
        if tuned and self.chance(0.4):
            shown = self.pick(tuned)
        head = f"metric {name}(gold: {data}, pred: {shown})"
        others = [one for one, of in self.metrics.items() if of == (data, judged)]
        self.metrics[name] = data, judged
        if self.chance(0.3):
            self.add(f"{head} = {self.expression('bool', known, 2)}")
            return
        lets: list[str] = []
        for _ in self.some(0, 2) if self.chance(0.5) else ():
            let = self.name("let")
            if self.externs and self.chance(0.4):
                called = self.pick(self.externs)
                inputs, kind = self.externs[called]
                lets.append(f"let {let} = {called}({self.arguments(inputs, known)})")
            else:
                kind = self.pick(("str", "float", "bool"))
                lets.append(f"let {let} = {self.expression(kind, known, 1)}")
            known[let] = self.records.get(kind, kind)
        graded = self.chance(0.5)
        score = self.expression("float" if graded else "bool", known, 2)
        if self.chance(0.3):
            pair = [self.expression("str", known, 0) for _ in range(2)]
            asked = f"semantic_f1({pair[0]}, {pair[1]}, judge = {self.lm()})"
            if self.chance(0.5):
                asked = f'llm_judge("It is right.", judge = {self.lm()}, one = {pair[0]}, other = {pair[1]})'
            score = f"min({asked}, 1.0)"
            graded = True
            known["reason"] = "str"
        elif others and self.chance(0.5):
            score, graded = f"{self.pick(others)}(gold, pred)", True
        items = [*lets, f"score = {score}"]
        known["score"] = "float" if graded else "bool"
        if self.chance(0.5):
            items.append(f"accept = {self.expression('bool', known, 1)}")
            known["accept"] = "bool"
        if self.chance(0.5):
            items.append(f"feedback = {self.expression('str', known, 1)}")
        if judged in self.modules and self.chance(0.4):
            items.append(f"feedback for {judged} = {self.expression('str', known, 1)}")
        self.block(head, *items)

    def write_optimize(self) -> None:
        name = self.name("best")
        metric = self.pick(self.metrics)
        data, program = self.metrics[metric]
        parts = self.datasets[data][1]
        items = [
            f"program = {program}",
            f"metric = {metric}",
            f"train = {data}.{parts[0]}",
            f"val = {data}.{parts[1]}",
        ]
        if self.chance(0.4):
            items.append(f"{self.pick(('lm', 'prompt_lm', 'teacher_lm'))} = {self.lm()}")
        if self.chance(0.3):
            items.append("budget { usd = 2.0; calls = 100 }")
        steps: list[str] = []
        for _ in self.some(1, 3):
            step = self.name("step_")
            options = self.options(steps, program)
            items.append(f"step {step} = {options}")
            steps.append(step)
        searched = self.chance(0.4)
        if searched:
            step = self.name("step_")
            items.append(f"step {step} = BootstrapFewShotWithRandomSearch(num_candidate_programs = 3)")
            output = self.pick(self.runnable()[program].outputs.types)
            reduce = self.pick((f"majority({output})", "first"))
            items.append(f"step {self.name('step_')} = Ensemble({step}.candidates.top(3), reduce = {reduce})")
        if self.chance(0.3):
            items.append(f"emit = {self.pick(steps)}")
        self.optimizes[name] = program
        self.block(f"optimize {name}", *items)

    def options(self, before: Sequence[str], program: str) -> str:
        given: list[str] = []
        if self.chance(0.5):
            given.append("max_rounds = 1")
        if self.chance(0.4):
            given.append(f"teacher = {self.pick([*before, program])}")
        if before and self.chance(0.3):
            given.append(f"student = {self.pick(before)}")
        if program in self.modules and self.chance(0.2):
            given.append(f"tune = [{program}]")
        if self.chance(0.7):
            return f"BootstrapFewShot({', '.join(given)})"
        plain = (
            "LabeledFewShot(k = 3)",
            'KNNFewShot(k = 3, vectorizer = "ngrams")',
            'MIPROv2(auto = "light")',
        )
        return self.pick((*plain, 'BetterTogether(p = MIPROv2(auto = "light"), strategy = "p")'))

    def write_eval(self) -> None:
        block = self.pick(self.optimizes)
        program = self.optimizes[block]
        metric = self.pick(name for name, (_, judged) in self.metrics.items() if judged == program)
        data = self.metrics[metric][0]
        items = [
            f"program = {block}",
            f"baseline = {program}",
            f"metric = {metric}",
            f"data = {data}.{self.datasets[data][1][-1]}",
            "gate score >= baseline.score + 0.02",
            "gate score > 0.5 or baseline.score < 0.3",
        ]
        self.block(f"eval {self.name('ship')}", *items)

    def write_test(self) -> None:
        literals = {
            name: {
                field_name: self.literal(self.bare(kind)) for field_name, kind in callee.inputs.types.items()
            }
            for name, callee in self.runnable().items()
        }
        plain = [name for name, given in literals.items() if all(given.values())]
        if not plain:
            return
        program = self.pick(plain)
        callee = self.runnable()[program]
        items = [f"program = {program}"]
        items += [f"given {name} = {literal}" for name, literal in literals[program].items()]
        items.append(f"expect {self.expression('bool', callee.outputs.types, 1)}")
        self.block(f"test {self.name('test_')}", *items)


def write_program(seed: int, size: int = 3) -> str:
    """A whole file; with `LIBRARY` beside it as `lib.dspec` its names all resolve."""
    return Author(seed, size).write()
