"""Signatures of DSPy, as classes and as strings, as signatures of the language."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from .drafts import Draft, Unread, camel, documented
from .kinds import FieldDraft, Kinds, parsed_type
from .python_source import PythonFile, line_of, text_of

INPUTS = ("InputField", "OldInputField")
OUTPUTS = ("OutputField", "OldOutputField")


class SignatureDraft(Struct, frozen=True):
    """A signature that is read. `name` is that of its declaration."""

    inputs: tuple[FieldDraft, ...]
    outputs: tuple[FieldDraft, ...]
    instruction: str
    name: str = ""

    def declared(self, name: str) -> str:
        lines = [f"  {documented(self.instruction)}"]
        lines += [one.line("input") for one in self.inputs]
        lines += [one.line("output") for one in self.outputs]
        lines += [f"  assert {bound}" for one in self.outputs for bound in one.bounds]
        return "\n".join([f"signature {name} {{", *lines, "}"])


class Signatures(Struct):
    """Signatures of one file; each is declared once, when it is first used."""

    file: PythonFile
    draft: Draft
    kinds: Kinds
    classes: dict[str, SignatureDraft] = field(default_factory=dict[str, SignatureDraft])
    known: dict[str, bool] = field(default_factory=dict[str, bool])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """Names by what is declared: the same text is one signature."""

    def of(self, node: ast.expr, wanted: str) -> SignatureDraft:
        """The signature that an expression is; `wanted` is the name of one that has none. Raises Unread."""
        match node:
            case ast.Constant(value=str() as text):
                return self._declared(self._from_text(text, None, line_of(node)), wanted)
            case ast.Name(id=name) if name in self.file.classes:
                return self._class(self.file.classes[name])
            case ast.Name(id=name) if name in self.file.values and name not in self.file.changed:
                return self.of(self.file.values[name], name)
            case ast.Call(func=function) if self.file.framework(function) in ("Signature", "make_signature"):
                return self._called(node, wanted)
            case ast.Call(func=ast.Attribute(value=base, attr="with_instructions"), args=[text]):
                found = self.of(base, wanted)
                changed = SignatureDraft(found.inputs, found.outputs, text_of(self.file, text))
                return self._declared(changed, wanted)
            case ast.JoinedStr() | ast.BinOp():
                return self._declared(self._from_text(text_of(self.file, node), None, line_of(node)), wanted)
            case _:
                raise Unread("a signature that is made while the program runs", line_of(node))

    def is_one(self, node: ast.ClassDef) -> bool:
        """Whether a class is a signature."""
        if node.name not in self.known:
            self.known[node.name] = False  # while it is looked for: a class may be above itself
            self.known[node.name] = self._has_signature_above(node)
        return self.known[node.name]

    def _has_signature_above(self, node: ast.ClassDef) -> bool:
        for base in node.bases:
            if self.file.framework(base) == "Signature":
                return True
            own = isinstance(base, ast.Name) and base.id in self.file.classes and base.id != node.name
            if own and isinstance(base, ast.Name) and self.is_one(self.file.classes[base.id]):
                return True
        return False

    def _declared(self, found: SignatureDraft, wanted: str) -> SignatureDraft:
        text = found.declared("it")
        if text not in self.texts:
            self.texts[text] = self.draft.name(camel(wanted))
            self.draft.add("signature", found.declared(self.texts[text]))
        return SignatureDraft(found.inputs, found.outputs, found.instruction, self.texts[text])

    def _class(self, node: ast.ClassDef) -> SignatureDraft:
        if node.name not in self.classes:
            if not self.is_one(node):
                raise Unread(f"`{node.name}` is no signature", node.lineno)
            self.classes[node.name] = self._declared(self._read(node), node.name)
        return self.classes[node.name]

    def _read(self, node: ast.ClassDef, deep: int = 0) -> SignatureDraft:
        if deep > 20:
            raise Unread(f"`{node.name}` extends itself", node.lineno)
        inputs: dict[str, FieldDraft] = {}
        outputs: dict[str, FieldDraft] = {}
        said = ast.get_docstring(node, clean=False)
        text = None if said is None else inspect.cleandoc(said)
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self.file.classes:
                above = self._read(self.file.classes[base.id], deep + 1)
                inputs |= {one.name: one for one in above.inputs}
                outputs |= {one.name: one for one in above.outputs}
                text = (
                    above.instruction
                    if text is None and ast.get_docstring(self.file.classes[base.id])
                    else text
                )
        for one in node.body:
            match one:
                case ast.Assign(targets=[ast.Name(id="__doc__")], value=value):
                    text = inspect.cleandoc(text_of(self.file, value))
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as value):
                    self._field(name, None, value, one, inputs, outputs)
                case ast.AnnAssign(
                    target=ast.Name(id=name), annotation=annotation, value=ast.Call() as value
                ):
                    self._field(name, annotation, value, one, inputs, outputs)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    self.draft.say(
                        one.lineno,
                        f"`{name}` of `{node.name}` is neither an input nor an output: it is left out",
                    )
                case ast.Expr(value=ast.Constant()) | ast.Pass():
                    pass
                case _:
                    self.draft.comment(
                        "signature",
                        line_of(one),
                        f"this part of `{node.name}` is left out",
                        self.file.shown(one),
                    )
        for statement in self.file.statements:  # `QA.__doc__ = "…"`
            match statement:
                case ast.Assign(
                    targets=[ast.Attribute(value=ast.Name(id=name), attr="__doc__")], value=value
                ) if name == node.name:
                    text = inspect.cleandoc(text_of(self.file, value))
                case _:
                    pass
        if not outputs:
            raise Unread(f"the signature `{node.name}` has no output", node.lineno)
        return _with_text(inputs.values(), outputs.values(), text)

    def _field(
        self,
        name: str,
        annotation: ast.expr | None,
        value: ast.Call,
        place: ast.stmt,
        inputs: dict[str, FieldDraft],
        outputs: dict[str, FieldDraft],
    ) -> None:
        role = self.file.dotted(value.func).rpartition(".")[2]
        if role not in (*INPUTS, *OUTPUTS):
            self.draft.say(line_of(place), f"`{name}` is neither an input nor an output: it is left out")
            return
        made = self.kinds.field(name, annotation, value, line_of(place))
        if made.default and role in OUTPUTS:
            self.draft.say(line_of(place), f"outputs have no default: that of `{name}` is left out")
            made = replace(made, default="")
        if role in INPUTS:
            if made.bounds:
                self.draft.say(
                    line_of(place), f"the bounds of the input `{name}` are left out: only outputs are checked"
                )
            inputs[made.name] = self.kinds.taking_none(replace(made, bounds=()))
        else:
            outputs[made.name] = made

    def _called(self, node: ast.Call, wanted: str) -> SignatureDraft:
        given = [
            *node.args,
            *(one.value for one in node.keywords if one.arg in ("signature", "instructions")),
        ]
        if not given:
            raise Unread("a signature of nothing", node.lineno)
        text = text_of(self.file, given[1]) if len(given) > 1 else None
        first = given[0]
        if isinstance(first, ast.Dict):
            return self._declared(self._from_dict(first, text), wanted)
        if isinstance(first, ast.Name) and first.id in self.file.classes:
            return self.of(first, wanted)
        return self._declared(self._from_text(text_of(self.file, first), text, node.lineno), wanted)

    def _from_dict(self, node: ast.Dict, text: str | None) -> SignatureDraft:
        inputs: dict[str, FieldDraft] = {}
        outputs: dict[str, FieldDraft] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise Unread("a signature that is made while the program runs", node.lineno)
            kind, said = (
                value.elts if isinstance(value, ast.Tuple) and len(value.elts) == 2 else (None, value)
            )
            if not isinstance(said, ast.Call):
                raise Unread("a signature that is made while the program runs", node.lineno)
            self._field(text_of(self.file, key), kind, said, ast.Pass(lineno=node.lineno), inputs, outputs)
        return _with_text(inputs.values(), outputs.values(), text)

    def _from_text(self, text: str, instruction: str | None, line: int) -> SignatureDraft:
        """`question, context: list[str] -> answer`."""
        before, arrow, after = text.partition("->")
        if not arrow or "->" in after or len(text) > 5000:
            raise Unread(f"`{text[:60]}` is no signature", line)
        inputs, outputs = self._side(before, line), self._side(after, line)
        if not outputs:
            raise Unread(f"`{text[:60]}` has no output", line)
        return _with_text(inputs, outputs, instruction)

    def _side(self, text: str, line: int) -> list[FieldDraft]:
        if not text.strip():
            return []
        try:
            made = ast.parse(f"def it({text.strip()}): pass").body[0]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise Unread(f"`{text.strip()[:60]}` is no list of fields", line) from None
        assert isinstance(made, ast.FunctionDef)
        found: list[FieldDraft] = []
        for one in made.args.args:
            kind = one.annotation
            if isinstance(kind, ast.Constant):
                kind = parsed_type(str(kind.value), line)
            for node in ast.walk(kind) if kind is not None else ():
                if isinstance(node, ast.expr):
                    node.lineno = line
            found.append(self.kinds.field(one.arg, kind, None, line))
        return found


def _with_text(
    inputs: Iterable[FieldDraft], outputs: Iterable[FieldDraft], text: str | None
) -> SignatureDraft:
    given, wanted = tuple(inputs), tuple(outputs)
    return SignatureDraft(given, wanted, text or usual_instruction(given, wanted))


def usual_instruction(inputs: Sequence[FieldDraft], outputs: Sequence[FieldDraft]) -> str:
    """What DSPy asks for where a signature has no words of its own."""
    named = [", ".join(f"`{one.name}`" for one in side) for side in (inputs, outputs)]
    return f"Given the fields {named[0]}, produce the fields {named[1]}."
