"""Reads a promptfoo configuration: prompts as modules, providers as models, tests with their assertions as tests.

Nothing of it runs: a prompt, a provider or an assertion that is code is named and left out, and no file outside the
configuration's folder is read.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

from .drafts import SETTINGS, Draft, Unread, camel, documented, one_line, plain_name, quoted
from .prompts import TestDraft, kind_of, worded
from .python_source import MAX_BYTES, NotRead

MAX_VALUES = 200_000
MAX_LEVELS = 100
MAX_TESTS = 2_000
_TOO_MUCH = f"it has more than {MAX_VALUES:,} values, or nests deeper than {MAX_LEVELS} levels"
_OUTPUT = "output"
_PROVIDERS = {
    "google": "gemini",
    "vertex": "vertex_ai",
    "bedrock": "bedrock",
    "azureopenai": "azure",
    "azure": "azure",
    "ollama": "ollama",
    "togetherai": "together_ai",
    "huggingface": "huggingface",
}
_TYPES = ("chat", "completion", "text", "messages", "responses", "embedding")

Object = Mapping[str, JsonValue]


def adopted_from_promptfoo(source: Path, data: bytes) -> Draft:
    """The draft of a configuration. Raises NotRead."""
    value = _loaded(source, data)
    if not isinstance(value, dict) or not ("prompts" in value or "tests" in value):
        raise NotRead("it is no promptfoo configuration: it has no `prompts`")
    draft = Draft(source.name)
    _Configuration(draft, source.absolute().parent, cast("Object", value)).read()
    if not any(text.startswith("module ") for text in draft.sections["module"]):
        raise NotRead("none of its prompts can be read: " + "; ".join(str(one) for one in draft.remarks[:3]))
    return draft


def _loaded(source: Path, data: bytes) -> JsonValue:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotRead("it is no UTF-8 text") from None
    try:
        if source.suffix.lower() == ".json":
            value: JsonValue = json.loads(text)
        else:
            value = _yaml(text)
    except RecursionError:
        raise NotRead("it nests too deep") from None
    except NotRead:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader of untrusted text raises says that it is none
        raise NotRead(f"it cannot be read: {one_line(str(error), 200)}") from None
    _check_size(value)
    return value


def _yaml(text: str) -> JsonValue:
    """The value of a YAML text. Its events are counted first: the reader in C ends the process where they nest too deep."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    deep = 0
    events = yaml.parse(text, Loader=loader)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    for seen, event in enumerate(events, 1):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        deep += isinstance(event, yaml.CollectionStartEvent)
        deep -= isinstance(event, yaml.CollectionEndEvent)
        if seen > MAX_VALUES or deep > MAX_LEVELS:
            raise NotRead(_TOO_MUCH)
    return yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders


def _check_size(value: JsonValue) -> None:
    """An alias is followed each time that it stands somewhere: a few of them can stand for billions of values."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        one, deep = waiting.pop()
        seen += 1
        if seen > MAX_VALUES or deep > MAX_LEVELS:
            raise NotRead(_TOO_MUCH)
        if isinstance(one, dict):
            waiting += [(inner, deep + 1) for inner in one.values()]
        elif isinstance(one, list):
            waiting += [(inner, deep + 1) for inner in one]


class _Prompt(Struct, frozen=True):
    module: str
    names: tuple[str, ...]
    label: str


class _Configuration(Struct):
    draft: Draft
    folder: Path
    value: Object
    prompts: list[_Prompt] = field(default_factory=list[_Prompt])
    judge: str = ""
    kinds: dict[str, str] = field(default_factory=dict[str, str])

    def read(self) -> None:
        self._models()
        tests = self._tests()
        self._types(tests)
        for number, prompt in enumerate(_list(self.value.get("prompts")), 1):
            try:
                self._prompt(prompt, number)
            except Unread as unread:
                self.draft.comment("module", 0, f"prompt {number}: {unread.why}")
        for number, test in enumerate(tests, 1):
            for prompt in self.prompts:
                try:
                    self._test(test, number, prompt)
                except Unread as unread:
                    self.draft.comment("test", 0, f"test {number}: {unread.why}")
        for word in self.value:
            if word not in (
                "description",
                "prompts",
                "providers",
                "tests",
                "defaultTest",
                "targets",
                "sharing",
                "tags",
                "outputPath",
                "evaluateOptions",
                "commandLineOptions",
            ) and not word.startswith("$"):
                self.draft.say(
                    0,
                    f"`{one_line(word, 60)}` is left out",
                    lost=word in ("scenarios", "transform", "redteam", "extensions"),
                )

    # Models ---------------------------------------------------------------------------------------

    def _models(self) -> None:
        for number, provider in enumerate(_list(self.value.get("providers", self.value.get("targets"))), 1):
            config: Object = {}
            label = ""
            if isinstance(provider, dict):
                said = cast("Object", provider)
                if "id" not in said and len(said) == 1:
                    (identity, inner), *_ = said.items()
                    said = {"id": identity, **(cast("Object", inner) if isinstance(inner, dict) else {})}
                name = said.get("id")
                config = _object(said.get("config"))
                label = str(said.get("label", ""))
            else:
                name = provider
            if (
                not isinstance(name, str)
                or name.startswith(
                    ("file:", "exec:", "python:", "http", "webhook", "package:", "javascript:")
                )
                or ":" not in name
            ):
                self.draft.comment(
                    "lm",
                    0,
                    f"provider {number}: `{one_line(str(name), 60)}` is code or an address, and no model's name",
                )
                continue
            self._lm(label or _model(name).rpartition("/")[2], _model(name), config)
        if len(self.draft.sections["lm"]) > 1:
            self.draft.say(
                0,
                f"each prompt is asked of `{self.judge}` here, and of every provider there: a module names another as `lm = …`",
            )
        if not self.judge:
            self.draft.say(0, "no provider is a model that can be named: `lm main` stands in for it")
            self._lm("main", "openai/gpt-4o-mini", {})

    def _lm(self, wanted: str, model: str, config: Object) -> None:
        lines = [f"model = {quoted(model)}"]
        for word, value in config.items():
            if word in SETTINGS and isinstance(value, int | float | str) and not isinstance(value, bool):
                lines.append(f"{word} = {quoted(value) if isinstance(value, str) else value}")
            elif word == "apiKeyEnvar" and isinstance(value, str):
                lines.append(f'api_key = env("{plain_name(value)}")')
            elif word in ("apiBaseUrl", "apiHost") and isinstance(value, str) and value.startswith("http"):
                lines.append(f"api_base = {quoted(value)}")
            elif word == "apiKey":
                self.draft.say(
                    0,
                    f'the key of `{one_line(model, 60)}` is left out: name its variable, as `api_key = env("NAME")`',
                )
            else:
                self.draft.say(
                    0,
                    f"`{one_line(str(word), 40)}` of `{one_line(model, 60)}` is left out",
                    lost=word in ("tools", "functions", "response_format", "systemPrompt"),
                )
        name = self.draft.name(wanted)
        if not self.judge:
            self.judge = name
            lines.append("default = true")
        self.draft.add("lm", "\n".join([f"lm {name} {{", *(f"  {line}" for line in lines), "}"]))

    # Prompts --------------------------------------------------------------------------------------

    def _prompt(self, prompt: JsonValue, number: int) -> None:
        label = ""
        if isinstance(prompt, dict):
            said = cast("Object", prompt)
            label = str(said.get("label", ""))
            prompt = said.get("raw", said.get("id", ""))
        if not isinstance(prompt, str):
            raise Unread("it is no text")
        text = self._file(prompt) if prompt.startswith("file://") else prompt
        for place, part in enumerate(
            re.split(r"^---\s*$", text, flags=re.MULTILINE) if prompt.startswith("file://") else [text]
        ):
            if part.strip():
                self._module(_messages(part), label or f"prompt_{number}{f'_{place + 1}' if place else ''}")

    def _module(self, text: str, label: str) -> None:
        made = worded(text)
        for code in made.code:
            self.draft.say(
                0,
                f"`{one_line(code, 60)}` in the prompt `{one_line(label, 40)}` is code: left out",
                lost=True,
            )
        names = [name for name in made.names if name != "env"]
        signature = self.draft.name(camel(label))
        lines = [f"  {documented(made.instruction or 'Answer.')}"]
        lines += [f"  input {name}: {self.kinds.get(name, 'str')}" for name in names]
        lines.append(f"  output {_OUTPUT}: str")
        self.draft.add("signature", "\n".join([f"signature {signature} {{", *lines, "}"]))
        module = self.draft.name(label.lower() if label else "prompt")
        self.draft.add("module", f"module {module} = Predict({signature})")
        self.prompts.append(_Prompt(module, tuple(names), label))

    def _file(self, address: str) -> str:
        """A file of the configuration's folder. Raises Unread."""
        name = address.removeprefix("file://")
        if (
            Path(name).suffix.lower() in (".py", ".js", ".ts", ".mjs", ".cjs", ".sh")
            or ":" in name
            or "*" in name
        ):
            raise Unread(f"`{one_line(name, 60)}` is code, or several files")
        place = (self.folder / name).resolve()
        if not place.is_relative_to(self.folder.resolve()):
            raise Unread(f"`{one_line(name, 60)}` is outside of the configuration's folder")
        try:
            with place.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise Unread(f"`{one_line(name, 60)}` cannot be read: {error.strerror or error}") from None
        if len(data) > MAX_BYTES:
            raise Unread(f"`{one_line(name, 60)}` is too large")
        return data.decode("utf-8-sig", errors="replace")

    # Tests ----------------------------------------------------------------------------------------

    def _tests(self) -> list[Object]:
        given = self.value.get("tests")
        found: list[Object] = []
        for one in _list(given):
            if isinstance(one, dict):
                found.append(self._with_defaults(cast("Object", one)))
            elif isinstance(one, str):
                try:
                    found += [self._with_defaults(row) for row in self._rows(one)]
                except (Unread, ValueError, csv.Error) as error:
                    why = error.why if isinstance(error, Unread) else one_line(str(error), 100)
                    self.draft.comment("test", 0, f"`{one_line(one, 60)}`: {why}")
        if len(found) > MAX_TESTS:
            self.draft.say(0, f"{len(found)} tests: the first {MAX_TESTS} are taken over", lost=True)
        return found[:MAX_TESTS]

    def _rows(self, address: str) -> list[Object]:
        text = self._file(address if address.startswith("file://") else f"file://{address}")
        if address.lower().endswith(".csv"):
            found: list[Object] = [
                {
                    "vars": {
                        name: value for name, value in row.items() if name and not name.startswith("__")
                    },
                    "assert": [
                        _expected(value)
                        for name, value in row.items()
                        if name and name.startswith("__expected") and value
                    ],
                }
                for row in csv.DictReader(io.StringIO(text))
            ]
            return found
        value = (
            [json.loads(line) for line in text.splitlines() if line.strip()]
            if address.lower().endswith(".jsonl")
            else _loaded(Path(address), text.encode())
        )
        _check_size(value)
        return [cast("Object", one) for one in _list(value) if isinstance(one, dict)]

    def _with_defaults(self, test: Object) -> Object:
        default = self.value.get("defaultTest")
        if not isinstance(default, dict):
            return test
        said = cast("Object", default)
        values = {**_object(said.get("vars")), **_object(test.get("vars"))}
        return {
            **said,
            **test,
            "vars": values,
            "assert": [*_list(said.get("assert")), *_list(test.get("assert"))],
        }

    def _types(self, tests: Sequence[Object]) -> None:
        values: dict[str, list[JsonValue]] = {}
        for test in tests:
            for name, value in _object(test.get("vars")).items():
                values.setdefault(plain_name(str(name)), []).append(value)
        self.kinds = {name: kind_of(found) for name, found in values.items()}

    def _test(self, test: Object, number: int, prompt: _Prompt) -> None:
        label = str(test.get("description") or f"test_{number}")
        values: dict[str, JsonValue] = {}
        for name, value in _object(test.get("vars")).items():
            if isinstance(value, str) and value.startswith("file://"):
                value = self._file(value)
            values[plain_name(str(name))] = value
        made = TestDraft(prompt.module, values)
        for assertion in _list(test.get("assert")):
            try:
                made.expects.append(self._expect(_object(assertion), values))
            except Unread as unread:
                self.draft.say(0, f"test {number}: {unread.why}", lost=True)
                made.comments.append(f"not taken over: {one_line(unread.why, 120)}")
        if not made.expects and not made.comments and not _list(test.get("assert")):
            made.comments.append("it asserts nothing there")
            made.expects.append(f'{_OUTPUT} != ""')
        wanted = label if len(self.prompts) == 1 else f"{label}_{prompt.module}"
        made.declare(self.draft, wanted, {name: self.kinds.get(name, "str") for name in prompt.names})

    def _expect(self, assertion: Object, values: Mapping[str, JsonValue]) -> str:
        kind = str(assertion.get("type", ""))
        if kind == "assert-set":
            return (
                " and ".join(
                    f"({self._expect(_object(one), values)})" for one in _list(assertion.get("assert"))
                )
                or "true"
            )
        if kind.startswith("not-"):
            return f"not ({self._expect({**assertion, 'type': kind.removeprefix('not-')}, values)})"
        value = assertion.get("value")
        if isinstance(value, str) and value.startswith("file://") and kind not in ("javascript", "python"):
            value = self._file(value)
        if isinstance(value, str):
            value = _filled(value, values)
        texts = [str(one) for one in _list(value)]
        match kind:
            case "equals" if isinstance(value, str | int | float):
                return f"{_OUTPUT} == {quoted(str(value))}"
            case "contains" if value is not None:
                return f"contains({_OUTPUT}, {quoted(str(value))})"
            case "icontains" if value is not None:
                return f"contains(lower({_OUTPUT}), {quoted(str(value).lower())})"
            case "contains-any" | "contains-all" | "icontains-any" | "icontains-all" if texts:
                lowered = kind.startswith("i")
                where = f"lower({_OUTPUT})" if lowered else _OUTPUT
                word = " or " if kind.endswith("any") else " and "
                listed = texts if len(texts) > 1 else [one.strip() for one in texts[0].split(",")]
                return word.join(
                    f"contains({where}, {quoted(one.lower() if lowered else one)})" for one in listed
                )
            case "starts-with" if value is not None:
                return f"startswith({_OUTPUT}, {quoted(str(value))})"
            case "regex" if isinstance(value, str):
                return f"matches({_OUTPUT}, {quoted(value)})"
            case "llm-rubric" | "model-graded-closedqa" | "g-eval" if isinstance(value, str):
                least = _number(assertion.get("threshold"), 0.5)
                return f"llm_judge({quoted(value)}, judge = {self.judge}, {_OUTPUT} = {_OUTPUT}) >= {least}"
            case "factuality" | "answer-relevance" | "similar" if isinstance(value, str):
                self.draft.say(0, f"`{kind}` is asked as `semantic_f1` here")
                least = _number(assertion.get("threshold"), 0.75 if kind == "similar" else 0.5)
                return f"semantic_f1({quoted(value)}, {_OUTPUT}, judge = {self.judge}) >= {least}"
            case "javascript" if isinstance(value, str):
                return _javascript(value)
            case "is-json" | "contains-json":
                raise Unread(
                    f"`{kind}`: give the module an output of a record's type, which is checked in every run"
                )
            case "javascript" | "python" | "webhook":
                raise Unread(
                    f"`{kind}` is code: an `expect` is an expression, and a function of the project an `extern`"
                )
            case "cost" | "latency" | "perplexity":
                raise Unread(
                    f"`{kind}` is not of the answer: `dspc plan` and budgets bound costs, `timeout` the time"
                )
            case _:
                raise Unread(f"`{one_line(kind, 40)}` has no counterpart")


_LENGTH = re.compile(r"\s*output\.length\s*(<=|>=|<|>|===?)\s*(\d+)\s*;?\s*")
_INCLUDES = re.compile(
    r"""\s*(!?)output(\.toLowerCase\(\))?\.(includes|startsWith|endsWith)\((?:"([^"\\]*)"|'([^'\\]*)')\)\s*;?\s*"""
)
_EQUALS = re.compile(r"""\s*output(\.trim\(\))?\s*(===?|!==?)\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*;?\s*""")


def _javascript(text: str) -> str:
    """An expression that says nothing but a length, a part or a value of the output. Raises Unread."""
    if found := _LENGTH.fullmatch(text):
        return f"len({_OUTPUT}) {'==' if found[1].startswith('==') else found[1]} {found[2]}"
    if found := _INCLUDES.fullmatch(text):
        function = {"includes": "contains", "startsWith": "startswith", "endsWith": "endswith"}[found[3]]
        where = f"lower({_OUTPUT})" if found[2] else _OUTPUT
        return f"{'not ' if found[1] else ''}{function}({where}, {quoted(found[4] if found[4] is not None else found[5])})"
    if found := _EQUALS.fullmatch(text):
        where = f"strip({_OUTPUT})" if found[1] else _OUTPUT
        return f"{where} {'!=' if found[2].startswith('!') else '=='} {quoted(found[3] if found[3] is not None else found[4])}"
    raise Unread(f"`javascript: {one_line(text, 60)}` is code: an `expect` is an expression")


def _expected(text: str) -> dict[str, JsonValue]:
    """A cell of `__expected`: `contains: x`, or a text that the output equals."""
    kind, colon, value = text.partition(":")
    known = re.fullmatch(
        r"(not-)?(equals|i?contains(-any|-all)?|starts-with|regex|is-json|llm-rubric|javascript|fn|eval|grade|python"
        r"|similar(\([\d.]+\))?)",
        kind.strip(),
    )
    if not colon or known is None:
        return {"type": "equals", "value": text}
    word = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}.get(kind.strip(), kind.strip())
    return {"type": word.partition("(")[0], "value": value.strip()}


def _filled(text: str, values: Mapping[str, JsonValue]) -> str:
    """A text with the test's own values in the places of their names."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: str(values.get(plain_name(found[1]), found[0])), text)


def _messages(text: str) -> str:
    """The texts of a prompt that is a list of messages; any other as it is."""
    try:
        value = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        return text
    return "\n\n".join(str(_object(one).get("content", "")) for one in cast("list[JsonValue]", value))


def _model(name: str) -> str:
    """`openai:chat:gpt-4o` as LiteLLM has it."""
    provider, *rest = name.split(":")
    if rest and rest[0] in _TYPES:
        rest = rest[1:]
    return f"{_PROVIDERS.get(provider, provider)}/{':'.join(rest) or 'gpt-4o-mini'}"


def _number(value: JsonValue, otherwise: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _list(value: JsonValue) -> list[JsonValue]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _object(value: JsonValue) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {}
