"""Types of Python as types of the language: annotations, `Literal`, `Enum`, Pydantic models, dataclasses, `TypedDict`."""

from __future__ import annotations

import ast
import inspect

from msgspec import Struct, field
from msgspec.structs import replace

from dspec.runtime.schema.types import JsonValue

from .drafts import Draft, Unread, camel, documented, literal, plain_name, quoted
from .python_source import PythonFile, constant, enum_values, is_enum, line_of, text_of

_SCALARS = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "bytes": "str",
    "object": "any",
    "typing.Any": "any",
    "Any": "any",
    "datetime.date": "date",
    "datetime.datetime": "datetime",
    "dspy.Image": "image",
    "dspy.Audio": "audio",
    "dspy.File": "file",
    "dspy.History": "history",
    "dspy.Reasoning": "str",
    "dspy.Code": "str",
    "list": "list[any]",
    "typing.List": "list[any]",
    "set": "list[any]",
    "tuple": "list[any]",
    "dict": "dict[str, any]",
    "typing.Dict": "dict[str, any]",
    "decimal.Decimal": "float",
    "pydantic.EmailStr": "str",
    "pydantic.HttpUrl": "str",
}
_LISTS = ("list", "List", "Sequence", "Iterable", "set", "Set", "frozenset")
_MODELS = ("BaseModel", "TypedDict", "NamedTuple")
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
LENGTHS = {"min_length": ">=", "max_length": "<="}


class FieldDraft(Struct, frozen=True):
    """A field of a signature or a record."""

    name: str
    type: str
    description: str = ""
    default: str = ""
    """Its literal; "" where there is none."""
    bounds: tuple[str, ...] = ()
    """Conditions on it, as the language writes them."""
    untyped: bool = False
    """Whether nobody said the type, which is then `str`."""

    def line(self, role: str) -> str:
        default = f" = {self.default}" if self.default else ""
        description = f" {quoted(self.description)}" if self.description else ""
        return f"  {role} {self.name}: {self.type}{default}{description}"


class Kinds(Struct):
    """Types of one file; the records and unions that they need are written as they are met."""

    file: PythonFile
    draft: Draft
    records: dict[str, str] = field(default_factory=dict[str, str])
    """Names of declarations by the names of classes."""
    aliases: dict[str, str] = field(default_factory=dict[str, str])

    def of(self, node: ast.expr | None, deep: int = 0) -> str:
        """The type of an annotation; `str` of none. Raises Unread."""
        if node is None:
            return "str"
        if deep > 30:
            raise Unread("this type is too deep", line_of(node))
        match node:
            case ast.Constant(value=str() as text):
                return self.of(parsed_type(text, line_of(node)), deep + 1)
            case ast.Constant(value=None):
                return "any"
            case ast.BinOp(op=ast.BitOr()):
                return self._union(_members(node), node, deep)
            case ast.Subscript(value=value, slice=inside):
                return self._subscript(value, inside, node, deep)
            case ast.Name() | ast.Attribute():
                return self._named(node, deep)
            case _:
                raise Unread("a type that the language has no word for", line_of(node))

    def _named(self, node: ast.Name | ast.Attribute, deep: int) -> str:
        dotted = self.file.dotted(node)
        if isinstance(node, ast.Name) and node.id in self.file.classes:
            return self._class(self.file.classes[node.id])
        if isinstance(node, ast.Name) and node.id in self.file.values and node.id not in self.file.changed:
            return self._alias(node.id, self.file.values[node.id], deep)
        found = _SCALARS.get(dotted) or _SCALARS.get(dotted.replace("dspy.adapters.types", "dspy"))
        if found is None and dotted.startswith("dspy."):
            found = _SCALARS.get(f"dspy.{dotted.rpartition('.')[2]}")
        if found is None and dotted.startswith(("typing.", "collections.abc.", "datetime.")):
            found = _SCALARS.get(dotted.rpartition(".")[2])
        if found is None:
            self.draft.say(line_of(node), f"the type `{dotted}` is not known here: it is `any`")
            return "any"
        return found

    def _alias(self, name: str, value: ast.expr, deep: int) -> str:
        if name not in self.aliases:
            written = self.of(value, deep + 1)
            if (
                '"' in written
                and not written.startswith(("list", "dict", "tuple"))
                and written.rstrip("?") not in self.draft.taken
            ):
                declared = self.draft.name(camel(name) if name.isupper() else name)
                self.draft.add("type", f"type {declared} = {written}")
                written = declared
            self.aliases[name] = written
        return self.aliases[name]

    def _subscript(self, value: ast.expr, inside: ast.expr, node: ast.expr, deep: int) -> str:
        name = self.file.dotted(value).rpartition(".")[2]
        items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if name == "Literal":
            return self._literals(items, node)
        if name == "Optional":
            return self.draft.optional(self.of(items[0], deep + 1))
        if name == "Union":
            return self._union(list(items), node, deep)
        if name == "Annotated":
            return self.of(items[0], deep + 1)
        if name in _LISTS:
            return f"list[{self.of(items[0], deep + 1)}]"
        if name in ("dict", "Dict", "Mapping", "MutableMapping", "defaultdict") and len(items) == 2:
            return f"dict[{self.of(items[0], deep + 1)}, {self.of(items[1], deep + 1)}]"
        if name in ("tuple", "Tuple"):
            if len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is Ellipsis:
                return f"list[{self.of(items[0], deep + 1)}]"
            return f"tuple[{', '.join(self.of(one, deep + 1) for one in items)}]"
        if name in ("Code",):
            return "str"
        raise Unread(f"the type `{name}[…]` has no word in the language", line_of(node))

    def _literals(self, items: list[ast.expr], node: ast.expr) -> str:
        values: list[JsonValue] = []
        for one in items:
            found = constant(self.file, one.value if isinstance(one, ast.Starred) else one)
            values += found if isinstance(found, list) else [found]
        return self._of_values(values, node)

    def _of_values(self, values: list[JsonValue], node: ast.AST) -> str:
        missing = None in values
        kept = [one for one in values if one is not None]
        texts = all(isinstance(one, str) for one in kept)
        numbers = all(isinstance(one, int) and not isinstance(one, bool) for one in kept)
        if not kept or len(kept) > 1000 or not (texts or numbers):
            raise Unread(
                "a `Literal` of texts or of whole numbers is read, and this is another", line_of(node)
            )
        written = " | ".join(literal(one) for one in kept)
        return self.draft.optional(written) if missing else written

    def _union(self, members: list[ast.expr], node: ast.AST, deep: int) -> str:
        none = [one for one in members if isinstance(one, ast.Constant) and one.value is None]
        rest = [one for one in members if one not in none]
        if len(rest) == 1:
            return self.draft.optional(self.of(rest[0], deep + 1))
        kinds = [self.of(one, deep + 1) for one in rest]
        records = {*self.records.values()}
        if all(kind in records for kind in kinds) or all(kind[:1] in '"-0123456789' for kind in kinds):
            written = " | ".join(kinds)
        else:
            self.draft.say(line_of(node), f"a value that is one of {', '.join(kinds)} is `any` here")
            return "any"
        return self.draft.optional(written) if none else written

    def _class(self, node: ast.ClassDef) -> str:
        if node.name in self.records:
            return self.records[node.name]
        bases = {self.file.dotted(base).rpartition(".")[2] for base in node.bases}
        if is_enum(self.file, node):
            return self._enum(node)
        decorated = {
            self.file.dotted(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list
        }
        modelled = bases & set(_MODELS) or decorated & {"dataclass", "dataclasses.dataclass"}
        inherited = [
            base for base in node.bases if isinstance(base, ast.Name) and base.id in self.file.classes
        ]
        if not modelled and not inherited:
            self.draft.say(node.lineno, f"the class `{node.name}` is no record that can be read: it is `any`")
            return "any"
        return self._record(node, inherited)

    def _enum(self, node: ast.ClassDef) -> str:
        written = self._of_values(enum_values(self.file, node.name), node)
        self.records[node.name] = self.draft.name(node.name)
        self.draft.add("type", f"type {self.records[node.name]} = {written}")
        return self.records[node.name]

    def _record(self, node: ast.ClassDef, inherited: list[ast.Name]) -> str:
        name = self.records[node.name] = self.draft.name(node.name)
        bases = [self._class(self.file.classes[base.id]) for base in inherited]
        lines: list[str] = []
        if text := ast.get_docstring(node, clean=False):
            lines.append(f"  {documented(inspect.cleandoc(text))}")
        for one in node.body:
            if (
                isinstance(one, ast.AnnAssign)
                and isinstance(one.target, ast.Name)
                and one.target.id != "model_config"
            ):
                made = self.taking_none(self.field(one.target.id, one.annotation, one.value, one.lineno))
                lines.append(made.line("field"))
                lines += [f"  assert {bound}" for bound in made.bounds]
            elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                self.draft.comment(
                    "record",
                    one.lineno,
                    f"`{node.name}.{one.name}` is code, and a record has none",
                    self.file.shown(one),
                )
        base = f" extends {bases[0]}" if bases and bases[0] != "any" else ""
        self.draft.add("record", "\n".join([f"record {name}{base} {{", *lines, "}"]))
        return name

    def field(self, name: str, annotation: ast.expr | None, value: ast.expr | None, line: int) -> FieldDraft:
        """A field as it is written, with what `Field(…)`, `InputField(…)` or `OutputField(…)` say of it."""
        kind = self._kind_of_field(annotation, line)
        plain = plain_name(name)
        if plain != name:
            self.draft.say(
                line, f"the field `{name}` is called `{plain}`, since `{name}` is a word of the language"
            )
        untyped = annotation is None
        if value is None:
            return FieldDraft(plain, kind, untyped=untyped)
        called = self.file.dotted(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
        if not (
            isinstance(value, ast.Call)
            and called in ("Field", "InputField", "OutputField", "OldInputField", "OldOutputField", "field")
        ):
            return FieldDraft(plain, kind, default=self._default(value, line))
        return self._said(plain, kind, value, line, untyped=untyped)

    def taking_none(self, one: FieldDraft) -> FieldDraft:
        """A field that may be missing where its default is none: Python lets `text: str = None` pass."""
        return replace(one, type=self.draft.optional(one.type)) if one.default == "none" else one

    def _said(self, name: str, kind: str, value: ast.Call, line: int, *, untyped: bool) -> FieldDraft:
        description, default, bounds = "", "", list[str]()
        first = value.args[0] if value.args else None
        if first is not None and not (isinstance(first, ast.Constant) and first.value is Ellipsis):
            default = self._default(first, line)
        for keyword in value.keywords:
            match keyword.arg:
                case "desc" | "description":
                    description = self._text(keyword.value, line)
                case "default":
                    default = self._default(keyword.value, line)
                case "default_factory" if isinstance(keyword.value, ast.Name) and keyword.value.id == "list":
                    default = "[]"
                case "ge" | "gt" | "le" | "lt" | "min_length" | "max_length" as said:
                    bound = literal(constant(self.file, keyword.value))
                    what = f"len({name})" if said in LENGTHS else name
                    bounds.append(f"{what} {(BOUNDS | LENGTHS)[said]} {bound}")
                case "prefix" | "format" | "parser" | "alias" | "title" | "examples" | None:
                    pass  # no prompt of DSPy 3 shows them
                case other:
                    self.draft.say(line, f"`{other}` of the field `{name}` is left out")
        return FieldDraft(name, kind, description, default, tuple(bounds), untyped)

    def _kind_of_field(self, annotation: ast.expr | None, line: int) -> str:
        try:
            return self.of(annotation)
        except Unread as unread:
            self.draft.say(unread.line or line, f"{unread.why}: it is `any`")
            return "any"

    def _text(self, node: ast.expr, line: int) -> str:
        try:
            return text_of(self.file, node)
        except Unread:
            self.draft.say(line, "a description that is computed is left out")
            return ""

    def _default(self, node: ast.expr, line: int) -> str:
        try:
            return literal(constant(self.file, node))
        except Unread:
            self.draft.say(line, "a default that is computed is left out")
            return ""


def parsed_type(text: str, line: int) -> ast.expr:
    """A type that stands in quotes."""
    if len(text) > 2000:
        raise Unread("this type is too long", line)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unread(f"`{text[:60]}` is no type", line) from None


def _members(node: ast.expr) -> list[ast.expr]:
    """The members of `a | b | c`, which nests to the left."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]
