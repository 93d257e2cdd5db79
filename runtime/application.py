"""Loading an artifact and calling it: all that an application embeds.

Loading reads one file, and of the data files that its tools search through whether they are the right ones.
Keys and addresses come from the environment or from the caller, never from the artifact. Calls run on one
background event loop, so they work the same from plain code, from inside a running loop and from several
threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, overload

from .adapters.turns import turn_media
from .arguments import choice_of, count_of, functions_of, path_of, per_model, some_path, texts_of
from .artifact.artifact import Artifact, kind_of, read_artifact
from .errors import ConfigurationError, DspecError
from .models.background import Background, background
from .models.endpoints import split_model
from .models.engine import Engine
from .models.ledger import Ledger
from .running.bringing import Given, brought
from .running.execute import run
from .running.prediction import Prediction
from .running.strategies.table import check_sandbox
from .schema.ensemble import Runnable, parts, programs
from .schema.program import LM, FieldSpec, asked_besides, embedders
from .schema.types import Row
from .tools.given import ToolCalling, ToolFunction, ToolService, tools_of
from .values.media import Blob, is_history, medium_kind

Value = TypeVar("Value")
PerModel = str | Mapping[str, str] | None
"""One value for every model of the program, or values by the models' names in it."""


def load(
    path: str | Path,
    *,
    lm: PerModel = None,
    api_base: PerModel = None,
    api_key_env: PerModel = None,
    threads: int = 16,
    cache: str | Path | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
    allow: Iterable[str] = (),
    root: str | Path | None = None,
    isolate: bool = False,
) -> Application:
    """The compiled program in an artifact, ready to be called.

    `lm` replaces models (`"openai/gpt-4o-mini"`), `api_base` says where they are served, `api_key_env`
    which environment variable holds the key; each is one value for all models or a mapping by the
    models' names. A variable that the artifact names must be one for keys of that provider, or be named here.
    `threads` bounds the calls in flight. With `cache`, answers are kept in that file and a request that was
    answered before is not paid again.

    `tools` are functions in the place of the program's tools, by their names; plain ones run in threads, `async` ones
    on a loop of their own. `allow` are what the other tools may reach, each entry a Python module, the
    origin of an address, or a command. `root` is the folder that data files of tools are below: where it is not
    given, the nearest one from the artifact's upwards that has them. With `isolate`, Python that is allowed runs in
    processes of its own, from the files below `root`.

    Raises ArtifactError when the file cannot be loaded, ConfigurationError when an argument is of another kind, an
    override names no model or tool of the program, a model's address is missing, a tool may not be called or its
    data file is another, or the sandbox for code that a model writes is not installed. No model is called, and no code of
    the artifact's runs.
    """
    calling = ToolCalling(
        cast("dict[str, ToolFunction]", functions_of("tools", tools)),
        texts_of("allow", allow),
        some_path("root", root),
        choice_of("isolate", isolate),
    )
    file, kept, threads = path_of("path", path), some_path("cache", cache), count_of("threads", threads)
    keys = per_model("api_key_env", api_key_env)
    artifact = read_artifact(file, keys_given=lambda name: isinstance(keys, str) or name in (keys or {}))
    program = _configured(artifact.program, per_model("lm", lm), per_model("api_base", api_base), keys)
    for one in parts(program):
        check_sandbox(one)
    found = tools_of(program)
    return Application(
        artifact,
        program,
        threads=threads,
        cache=kept,
        tools=calling.checked(found, file) if found or tools else None,
    )


def of_program(
    program: Runnable,
    *,
    lm: PerModel = None,
    api_base: PerModel = None,
    tools: Callable[[Ledger | None], ToolService] | None = None,
) -> Application:
    """A program that was not compiled, ready to be called; `tools` makes what calls its tools. Otherwise as `load`."""
    artifact = Artifact(kind=kind_of(program), name=program.name, program=program)
    return Application(artifact, _configured(program, lm, api_base, None), tools=tools)


class Application:
    """A loaded program. Calling it runs it: `p(text="…").intent`."""

    def __init__(
        self,
        artifact: Artifact,
        program: Runnable,
        *,
        threads: int = 16,
        cache: Path | None = None,
        tools: Callable[[Ledger | None], ToolService] | None = None,
    ) -> None:
        count_of("threads", threads)
        self.artifact = artifact
        self.program = program
        self._threads = threads
        self._cache = cache
        self._make_tools = tools
        self._tools: ToolService | None = None
        self._home: Background | None = None
        self._engine: Engine | None = None
        self._ledger: Ledger | None = None

    @property
    def name(self) -> str:
        return self.artifact.name

    @property
    def inputs(self) -> tuple[FieldSpec, ...]:
        return self.program.inputs

    @property
    def outputs(self) -> tuple[FieldSpec, ...]:
        return self.program.outputs

    def __call__(self, /, **inputs: Given) -> Prediction:
        """One run. Images, audio and files are passed as a `Path`, as bytes, or as a text that is a URL or a `data:` URL.

        Raises InputError, AnswerError or ProviderError (`dspec.errors`).
        """
        return self._wait(self._one(inputs))

    async def acall(self, /, **inputs: Given) -> Prediction:
        """As a call, without blocking the caller's event loop."""
        return await asyncio.wrap_future(background().submit(self._one(inputs)))

    @overload
    def batch(
        self,
        rows: Iterable[Mapping[str, Given]],
        *,
        threads: int = 8,
        return_exceptions: Literal[False] = False,
    ) -> list[Prediction]: ...
    @overload
    def batch(
        self, rows: Iterable[Mapping[str, Given]], *, threads: int = 8, return_exceptions: Literal[True]
    ) -> list[Prediction | DspecError]: ...
    def batch(
        self, rows: Iterable[Mapping[str, Given]], *, threads: int = 8, return_exceptions: bool = False
    ) -> list[Prediction] | list[Prediction | DspecError]:
        """A run for each row, `threads` at once, results in the rows' order.

        With `return_exceptions` a row that fails gives its error in place of a prediction; otherwise
        the error of the first failing row is raised and rows not yet started are dropped.
        """
        return self._wait(self._many(list(rows), threads, keep=return_exceptions))

    @overload
    async def abatch(
        self,
        rows: Iterable[Mapping[str, Given]],
        *,
        threads: int = 8,
        return_exceptions: Literal[False] = False,
    ) -> list[Prediction]: ...
    @overload
    async def abatch(
        self, rows: Iterable[Mapping[str, Given]], *, threads: int = 8, return_exceptions: Literal[True]
    ) -> list[Prediction | DspecError]: ...
    async def abatch(
        self, rows: Iterable[Mapping[str, Given]], *, threads: int = 8, return_exceptions: bool = False
    ) -> list[Prediction] | list[Prediction | DspecError]:
        """As `batch`, without blocking the caller's event loop."""
        work = self._many(list(rows), threads, keep=return_exceptions)
        return await asyncio.wrap_future(background().submit(work))

    def close(self) -> None:
        """Closes connections and the cache. The next call opens them again."""
        if self._home is not None:
            self._wait(self._aclose())

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        takes = ", ".join(spec.name for spec in self.inputs)
        gives = ", ".join(spec.name for spec in self.outputs)
        return f"<dspec program {self.name}({takes}) -> ({gives})>"

    def _wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        future = background().submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _one(self, inputs: Mapping[str, Given]) -> Prediction:
        return await self._run(inputs, self._open())

    async def _run(self, inputs: Mapping[str, Given], engine: Engine) -> Prediction:
        row, held = await self._brought(inputs)
        prediction = Prediction(await run(self.program, row, engine, record=True))
        del held  # what was passed is held till here
        return prediction

    async def _brought(self, inputs: Mapping[str, Given]) -> tuple[Row, list[Blob]]:
        """The inputs as values. What may be large is read in a thread."""
        if any(medium_kind(one.type) or is_history(one.type) for one in self.program.inputs):
            turns = turn_media(programs(self.program))
            return await asyncio.to_thread(brought, self.program.inputs, inputs, turns)
        return brought(self.program.inputs, inputs)

    async def _many(
        self, rows: Sequence[Mapping[str, Given]], threads: int, *, keep: bool
    ) -> list[Prediction | DspecError]:
        count_of("threads", threads)
        engine = self._open()
        results: list[Prediction | DspecError | None] = [None] * len(rows)
        places = iter(range(len(rows)))
        failed = False

        async def work() -> None:
            nonlocal failed
            for place in places:
                if failed and not keep:
                    return
                try:
                    results[place] = await self._run(rows[place], engine)
                except DspecError as error:
                    results[place] = error
                    failed = True

        async with asyncio.TaskGroup() as group:
            for _ in range(min(threads, len(rows))):
                group.create_task(work())
        if not keep:
            for result in results:
                if isinstance(result, DspecError):
                    raise result
        return [result for result in results if result is not None]

    def _open(self) -> Engine:
        """The engine on the loop that is running; in a forked child or after a shutdown, a new one."""
        home = background()
        if self._engine is None or self._home is not home:
            self._ledger = None if self._cache is None else Ledger(self._cache)
            self._tools = None if self._make_tools is None else self._make_tools(self._ledger)
            self._engine = Engine(threads=self._threads, ledger=self._ledger, tools=self._tools)
            self._home = home
            home.at_stop.append(self._aclose)
        return self._engine

    async def _aclose(self) -> None:
        engine, ledger, home, tools = self._engine, self._ledger, self._home, self._tools
        self._engine = self._ledger = self._home = self._tools = None
        if home is not None and self._aclose in home.at_stop:
            home.at_stop.remove(self._aclose)
        if engine is not None:
            await engine.aclose()
        if tools is not None:
            await tools.aclose()
        if ledger is not None:
            ledger.close()


def _configured(program: Runnable, lm: PerModel, api_base: PerModel, api_key_env: PerModel) -> Runnable:
    """The program on the application's models. Raises ConfigurationError."""
    used = _used(program)
    models, addresses, keys = (
        _by_name(value, what, names, program)
        for value, what, names in (
            # One model for all is one that answers, not one that compares.
            (lm, "lm", [name for name in used if name not in _embedders(program)]),
            (api_base, "api_base", used),
            (api_key_env, "api_key_env", used),
        )
    )
    lms: dict[str, LM] = {}
    for name in used:
        changed = program.lms[name]
        if name in models:
            changed = _with_model(changed, models[name])
        embedded = split_model(changed.model)[0] == "embedded"
        if name in addresses and not (embedded and isinstance(api_base, str)):
            changed = changed.model_copy(
                update={"api_base": addresses[name], "api_base_env": None, "custom_endpoint": False}
            )
        if name in keys:
            changed = changed.model_copy(update={"api_key_env": keys[name]})
        if changed.custom_endpoint:
            raise ConfigurationError(
                f"the model `{name}` ({changed.model}) was compiled against its own endpoint, "
                "and artifacts never carry an address",
                help=f'say where it is served: load(…, api_base={{"{name}": "http://…/v1"}}), `dspc run --api-base`; '
                f'or use another model: load(…, lm={{"{name}": "…"}}), `dspc run --lm`',
            )
        lms[name] = changed
    return program.with_lms(lms)


def _used(program: Runnable) -> list[str]:
    """The models that a run can ask, those that they lead to included, in the program's order."""
    wanted = {predictor.lm for part in parts(program) for predictor in part.predictors.values()}
    wanted |= {name for part in parts(program) for name in asked_besides(part)}
    wanted |= {extract for name in wanted if (extract := program.lms[name].extract) is not None}
    wanted |= {other for name in wanted for other in program.lms[name].fallback}
    return [name for name in program.lms if name in wanted]


def _embedders(program: Runnable) -> set[str]:
    """The models that compare texts."""
    return {name for part in parts(program) for name in embedders(part)}


def _by_name(value: PerModel, what: str, used: Sequence[str], program: Runnable) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, str):
        return dict.fromkeys(used, value)
    for name in value:
        if name not in program.lms:
            raise ConfigurationError(
                f"`{what}` names the model `{name}`, which the program does not have",
                help=f"its models are {', '.join(f'`{other}`' for other in used)}",
            )
    return dict(value)


def _with_model(lm: LM, model: str) -> LM:
    """Another model in an LM's place; what belonged to the old one's provider does not come along."""
    changes: dict[str, object] = {"model": model, "price_input": None, "price_output": None}
    if split_model(model)[0] != split_model(lm.model)[0]:
        changes |= {"api_base": None, "api_base_env": None, "api_key_env": None, "custom_endpoint": False}
        changes |= {"api_version": None, "headers": {}, "headers_env": {}, "extra": {}}
    return lm.model_copy(update=changes if model != lm.model else {})
