"""Reads BAML: classes as records, enums as unions, clients as models, functions as modules, tests as tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .baml_blocks import BamlBlock, BamlType, read_blocks
from .drafts import SETTINGS, Draft, Unread, documented, literal, one_line, plain_name, quoted
from .prompts import TestDraft, worded
from .python_source import NotRead

T = TypeVar("T")
_SCALARS = {
    "string": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "image": "image",
    "audio": "audio",
    "pdf": "file",
    "null": "any",
}
_PROVIDERS = {
    "openai": "openai",
    "openai-generic": "openai",
    "openai-responses": "openai",
    "azure-openai": "azure",
    "anthropic": "anthropic",
    "google-ai": "gemini",
    "vertex-ai": "vertex_ai",
    "aws-bedrock": "bedrock",
    "ollama": "ollama",
}
_OUTPUT = "result"
_LEFT_OUT = ("ctx.", "_.")


def adopted_from_baml(files: list[tuple[str, bytes]], target: str | None, name: str) -> Draft:
    """The draft of BAML files; `target` is the function that is wanted, all of them unless said. Raises NotRead."""
    draft = Draft(name)
    blocks: list[BamlBlock] = []
    for file, data in files:
        try:
            blocks += read_blocks(file, data.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise NotRead(f"{file} is no UTF-8 text") from None
    functions = [one for one in blocks if one.kind == "function" and target in (None, one.name)]
    if not functions:
        there = ", ".join(one.name for one in blocks if one.kind == "function") or "none"
        raise NotRead(f"it has no function `{target}`; there is {there}" if target else "it has no function")
    _Reader(draft, {(one.kind, one.name): one for one in blocks}).read(blocks, functions)
    return draft


def _in_its_file(read: Callable[[_Reader, BamlBlock], T]) -> Callable[[_Reader, BamlBlock], T]:
    """What is said while a block is read is said of its file."""

    def reading(reader: _Reader, block: BamlBlock) -> T:
        before, reader.draft.where = reader.draft.where, block.file
        try:
            return read(reader, block)
        finally:
            reader.draft.where = before

    return reading


class _Reader:
    def __init__(self, draft: Draft, blocks: dict[tuple[str, str], BamlBlock]) -> None:
        self.draft = draft
        self.blocks = blocks
        self.names: dict[str, str] = {}
        self.clients: dict[str, str] = {}
        self.modules: dict[str, tuple[str, dict[str, str], str]] = {}
        """Module, inputs and output type of each function."""

    def read(self, blocks: list[BamlBlock], functions: list[BamlBlock]) -> None:
        for one in functions:
            try:
                self._function(one)
            except Unread as unread:
                self.draft.comment(
                    "module", unread.line or one.line, f"`{one.name}` is not read: {unread.why}"
                )
        for one in blocks:
            if one.kind == "test":
                self._test(one)
            elif one.kind in ("generator", "retry_policy"):
                self.draft.say(
                    one.line, f"the {one.kind} `{one.name}` is left out: it is no part of a program"
                )
            elif one.kind not in ("function", "class", "enum", "client", "type"):
                self.draft.say(one.line, f"the {one.kind} `{one.name}` is left out", lost=True)

    # Models ---------------------------------------------------------------------------------------

    def _client(self, name: str, line: int) -> str:
        if name not in self.clients:
            block = self.blocks.get(("client", name))
            if block is None:
                provider, slash, model = name.partition("/")
                if not slash:
                    raise Unread(f"there is no client `{name}`", line)
                shown = f"{_PROVIDERS.get(provider, provider)}/{model}"
                self.clients[name] = self.draft.name(model.rpartition("/")[2])
                lines = [f"model = {quoted(shown)}"]
            else:
                self.clients[name] = self.draft.name(name)
                lines = self._of_block(block)
            if not any(text.startswith("lm ") for text in self.draft.sections["lm"]):
                lines.append("default = true")
            self.draft.add(
                "lm", "\n".join([f"lm {self.clients[name]} {{", *(f"  {one}" for one in lines), "}"])
            )
        return self.clients[name]

    @_in_its_file
    def _of_block(self, block: BamlBlock) -> list[str]:
        provider = str(block.values.get("provider", "openai"))
        options = block.values.get("options", {})
        options = options if isinstance(options, dict) else {}
        if provider in ("fallback", "round-robin"):
            strategy = options.get("strategy", [])
            names = [str(one) for one in strategy] if isinstance(strategy, list) else []
            if not names:
                raise Unread(f"the client `{block.name}` names no other", block.line)
            if provider == "round-robin":
                self.draft.say(
                    block.line,
                    f"`{block.name}` asks its clients in turn, and here the first, with the others to fall back to",
                    lost=True,
                )
            first, *others = names
            inner = self.blocks.get(("client", first))
            lines = self._of_block(inner) if inner is not None else [f"model = {quoted(first)}"]
            fallback = [self._client(one, block.line) for one in others]
            return [*lines, f"fallback = [{', '.join(fallback)}]"] if fallback else lines
        model = options.get("model", "")
        if not isinstance(model, str) or not model or model.startswith("env."):
            self.draft.comment(
                "lm", block.line, f"the model of `{block.name}` is not named there: name it here"
            )
            model = "gpt-4o-mini"
        lines = [f"model = {quoted(f'{_PROVIDERS.get(provider, provider)}/{model}')}"]
        for word, value in options.items():
            if word == "api_key" and isinstance(value, str) and value.startswith("env."):
                lines.append(f'api_key = env("{plain_name(value[4:])}")')
            elif word == "base_url" and isinstance(value, str):
                lines.append(
                    f'api_base = env("{plain_name(value[4:])}")'
                    if value.startswith("env.")
                    else f"api_base = {quoted(value)}"
                )
            elif word in SETTINGS:
                lines.append(f"{word} = {literal(value)}")
            elif word == "api_key":
                self.draft.say(
                    block.line,
                    f'the key of `{block.name}` is left out: name its variable, as `api_key = env("NAME")`',
                )
            elif word != "model":
                self.draft.say(block.line, f"`{word}` of the client `{block.name}` is left out", lost=True)
        return lines

    # Types ----------------------------------------------------------------------------------------

    def _type(self, kind: BamlType, line: int) -> str:
        match kind.name:
            case "list":
                return f"list[{self._type(kind.items[0], line)}]"
            case "map":
                return f"dict[{self._type(kind.items[0], line)}, {self._type(kind.items[1], line)}]"
            case "tuple":
                return f"tuple[{', '.join(self._type(one, line) for one in kind.items)}]"
            case "optional":
                return self.draft.optional(self._type(kind.items[0], line))
            case "union":
                return self._union(kind, line)
            case "literal":
                return kind.text
            case name if name in _SCALARS:
                return _SCALARS[name]
            case name:
                return self._named(name, line)

    def _union(self, kind: BamlType, line: int) -> str:
        rest = [one for one in kind.items if one.name != "null"]
        if len(rest) == 1:
            written = self._type(rest[0], line)
        else:
            kinds = [self._type(one, line) for one in rest]
            known = all(one.name == "literal" for one in rest) or all(
                ("class", one.name) in self.blocks for one in rest
            )
            if not known:
                self.draft.say(line, f"a value that is one of {', '.join(kinds)} is `any` here", lost=True)
                return "any"
            written = " | ".join(kinds)
        return self.draft.optional(written) if len(rest) < len(kind.items) else written

    def _named(self, name: str, line: int) -> str:
        if name in self.names:
            return self.names[name]
        if (block := self.blocks.get(("class", name))) is not None:
            return self._class(block)
        if (block := self.blocks.get(("enum", name))) is not None:
            return self._enum(block)
        if (block := self.blocks.get(("type", name))) is not None and block.type is not None:
            declared = self.names[name] = self.draft.name(name)
            written = self._type(block.type, block.line)
            if '"' not in written or written.startswith(("list", "dict")):
                self.names[name] = written
                return written
            self.draft.add("type", f"type {declared} = {written}")
            return declared
        raise Unread(f"there is no type `{name}`", line)

    @_in_its_file
    def _class(self, block: BamlBlock) -> str:
        declared = self.names[block.name] = self.draft.name(block.name)
        lines: list[str] = []
        if text := block.attributes.get("description"):
            lines.append(f"  {documented(text)}")
        for one in block.fields:
            if one.type is None:
                continue
            name = plain_name(one.name)
            description = (
                f" {quoted(one.attributes['description'])}" if one.attributes.get("description") else ""
            )
            lines.append(f"  field {name}: {self._type(one.type, one.line)}{description}")
            self._attributes(one.attributes, f"{block.name}.{one.name}", one.line)
        self._attributes(block.attributes, block.name, block.line)
        if not lines:
            raise Unread(f"the class `{block.name}` has no field", block.line)
        self.draft.add("record", "\n".join([f"record {declared} {{", *lines, "}"]))
        return declared

    @_in_its_file
    def _enum(self, block: BamlBlock) -> str:
        declared = self.names[block.name] = self.draft.name(block.name)
        kept = [one for one in block.fields if "skip" not in one.attributes]
        members: list[str] = []
        for one in kept:
            description = one.attributes.get("description", "")
            members.append(quoted(one.name) + (f" {quoted(description)}" if description else ""))
            self._attributes(one.attributes, f"{block.name}.{one.name}", one.line)
        self._attributes(block.attributes, block.name, block.line)
        if not members:
            raise Unread(f"the enum `{block.name}` has no value", block.line)
        self.draft.add("type", f"type {declared} = {' | '.join(members)}")
        return declared

    def _attributes(self, attributes: dict[str, str], what: str, line: int) -> None:
        for name in attributes:
            if name == "alias":
                self.draft.say(line, f"`@alias` of `{what}` is left out: the model reads its name", lost=True)
            elif name in ("assert", "check"):
                self.draft.say(line, f"`@{name}` of `{what}` is left out: write it as an `assert`", lost=True)
            elif name not in ("description", "skip", "stream.done", "stream.not_null", "stream.with_state"):
                self.draft.say(line, f"`@{name}` of `{what}` is left out", lost=True)

    # Functions ------------------------------------------------------------------------------------

    @_in_its_file
    def _function(self, block: BamlBlock) -> None:
        if block.type is None:
            raise Unread("what it gives is not said", block.line)
        inputs = {
            plain_name(one.name): self._type(one.type, one.line)
            for one in block.fields
            if one.type is not None
        }
        output = self._type(block.type, block.line)
        prompt = block.values.get("prompt", "")
        made = worded(str(prompt), _LEFT_OUT)
        for code in made.code:
            self.draft.say(
                block.line,
                f"`{one_line(code, 60)}` in the prompt of `{block.name}` is code: left out",
                lost=True,
            )
        for name in made.names:
            if name not in inputs:
                self.draft.say(
                    block.line,
                    f"the prompt of `{block.name}` names `{name}`, which is none of its arguments",
                    lost=True,
                )
        signature = self.draft.name(block.name)
        lines = [f"  {documented(made.instruction or 'Answer.')}"]
        lines += [f"  input {name}: {kind}" for name, kind in inputs.items()]
        lines.append(f"  output {_OUTPUT if _OUTPUT not in inputs else 'answer'}: {output}")
        client = block.values.get("client")
        lm = self._client(str(client), block.line) if client else ""
        self.draft.add("signature", "\n".join([f"signature {signature} {{", *lines, "}"]))
        module = self.draft.name(_snake(block.name))
        self.draft.add("module", f"module {module} = Predict({signature}{f', lm = {lm}' if lm else ''})")
        self.modules[block.name] = (module, inputs, output)

    # Tests ----------------------------------------------------------------------------------------

    @_in_its_file
    def _test(self, block: BamlBlock) -> None:
        names = block.values.get("functions", [])
        arguments = block.values.get("args", {})
        for name in names if isinstance(names, list) else []:
            if str(name) not in self.modules:
                continue
            module, inputs, output = self.modules[str(name)]
            made = TestDraft(
                module,
                {plain_name(str(key)): value for key, value in arguments.items()}
                if isinstance(arguments, dict)
                else {},
            )
            for attribute, text in block.checks:
                try:
                    made.expects.append(_expectation(text))
                except Unread as unread:
                    self.draft.say(
                        block.line,
                        f"`@@{attribute}` of the test `{block.name}` is left out: {unread.why}",
                        lost=True,
                    )
                    made.comments.append(f"not taken over: {one_line(text, 120)}")
            if not block.checks:
                made.comments.append("it asserts nothing there")
                made.expects.append(_anything(output))
            try:
                made.declare(self.draft, block.name, inputs)
            except Unread as unread:
                self.draft.comment("test", block.line, f"`{block.name}`: {unread.why}")


def _anything(output: str) -> str:
    return f'{_OUTPUT} != ""' if output == "str" else f'str({_OUTPUT}) != ""'


def _expectation(text: str) -> str:
    """`this.name == "x"` as an expectation of the output. Raises Unread."""
    import ast
    import re

    from .expressions import Env, Expressions, Value
    from .python_source import PythonFile

    plain = re.sub(r"([\w.]+)\s*\|\s*length", r"len(\1)", text.strip())
    try:
        node = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unread("it is no expression that can be read") from None
    env: Env = {"this": Value(_OUTPUT)}
    reader = Expressions(
        PythonFile("test", ast.Module([], []), []), lambda call, env: None, lambda node, env: None
    )
    return reader.value(node, env).text


def _snake(name: str) -> str:
    import re

    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
