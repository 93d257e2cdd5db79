"""Reads the `dspy.LM`s of a script as `lm` declarations."""

from __future__ import annotations

import ast

from msgspec import Struct, field

from .drafts import SETTINGS, Draft, Unread, literal, quoted
from .python_source import GETENV, PythonFile, constant, line_of, text_of

_LM_CLASSES = {
    "LM": "",
    "OpenAI": "openai/",
    "AzureOpenAI": "azure/",
    "OllamaLocal": "ollama/",
    "Together": "together_ai/",
}
QUIET = (
    "cache",
    "callbacks",
    "num_threads",
    "display_progress",
    "display_table",
    "max_errors",
    "log_dir",
    "track_stats",
    "track_best_outputs",
    "verbose",
    "requires_permission_to_run",
    "provide_traceback",
    "model_type",
    "use_wandb",
    "use_mlflow",
    "teacher_settings",
    "prompt_model",
    "task_model",
    "reflection_lm",
    "metric",
    "seed",
    "trainset",
    "valset",
    "teacher",
    "student",
    "eval_kwargs",
    "return_outputs",
    "launch_kwargs",
    "save_as_json",
    "save_as_csv",
    "failure_score",
    "perfect_score",
)
"""Keywords of DSPy that say nothing of what is asked."""
_ADAPTERS = {
    "ChatAdapter": "chat",
    "JSONAdapter": "json",
    "XMLAdapter": "xml",
    "TwoStepAdapter": "two_step",
    "BAMLAdapter": "json",
}


class Models(Struct):
    """The `dspy.LM`s of a file."""

    file: PythonFile
    draft: Draft
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Names of declarations by those of variables."""
    default: str = ""

    def read(self) -> None:
        adapter = self._adapter()
        configured = self._configured()
        for name, value in self.file.values.items():
            if isinstance(value, ast.Call) and self.is_lm(value):
                self.declare(
                    name, value, adapter, default=isinstance(configured, ast.Name) and configured.id == name
                )
        if isinstance(configured, ast.Call) and self.is_lm(configured):
            self.declare("main", configured, adapter, default=True)
        if len(self.names) == 1:
            (self.default,) = self.names.values()

    def stand_in(self) -> None:
        """A model where the file has none: nothing answers without one."""
        texts = self.draft.sections["lm"]
        if len(self.names) > 1 and not self.default:
            self.default = next(iter(self.names.values()))
            place = next(
                place for place, text in enumerate(texts) if text.startswith(f"lm {self.default} {{")
            )
            texts[place] = f"{texts[place].removesuffix('}')}  default = true\n}}"
            self.draft.say(
                0, f"nothing says which model is asked: it is `{self.default}`, the first of the file"
            )
        if not texts:
            self.default = self.draft.name("main")
            self.draft.say(
                0, "the file names no model: `lm main` stands in for the one that the application configures"
            )
            self.draft.add(
                "lm",
                f'# The source names no model.\nlm {self.default} {{ model = "openai/gpt-4o-mini"; default = true }}',
            )

    def is_lm(self, node: ast.Call) -> bool:
        return self.file.framework(node.func) in _LM_CLASSES

    def _calls(self, *names: str) -> list[ast.Call]:
        return [
            node
            for node in ast.walk(self.file.tree)
            if isinstance(node, ast.Call) and self.file.dotted(node.func) in names
        ]

    def _said(self, word: str) -> ast.expr | None:
        found = [
            one.value
            for call in self._calls("dspy.configure", "dspy.settings.configure")
            for one in call.keywords
            if one.arg == word
        ]
        return found[-1] if found else None

    def _configured(self) -> ast.expr | None:
        return self._said("lm")

    def _adapter(self) -> str:
        said = self._said("adapter")
        if isinstance(said, ast.Name):
            said = self.file.values.get(said.id, said)
        name = self.file.framework(said.func) if isinstance(said, ast.Call) else ""
        return _ADAPTERS.get(name, "")

    def declare(self, name: str, node: ast.Call, adapter: str, *, default: bool) -> None:
        given = {one.arg: one.value for one in node.keywords if one.arg is not None}
        first = node.args[0] if node.args else given.pop("model", None)
        try:
            model = "" if first is None else text_of(self.file, first)
        except Unread:
            model = ""
        if not model:
            self.draft.comment(
                "lm", node.lineno, f"the model of `{name}` is not known before the program runs: name it here"
            )
            model = "openai/gpt-4o-mini"
        prefix = _LM_CLASSES[self.file.framework(node.func)]
        model = model if "/" in model else f"{prefix or 'openai/'}{model}"
        lines = [f"model = {quoted(model)}"]
        for word, value in given.items():
            if word in ("api_key", "api_base", "base_url"):
                lines += self._where("api_key" if word == "api_key" else "api_base", value)
            elif word == "num_retries":
                lines.append(f"retry = {literal(constant(self.file, value))}")
            elif word in (*SETTINGS, "timeout"):
                try:
                    lines.append(f"{word} = {literal(constant(self.file, value))}")
                except Unread:
                    self.draft.say(node.lineno, f"`{word}` of `{name}` is computed: left out", lost=True)
            elif word not in QUIET:
                self.draft.say(node.lineno, f"`{word}` of `dspy.LM` is left out", lost=True)
        if adapter and adapter != "chat":
            lines.append(f'adapter = "{adapter}"')
        if default:
            lines.append("default = true")
        declared = self.draft.name(name)
        self.names[name] = declared
        if default:
            self.default = declared
        self.draft.add("lm", "\n".join([f"lm {declared} {{", *(f"  {line}" for line in lines), "}"]))

    def _where(self, word: str, node: ast.expr) -> list[str]:
        variable = self._variable(node)
        if variable:
            return [f'{word} = env("{variable}")']
        if word == "api_base":
            try:
                return [f"{word} = {quoted(text_of(self.file, node))}"]
            except Unread:
                self.draft.say(line_of(node), "where the model is served is computed: left out", lost=True)
                return []
        if not (isinstance(node, ast.Constant) and node.value in ("", None)):
            self.draft.say(
                line_of(node),
                'a key stands in no source: it is left out; name its variable, as `api_key = env("NAME")`',
            )
        return []

    def _variable(self, node: ast.expr) -> str:
        """The environment variable that an expression reads."""
        if isinstance(node, ast.Name) and node.id in self.file.values:
            node = self.file.values[node.id]
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str() as name), *_]) if (
                self.file.dotted(function) in GETENV
            ):
                return name
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)) if self.file.dotted(
                value
            ) in ("os.environ", "environ"):
                return name
            case _:
                return ""
