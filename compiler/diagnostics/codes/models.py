"""DS07: language models and budgets."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed, plural
from .base import Code, Finding
from .snippets import METRIC, MODULE, TICKETS, optimize

ASK = "module ask = Predict(sig(question -> answer))\n"

UNPRICED = METRIC.replace("openai/gpt-4o-mini", "openai/our-own")

BOUNDED = METRIC.replace('gpt-4o-mini"', 'gpt-4o-mini"; max_tokens = 400')

PRICED = BOUNDED.replace("openai/gpt-4o-mini", "openai/our-own").replace(
    "max_tokens = 400", "max_tokens = 400; price { input = 1; output = 4 }"
)

DS0701 = Code(
    "DS0701",
    "error",
    "no model",
    "A module that names no lm uses the only one in scope, or the one marked `default = true`. With "
    "several and "
    "no mark, nothing says which one answers.",
    "dspec 1\n\n" + ASK,
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n' + ASK,
)


class NoModel(Finding, frozen=True):
    """A module without a model, where there are none or several `models`."""

    code = DS0701
    models: tuple[str, ...]

    def told(self) -> Diagnostic:
        if self.models:
            remedy = (
                f"this project has {len(self.models)} models "
                f"({', '.join(f'`{name}`' for name in self.models[:3])}): mark one with `default = true`, name "
                f"one on the module with `lm = {self.models[0]}`, or on the optimize block"
            )
        else:
            remedy = 'declare one: `lm mini { model = "openai/gpt-4o-mini" }`'
        return self.says(f"module `{self.where.text}` has no lm", "which model answers?", help=remedy)


DS0702 = Code(
    "DS0702",
    "warning",
    "budget spent before the first step",
    "A compile first scores the program as it is, on all rows that candidates are compared on. The "
    "budget does not even allow that, so no step would run.",
    METRIC + optimize("step demos = BootstrapFewShot()", "budget { calls = 10 }"),
    METRIC + optimize("step demos = BootstrapFewShot()", "budget { calls = 500 }"),
    TICKETS,
)


class SpentAtOnce(Finding, frozen=True):
    """`count` rows at `per_run` calls each are more than the `allowed` ones; an eval has no `steps`."""

    code = DS0702
    allowed: int
    program: str
    rows: Location
    count: int
    per_run: int
    steps: bool

    def told(self) -> Diagnostic:
        return self.says(
            f"the budget allows {plural(self.allowed, 'call')}, and scoring `{self.program}` once on "
            f"`{self.rows.text}` takes at least {self.count * self.per_run:,}",
            "spent before the first step" if self.steps else "spent before the last row",
            secondary=(
                Label(self.rows, f"{plural(self.count, 'row')}, {plural(self.per_run, 'call')} each"),
            ),
            help="`dspc plan` shows how many calls each step takes" if self.steps else "",
        )


DS0705 = Code(
    "DS0705",
    "error",
    "secret in the source",
    "A key in a file is a key in every copy of the file, in its history and in its backups; so is one in an address, as a "
    "password or in its query. "
    '`env("NAME")` names '
    "the environment variable that holds it.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_key = "sk-not-a-real-key" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_key = env("OPENAI_API_KEY") }\n',
)


class SecretInSource(Finding, frozen=True):
    """A key that stands in the source. `variable` is an environment variable that could hold it; "" where none can stand
    there."""

    code = DS0705
    name: str
    variable: str

    def told(self) -> Diagnostic:
        message, label = f"`{self.name}` holds a secret in the source", "a literal key"
        if not self.variable:
            return self.says(message, label, help="take it out: a file with a key in it leaks it")
        read = f'env("{self.variable}")'
        return self.says(
            message,
            label,
            help='write `env("NAME")` and keep the key in the environment; a file with a key in it leaks it',
            fixes=(replace(self.where, read, f"Read it from `{read}`", guess=True),),
        )


DS0715 = Code(
    "DS0715",
    "error",
    "variable that keeps no key or address of the model",
    "The name of the variable goes into the artifact, and whoever loads one must not send another secret of theirs to the "
    "model. So it is a name that the provider's keys usually have, or one that ends in `KEY` or `TOKEN` and belongs to "
    "no other provider or service; and a variable with an address is not called like a key, or like the address of a "
    "database. An artifact that names another one is refused when it is loaded.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_key = env("GITHUB_TOKEN") }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_key = env("OPENAI_API_KEY") }\n',
)


class NoKeysName(Finding, frozen=True):
    """An environment `variable` that may not hold the key of `model`, and the `usual` one."""

    code = DS0715
    variable: str
    model: str
    usual: str

    def told(self) -> Diagnostic:
        return self.says(
            f'`{self.variable}` is not a variable where a key of "{self.model}" is kept, and no artifact with it would load',
            "not such a name",
            help=f"keep the key in `{self.usual}`, or in a variable of your own whose name ends in `_KEY`",
            fixes=(replace(self.where, f'env("{self.usual}")', guess=True),),
        )


class NoAddressName(Finding, frozen=True):
    """An environment `variable` that may not hold the address of a model."""

    code = DS0715
    variable: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.variable}` is not a variable where a model's address is kept, and no artifact with it would load",
            "not such a name",
            help="keep the address in a variable of its own, such as `OPENAI_BASE_URL`",
        )


DS0707 = Code(
    "DS0707",
    "error",
    "two default models",
    "One model in a file may be marked as the default.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; default = true }\n'
    'lm large { model = "openai/gpt-4o"; default = true }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; default = true }\nlm large { model = '
    '"openai/gpt-4o" }\n',
)


class TwoDefaults(Finding, frozen=True):
    """The model `name` is marked as the default by this `value`, and so is another."""

    code = DS0707
    name: str
    value: Location
    other: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"two models are marked as the default: `{self.other.text}` and `{self.name}`",
            "the second one",
            secondary=(Label(self.other, "already the default"),),
            fixes=(replace(self.value, "false", "Mark it `false`", guess=True),),
        )


DS0709 = Code(
    "DS0709",
    "error",
    "fallback in a circle",
    "A fallback is asked when a model fails for good. A model that falls back to itself would fail in "
    "the same "
    "way again.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; fallback = [mini] }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; fallback = [large] }\nlm large { model = '
    '"openai/gpt-4o" }\n',
)


class FallsBackToItself(Finding, frozen=True):
    """A model that falls back to itself, directly or by way of another model."""

    code = DS0709
    name: str
    other: Location | None

    def told(self) -> Diagnostic:
        way = f"`{self.other.text}`, which falls back to it again" if self.other else "itself"
        return self.says(
            f"lm `{self.name}` falls back to {way}",
            "a circle",
            secondary=(Label(self.other, f"`{self.other.text}` is declared here"),) if self.other else (),
            help="a fallback is another model that is asked when this one fails for good",
        )


DS0710 = Code(
    "DS0710",
    "error",
    "price unknown",
    "A budget in USD is a wall that no call may pass, and without a price per token nobody knows what a "
    "call costs. Prices come from the lm's own `price` section, or else from LiteLLM's table.",
    UNPRICED + optimize("step demos = BootstrapFewShot()", "budget { usd = 2.00 }"),
    UNPRICED.replace('our-own"', 'our-own"; max_tokens = 400; price { input = 0.1; output = 0.4 }')
    + optimize("step demos = BootstrapFewShot()", "budget { usd = 2.00 }"),
    TICKETS,
)


class Unpriced(Finding, frozen=True):
    """The `model` of `lm`, whose price nobody knows; `own` if it is at an address of the user's."""

    code = DS0710
    model: str
    lm: Location
    own: bool
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        line = "price { input = 0.0; output = 0.0 }" if self.own else "price { input = 0.15; output = 0.60 }"
        return self.says(
            f'the budget is in USD, and nobody knows what "{self.model}" costs',
            "cannot be kept",
            secondary=(Label(self.lm, "no price"),),
            help=f"write its price per million tokens in `{self.lm.text}`, or give the budget in calls or tokens",
            fixes=insert_item(self.room, line, f"Insert `{line}`, to be filled in"),
        )


DS0711 = Code(
    "DS0711",
    "warning",
    "answers of any length",
    "A budget in USD or tokens is a wall that no call may pass: room for each answer is kept free before "
    "it is asked for. How much that is says `max_tokens`; without it the longest answer so far stands for "
    "the next, which may be longer and pass the wall.",
    METRIC + optimize("step demos = BootstrapFewShot()", "budget { tokens = 200000 }"),
    BOUNDED + optimize("step demos = BootstrapFewShot()", "budget { tokens = 5_000_000 }"),
    TICKETS,
)


class AnyLength(Finding, frozen=True):
    """A budget in `unit`, and answers of `lm` that may be of any length."""

    code = DS0711
    unit: str
    lm: Location
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        name, line = self.lm.text, "max_tokens = 1000"
        return self.says(
            f"the budget is in {'USD' if self.unit == 'usd' else self.unit}, and lm `{name}` has no "
            "`max_tokens`: how much an answer may take is only estimated",
            "could be passed",
            secondary=(Label(self.lm, "no `max_tokens`"),),
            help=f"write `max_tokens = …` in lm `{name}`",
            fixes=insert_item(self.room, line, f"Insert `{line}`, to be filled in"),
        )


DS0712 = Code(
    "DS0712",
    "warning",
    "unknown provider",
    "A model's name begins with its provider and a slash, which says where it is asked: `openai/gpt-4o-mini`. Some names are "
    "known well enough to do without. Nothing is known of this one, so the first call would fail. Which models a known "
    "provider has is not looked at, and a model at an `api_base` of its own may have any name.",
    'dspec 1\n\nlm mini { model = "gpt4" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4" }\n',
)


class UnknownProvider(Finding, frozen=True):
    """A `model` with an unknown `provider` before the slash, or with none; `known` are all that there are."""

    code = DS0712
    model: str
    provider: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        if not self.provider:
            return self.says(
                f'"{self.model}" names no provider, and no model is known by a name like that',
                "whose model?",
                help='write the provider before it, as in "openai/gpt-4o-mini"; for a server of your own, give its `api_base`',
            )
        near = closest(self.provider, self.known)
        rest = self.model.partition("/")[2]
        return self.says(
            f"no provider is called `{self.provider}`{did_you_mean(near)}",
            "whose model?",
            help=""
            if near
            else "for a server of your own, write `openai/` before the model's name, and its `api_base`",
            fixes=suggestions(self.where, tuple(f'"{name}/{rest}"' for name in near), guess=True),
        )


class NoModelBehind(Finding, frozen=True):
    """A `provider` and a slash, and no model."""

    code = DS0712
    provider: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.provider}/` names a provider and no model",
            "which model?",
            help=f'write the model behind the slash, as in "{self.provider}/…"',
        )


class NotEmbedded(Finding, frozen=True):
    """A `name` that no embedded model has; `known` are all that there are."""

    code = DS0712
    name: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        names = tuple(f'"embedded/{one}"' for one in self.known)
        return self.says(
            f"there is no embedded model `{self.name}`",
            "no such model",
            help=f"write {listed(names)}",
            fixes=tuple(replace(self.where, name, guess=True) for name in names),
        )


DS0713 = Code(
    "DS0713",
    "warning",
    "a temperature that the model refuses",
    "Some models that think before they answer take the temperature 1 and no other. A call with another one is refused; the "
    "temperature is then left out, so the setting does nothing.",
    MODULE.replace("openai/gpt-4o-mini", "openai/o3").replace('o3"', 'o3"; temperature = 0.0'),
    MODULE.replace("openai/gpt-4o-mini", "openai/o3"),
)


class OneTemperature(Finding, frozen=True):
    """An lm's own `temperature`."""

    code = DS0713
    model: str
    temperature: float
    name: Location

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" takes the temperature 1 and no other, and this is {self.temperature:g}',
            "refused by the model",
            secondary=(Label(self.name, "the model"),),
            help="leave `temperature` out",
        )


class AsksAtAnother(Finding, frozen=True):
    """An `option` of an optimizer or a strategy, `owner`, which asks a `model` at a `temperature`. `writes`: for instructions."""

    code = DS0713
    model: str
    temperature: float
    lm: Location
    owner: str
    option: str
    writes: bool = False

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" takes the temperature 1 and no other, and `{self.owner}` asks it at {self.temperature:g}',
            f"`{self.option}` is {self.temperature:g}",
            secondary=(Label(self.lm, "declared here"),),
            help=f"write `{self.option} = 1.0`"
            + (", or name another model as `prompt_lm`" if self.writes else ""),
        )


DS0714 = Code(
    "DS0714",
    "warning",
    "budget that may end the compile",
    "A compile stops at the wall of its budget with the best program that was scored until then. `dspc plan` says "
    "what it is expected to take, and what at most, if every answer is as long as `max_tokens` allows and is asked "
    "for again. A budget below the first ends most compiles in the middle; one between the two may. `dspc check` "
    "and `dspc plan` say so, unless nothing but the budget has changed since the last whole compile, whose answers are kept; an "
    "editor does not.",
    PRICED + optimize("step demos = BootstrapFewShot()", "budget { usd = 0.01 }"),
    PRICED + optimize("step demos = BootstrapFewShot()", "budget { usd = 5 }"),
    TICKETS,
)


class MayEnd(Finding, frozen=True):
    """A budget for block `name` in `unit`, and what its compile is `expected` to take and takes `most`, as texts; `short`
    where the budget is less than what is expected."""

    code = DS0714
    name: str
    budget: str
    expected: str
    most: str
    seen: bool
    short: bool

    def told(self) -> Diagnostic:
        source = "as the last compile took it" if self.seen else "a guess before the first compile"
        if self.short:
            message = (
                f"the budget of {self.budget} does not reach for `{self.name}`, which is expected to take {self.expected} "
                f"({source}): it may stop in the middle"
            )
        else:
            message = (
                f"the budget of {self.budget} may end `{self.name}` early: it is expected to take {self.expected} ({source}), "
                f"and takes {self.most} at most"
            )
        return self.says(
            message,
            "less than is expected" if self.short else "less than it takes at most",
            help="`dspc plan` shows both; at the wall the best program until then is the result, and running again goes on",
        )


_STEPS = 'lm mini { model = "openai/gpt-4o-mini"; adapter = "two_step" }\n'

DS0730 = Code(
    "DS0730",
    "warning",
    "nothing to extract",
    "`extract` names the model that takes the outputs from an answer which is given in its own words, with "
    '`adapter = "two_step"`. In any other layout the answer itself holds them, and no second call is made.',
    'dspec 1\n\nlm small { model = "openai/gpt-4o-mini" }\nlm large { model = "openai/gpt-4o"; extract = small }\n',
    'dspec 1\n\nlm small { model = "openai/gpt-4o-mini" }\n'
    'lm large { model = "openai/gpt-4o"; adapter = "two_step"; extract = small }\n',
)


class NothingToExtract(Finding, frozen=True):
    """An `extract` without answers in two steps; `adapter` is the layout that is set instead."""

    code = DS0730
    adapter: Location | None

    def told(self) -> Diagnostic:
        return self.says(
            'without `adapter = "two_step"` there is no second call that takes the outputs from an answer',
            "does nothing",
            secondary=() if self.adapter is None else (Label(self.adapter, "the answer holds them already"),),
            help="" if self.adapter is None else 'write `adapter = "two_step"`, or leave `extract` out',
        )


DS0731 = Code(
    "DS0731",
    "error",
    "extraction in two steps",
    "The second of two steps takes the outputs from what was said in the first, so whoever makes it answers in a layout. "
    "Without `extract` the model itself does, in the `chat` layout.",
    "dspec 1\n\n" + _STEPS + _STEPS.replace("mini {", "large {").replace(" }", "; extract = mini }"),
    "dspec 1\n\n"
    + _STEPS.replace('"two_step"', '"json"')
    + _STEPS.replace("mini {", "large {").replace(" }", "; extract = mini }"),
)


class ExtractsInTwoSteps(Finding, frozen=True):
    """What `lm` names to extract answers in two steps as well, as its setting at `adapter` says; None where it names itself."""

    code = DS0731
    lm: str
    adapter: Location | None

    def told(self) -> Diagnostic:
        if self.adapter is None:
            return self.says(
                f"`{self.lm}` takes the outputs from its own answers where nothing else is said",
                "itself",
                help="leave `extract` out",
            )
        return self.says(
            f"`{self.where.text}` answers in two steps itself, so it gives no outputs",
            "answers in its own words",
            secondary=(Label(self.adapter, "set here"),),
            help="name a model that answers in a layout, or leave `extract` out",
        )


DS0732 = Code(
    "DS0732",
    "warning",
    "two steps of the built-in learner",
    "The built-in learner computes outputs and has no words of its own. It answers in the `chat` layout, in one call, where "
    "its lm says `two_step`.",
    'dspec 1\n\nlm icl { model = "embedded/icl"; adapter = "two_step" }\n',
    'dspec 1\n\nlm icl { model = "embedded/icl" }\n',
)


class NoWordsOfItsOwn(Finding, frozen=True):
    """Two steps of an embedded model, which is set at `at`."""

    code = DS0732
    model: str
    at: Location

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" has no words of its own: it answers in one call, in the `chat` layout',
            "does nothing",
            secondary=(Label(self.at, "the built-in learner"),),
        )


DS0733 = Code(
    "DS0733",
    "error",
    "native calls in two steps",
    "A model that answers in two steps says in its own words which tool it calls, and the second step takes the call from "
    "that. The provider's own tool calls would answer past it.",
    "dspec 1\n\n" + _STEPS.replace(" }", '; tool_calls = "native" }'),
    "dspec 1\n\n" + _STEPS,
)


class CallsInTwoSteps(Finding, frozen=True):
    """Answers in two steps beside native tool calls, which are set at `calls`."""

    code = DS0733
    calls: Location

    def told(self) -> Diagnostic:
        return self.says(
            "answers in two steps name their tools in words, not by the provider's own tool calls",
            "in two steps",
            secondary=(Label(self.calls, "asks for native calls"),),
            help='leave `tool_calls` out, or take `adapter = "chat"`',
        )


DS0735 = Code(
    "DS0735",
    "error",
    "batches of a model that has none",
    '`mode = "batch"` sends requests to the provider\'s batch API, as files that are answered within a day. That is known of '
    "OpenAI, of Azure, and of LiteLLM's proxy; a server of one's own is taken to have one if it is named `openai/…`. The "
    "built-in learner answers at once.",
    'dspec 1\n\nlm large { model = "anthropic/claude-sonnet-4-5"; mode = "batch" }\n',
    'dspec 1\n\nlm large { model = "openai/gpt-4o"; mode = "batch" }\n',
)


class NoBatches(Finding, frozen=True):
    """Batches of a `model`, which is set at `at`, whose provider has none that is known."""

    code = DS0735
    model: str
    at: Location

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" has no batch API that dspec knows',
            "cannot be asked so",
            secondary=(Label(self.at, "the model"),),
            help="leave `mode` out: it is then asked at once; `openai/…`, `azure/…` and `litellm_proxy/…` have batches",
        )
