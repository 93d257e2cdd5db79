"""Loading an artifact and calling it: all that an application embeds.

Loading reads one file, and of the data files that its tools search through whether they are the right ones.
Keys and addresses come from the environment or from the caller, never from the artifact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .arguments import (
    KeySource,
    choice_of,
    function_of,
    functions_of,
    keys_of,
    limit_of,
    path_of,
    per_model,
    seconds_of,
    some_path,
    texts_of,
    threads_of,
)
from .artifact.artifact import Artifact, KeptCandidate, kind_of, read_artifact
from .artifact.tuned import verify
from .errors import ConfigurationError
from .models.calls import EngineEvent
from .models.checkpoints import know_all
from .running.bringing import Given
from .running.calllog import CallLog
from .running.inspecting import Prompt
from .running.loaded import CallableProgram, CallSettings, check_shape, limits_of
from .running.overriding import Keys, Overrides, PerModel, configured
from .running.prediction import Prediction, TypedPrediction
from .running.recording.recorder import CallRecorder
from .running.recording.settings import RecordSettings, settings_of
from .running.records import OnCall
from .running.serving import MakeTools, Serving
from .running.strategies.table import check_sandbox
from .running.streams import AnswerStream, AsyncAnswerStream
from .schema.ensemble import Runnable, parts
from .schema.types import Row
from .tools.given import ToolCalling, ToolFunction, tools_of

if TYPE_CHECKING:
    from typing import Self

HISTORY = 20
"""Calls that are kept, where nobody says how many."""


class _Unset:
    """Stands for a setting that a call does not have; None may be an input's value."""

    def __repr__(self) -> str:
        return "…"


_UNSET: Any = _Unset()

InputsT = TypeVar("InputsT", bound=Mapping[str, object], contravariant=True)
ResultT = TypeVar("ResultT", bound=TypedPrediction, covariant=True)
PartialT = TypeVar("PartialT", covariant=True)
ProgramT = TypeVar("ProgramT", covariant=True)


class KeptProgram(Generic[ProgramT]):
    """A program that an artifact keeps besides its own: what it scored, and what an answer of it takes on the average."""

    def __init__(self, kept: KeptCandidate, load: Callable[[], ProgramT]) -> None:
        self._kept = kept
        self._load = load

    @property
    def label(self) -> str:
        return self._kept.label

    @property
    def score(self) -> float:
        """On the rows by which candidates were compared, in 0..1: the best of many looks better than it is."""
        return self._kept.score.score

    @property
    def certain(self) -> float:
        """The lower end of the score's 95 % interval."""
        return self._kept.score.low

    @property
    def usd(self) -> float | None:
        """What an answer costs; None where a price is not known."""
        return self._kept.usd

    @property
    def tokens(self) -> float:
        """What an answer takes, prompts and answers together."""
        return self._kept.tokens

    def load(self) -> ProgramT:
        """The program, ready to be called."""
        return self._load()

    def __repr__(self) -> str:
        usd = "unpriced" if self.usd is None else f"${self.usd:.6f}"
        return f"KeptProgram({self.label!r}, score={self.score}, {usd}, {self.tokens:.0f} tokens)"


class Candidates(tuple[KeptProgram[ProgramT], ...]):
    """The programs that an artifact keeps besides its own, the best first."""

    __slots__ = ()

    def cheapest(self, min_score: float = 0.0) -> ProgramT:
        """The one whose answers cost least, of those that scored `min_score` or more; by tokens where a price is not known.

        Raises ConfigurationError where there is none.
        """
        least = limit_of("min_score", min_score, least=0)
        if not self:
            raise ConfigurationError(
                "the artifact keeps no candidates",
                help="write `keep = 5` into its block, and compile it again",
            )
        good = [one for one in self if one.score >= least]
        if not good:
            raise ConfigurationError(
                f"no candidate of the artifact scored {least:g} or more; the best, `{self[0].label}`, scored {self[0].score:g}"
            )
        priced = all(one.usd is not None for one in good)
        return min(good, key=lambda one: one.usd if priced and one.usd is not None else one.tokens).load()


class LoadedProgram(CallableProgram[InputsT, ResultT, PartialT]):
    """A program that was loaded from an artifact. `Application` takes any inputs by name; classes that `dspc stubs` writes know
    their types."""

    @property
    def artifact(self) -> Artifact:
        """What was loaded, with what it says of itself."""
        return cast("Artifact", self._source)

    @property
    def candidates(self) -> Candidates[Self]:
        """The programs that the artifact keeps besides its own (`keep = 5` in the block), the best first. Each is called as this
        one is, with its settings."""
        kept = self.artifact.candidates
        return Candidates(KeptProgram(one, partial(self._kept, place)) for place, one in enumerate(kept))

    def _kept(self, place: int) -> Self:
        artifact = self.artifact
        program = artifact.candidates[place].program
        source = artifact.model_copy(update={"program": program, "kind": kind_of(program), "candidates": ()})
        view = replace(self._view, program=configured(program, self._view.said))
        return type(self)(source, view, self._serving, self._log)


class Application(LoadedProgram[Mapping[str, Given], Prediction, Row]):
    """A loaded program. Calling it runs it: `p(text="…").intent`.

    `lm`, `timeout` (seconds for the whole call) and `temperature` are settings of a call, as in `load`, unless the program
    has an input of that name: then they are the input, and `with_lm` has the setting. Images, audio and files are passed as
    a `Path`, as bytes, or as a text that is a URL or a `data:` URL; dates and times as such or in ISO 8601; records as
    mappings, dataclasses or Pydantic models.
    """

    def __call__(
        self,
        /,
        *,
        lm: PerModel | Given = _UNSET,
        timeout: float | Given = _UNSET,
        temperature: float | Given = _UNSET,
        **inputs: Given,
    ) -> Prediction:
        """One run. Raises InputError, AnswerError or ProviderError (`dspec.errors`), ConfigurationError for its settings."""
        return self.call(inputs, *self._settings(inputs, lm, timeout, temperature))

    async def acall(
        self,
        /,
        *,
        lm: PerModel | Given = _UNSET,
        timeout: float | Given = _UNSET,  # noqa: ASYNC109  # it raises an error of ours
        temperature: float | Given = _UNSET,
        **inputs: Given,
    ) -> Prediction:
        """As a call, without blocking the caller's event loop."""
        return await self._acall(inputs, *self._settings(inputs, lm, timeout, temperature))

    def stream(
        self,
        /,
        *,
        inner: bool | Given = _UNSET,
        lm: PerModel | Given = _UNSET,
        timeout: float | Given = _UNSET,
        temperature: float | Given = _UNSET,
        **inputs: Given,
    ) -> AnswerStream[Prediction, Row]:
        """One run, told while it answers: iterate over it for events of the program's outputs, and with `inner` for those of
        all its predictors. Its `result` is what a call gives."""
        heard = self._setting("inner", inner, inputs)
        return self._stream(inputs, heard or False, *self._settings(inputs, lm, timeout, temperature))

    def astream(
        self,
        /,
        *,
        inner: bool | Given = _UNSET,
        lm: PerModel | Given = _UNSET,
        timeout: float | Given = _UNSET,
        temperature: float | Given = _UNSET,
        **inputs: Given,
    ) -> AsyncAnswerStream[Prediction, Row]:
        """As `stream`, for `async for` in the caller's event loop."""
        heard = self._setting("inner", inner, inputs)
        return self._astream(inputs, heard or False, *self._settings(inputs, lm, timeout, temperature))

    def inspect(self, /, **inputs: Given) -> list[Prompt]:
        """What would be asked first for these inputs, without a call: the prompts of the predictors that depend on nothing but
        the inputs. Raises InputError, and ConfigurationError where a prompt depends on a call."""
        return self._inspect(inputs)

    def _settings(
        self, inputs: dict[str, Given], lm: Any, timeout: Any, temperature: Any
    ) -> tuple[Any, Any, Any]:
        if lm is _UNSET and timeout is _UNSET and temperature is _UNSET:
            return (None, None, None)
        return (
            self._setting("lm", lm, inputs),
            self._setting("timeout", timeout, inputs),
            self._setting("temperature", temperature, inputs),
        )

    def _setting(self, name: str, value: Any, inputs: dict[str, Given]) -> Any:
        """The value of a setting; None where it is not said, or is an input."""
        if value is _UNSET:
            return None
        if any(spec.name == name for spec in self.inputs):
            inputs[name] = value
            return None
        return value


P = TypeVar("P", bound=LoadedProgram[Any, Any, Any])


@overload
def load(
    path: str | Path,
    program: None = None,
    *,
    lm: PerModel = None,
    api_base: PerModel = None,
    api_key_env: PerModel = None,
    api_key: KeySource | Mapping[str, KeySource] | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    temperature: float | None = None,
    retry: int | Mapping[str, int] | None = None,
    rpm: int | Mapping[str, int] | None = None,
    tpm: int | Mapping[str, int] | None = None,
    max_parallel: int | Mapping[str, int] | None = None,
    attempt_timeout: float | Mapping[str, float] | None = None,
    cache: str | Path | None = None,
    history: int = HISTORY,
    record: str | Path | RecordSettings | None = None,
    on_call: OnCall | None = None,
    on_event: Callable[[EngineEvent], None] | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
    allow: Iterable[str] = (),
    root: str | Path | None = None,
    isolate: bool = False,
) -> Application: ...
@overload
def load(
    path: str | Path,
    program: type[P],
    *,
    lm: PerModel = None,
    api_base: PerModel = None,
    api_key_env: PerModel = None,
    api_key: KeySource | Mapping[str, KeySource] | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    temperature: float | None = None,
    retry: int | Mapping[str, int] | None = None,
    rpm: int | Mapping[str, int] | None = None,
    tpm: int | Mapping[str, int] | None = None,
    max_parallel: int | Mapping[str, int] | None = None,
    attempt_timeout: float | Mapping[str, float] | None = None,
    cache: str | Path | None = None,
    history: int = HISTORY,
    record: str | Path | RecordSettings | None = None,
    on_call: OnCall | None = None,
    on_event: Callable[[EngineEvent], None] | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
    allow: Iterable[str] = (),
    root: str | Path | None = None,
    isolate: bool = False,
) -> P: ...
def load(
    path: str | Path,
    program: type[LoadedProgram[Any, Any, Any]] | None = None,
    *,
    lm: PerModel = None,
    api_base: PerModel = None,
    api_key_env: PerModel = None,
    api_key: KeySource | Mapping[str, KeySource] | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    temperature: float | None = None,
    retry: int | Mapping[str, int] | None = None,
    rpm: int | Mapping[str, int] | None = None,
    tpm: int | Mapping[str, int] | None = None,
    max_parallel: int | Mapping[str, int] | None = None,
    attempt_timeout: float | Mapping[str, float] | None = None,
    cache: str | Path | None = None,
    history: int = HISTORY,
    record: str | Path | RecordSettings | None = None,
    on_call: OnCall | None = None,
    on_event: Callable[[EngineEvent], None] | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
    allow: Iterable[str] = (),
    root: str | Path | None = None,
    isolate: bool = False,
) -> LoadedProgram[Any, Any, Any]:
    """The compiled program in an artifact, ready to be called. `program` is a class that `dspc stubs` wrote for it, which
    knows the types of its inputs and outputs; without one it is an `Application`.

    `lm` replaces models (`"openai/gpt-4o-mini"`), `api_base` says where they are served, `api_key_env`
    which environment variable holds the key; each is one value for all models or a mapping by the
    models' names. A variable that the artifact names must be one for keys of that provider, or be named here.
    `api_key` is the key itself, or a function that gives it whenever a model is asked; no other model or address in the place
    of the one that it was given for is shown it.

    `threads` bounds the calls of models in flight: 16, unless a batch asks for more. `timeout` is seconds for one call with
    all of its steps and tries, `temperature` overrides every model's. `retry` (further attempts), `rpm` and `tpm` (requests
    and tokens a minute), `max_parallel` and `attempt_timeout` (seconds) are how models are asked, each one for all models
    or a mapping by their names; unsaid they are as the file has them.

    With `cache`, answers are kept in that file and a request that was answered before is not paid again. The last `history`
    calls are kept in memory. With `record`, calls are kept in that SQLite file, for `feedback` and for a dataset that reads
    them (`recorded(…)`); `RecordSettings` says which, and what of them. `on_call` is told of each call once it is over,
    `on_event` of every attempt at a model and every call of a tool; both on another thread, in the context of the caller's,
    and are to be quick.

    `tools` are functions in the place of the program's tools, by their names; plain ones run in threads, `async` ones
    on a loop of their own. `allow` are what the other tools may reach, each entry a Python module, the
    origin of an address, or a command. `root` is the folder that data files of tools are below: where it is not
    given, the nearest one from the artifact's upwards that has them. With `isolate`, Python that is allowed runs in
    processes of its own, from the files below `root`.

    Raises ArtifactError when the file cannot be loaded, ConfigurationError when an argument is of another kind, an
    override names no model or tool of the program, a model's address is missing, a tool may not be called or its
    data file is another, the sandbox for code that a model writes is not installed, calls cannot be recorded in the file, or
    `program` was made for another one. No model is called, and no code of the artifact's runs.
    """
    calling = ToolCalling(
        cast("dict[str, ToolFunction]", functions_of("tools", tools)),
        texts_of("allow", allow),
        some_path("root", root),
        choice_of("isolate", isolate),
    )
    file, kept = path_of("path", path), some_path("cache", cache)
    threads = None if threads is None else threads_of(threads)
    keys = per_model("api_key_env", api_key_env)
    said = Overrides(
        per_model("lm", lm),
        per_model("api_base", api_base),
        keys,
        limits_of(
            {
                "retry": retry,
                "rpm": rpm,
                "tpm": tpm,
                "max_parallel": max_parallel,
                "attempt_timeout": attempt_timeout,
            }
        ),
    )
    given = None if api_key is None else keys_of("api_key", api_key)
    artifact = read_artifact(file, keys_given=lambda name: isinstance(keys, str) or name in (keys or {}))
    view = CallSettings(
        configured(artifact.program, said),
        said,
        None if timeout is None else seconds_of("timeout", timeout),
        None if temperature is None else limit_of("temperature", temperature, least=0),
    )
    for one in parts(view.program):
        check_sandbox(one)
        if calling.root is not None:
            know_all(one.lms, calling.root)
    verify(view.program)
    kind = Application if program is None else _typed(program, artifact)
    found = tools_of(view.program)
    return kind(
        artifact,
        view,
        Serving(
            threads=threads,
            cache=kept,
            tools=calling.checked(found, file) if found or tools else None,
            keys=None if given is None else Keys(view.program, given).of,
            on_event=cast("Callable[[EngineEvent], None] | None", function_of("on_event", on_event)),
        ),
        CallLog(
            int(limit_of("history", history, least=0, whole=True)),
            cast("OnCall | None", function_of("on_call", on_call)),
            None if record is None else _recorder(record, view.program),
        ),
    )


def of_program(
    program: Runnable,
    *,
    lm: PerModel = None,
    api_base: PerModel = None,
    tools: MakeTools | None = None,
) -> Application:
    """A program that was not compiled, ready to be called; `tools` makes what calls its tools. Otherwise as `load`."""
    artifact = Artifact(kind=kind_of(program), name=program.name, program=program)
    said = Overrides(lm, api_base)
    return Application(
        artifact, CallSettings(configured(program, said), said), Serving(tools=tools), CallLog(HISTORY, None)
    )


def _recorder(record: object, program: Runnable) -> CallRecorder:
    fields = dict.fromkeys(spec.name for spec in (*program.inputs, *program.outputs))
    return CallRecorder(settings_of(record, fields), program)


def _typed(program: object, artifact: Artifact) -> type[LoadedProgram[Any, Any, Any]]:
    if not isinstance(program, type) or not issubclass(program, LoadedProgram):
        raise ConfigurationError(
            f"`program` is {program!r:.80}, and should be a class that `dspc stubs` wrote",
            help="settings of `load` are named: load(path, lm=…)",
        )
    from .artifact.stubs import shape_of  # where there is a class that it made

    kind = cast("type[LoadedProgram[Any, Any, Any]]", program)
    check_shape(kind, shape_of(artifact.program), artifact.name)
    return kind
