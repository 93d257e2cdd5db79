"""DS072: what requests say besides their messages: parameters, headers, and what becomes of answers."""

from __future__ import annotations

import json

from ...project.source import Location
from ..record import Diagnostic, Label
from .base import Code, Finding
from .snippets import MODULE

THINKS = MODULE.replace("openai/gpt-4o-mini", "openai/o3")

DS0720 = Code(
    "DS0720",
    "warning",
    "parameter that the model does not take",
    "Not every model takes every parameter: some that think before they answer take no `top_p`, and many take no `seed`. A "
    "request with one is refused; the parameter is then left out, so the setting does nothing. What is known comes from a "
    "table made from LiteLLM's list; nothing is known of a model at an `api_base` of its own.",
    THINKS.replace('o3"', 'o3"; top_p = 0.9'),
    THINKS,
)


class ParameterNotTaken(Finding, frozen=True):
    """A parameter that `model` does not take, of an lm or of a module that asks it."""

    code = DS0720
    parameter: str
    model: str
    lm: Location

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" does not take `{self.parameter}`',
            "does nothing",
            secondary=(Label(self.lm, "the model"),),
            help=f"leave `{self.parameter}` out, or take another model",
        )


DS0721 = Code(
    "DS0721",
    "error",
    "several answers to one request",
    "A call has one answer. Several answers to the same inputs are a strategy, which says which of them counts: `Majority` the "
    "one that most agree on, `BestOfN` the one with the best reward. Their calls are planned and counted like any other.",
    MODULE.replace('gpt-4o-mini"', 'gpt-4o-mini"; n = 5'),
    MODULE.replace("Predict(Route)", "Majority(Route, n = 5)"),
)


class SeveralAnswers(Finding, frozen=True):
    """`n` of an lm, or of a module whose strategy asks once."""

    code = DS0721

    def told(self) -> Diagnostic:
        return self.says(
            f"a call has one answer, so there is no `{self.where.text}` here",
            "one answer",
            help="write `Majority(…, n = 5)` for the answer that most agree on, or `BestOfN(…, n = 5, …)` for the best one",
        )


DS0722 = Code(
    "DS0722",
    "error",
    "header or parameter that a file may not set",
    "Headers and further parameters travel in the artifact, to people who did not write them. So none of them may say where a "
    "request goes, carry a key, take the place of what the request says by itself, or have more answered than was counted. An "
    "artifact that does is refused when it is loaded.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; headers { Host = "other.example" } }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; headers { X_Title = "tickets" } }\n',
)


class MayNotBeSet(Finding, frozen=True):
    """A header or parameter `name`, and `why` not, a clause about it."""

    code = DS0722
    name: str
    why: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.name}` {self.why}", "not here")


class TooMuch(Finding, frozen=True):
    """More in a `section` than there may be: at `most` so many of `what`."""

    code = DS0722
    section: str
    most: int
    what: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.section}` may have {self.most:,} {self.what} at most", "too much")


class NoPlainValue(Finding, frozen=True):
    """What is no value that can be sent as it is; `wanted` says what can."""

    code = DS0722
    name: str
    wanted: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.name}` takes {self.wanted}", "not such a value")


class NoHeadersVariable(Finding, frozen=True):
    """An environment `variable` whose value may not be sent in a header to `model`."""

    code = DS0722
    variable: str
    model: str

    def told(self) -> Diagnostic:
        return self.says(
            f'`{self.variable}` is not a variable whose value may go to "{self.model}", and no artifact with it would load',
            "somebody else's, by its name",
            help="keep the value in a variable of your own, such as `GATEWAY_TOKEN`",
        )


DS0723 = Code(
    "DS0723",
    "warning",
    "a model that does not tell what it thinks",
    "With `reasoning = \"native\"` a chain of thought is what the model thinks by itself. OpenAI's and Azure's models keep "
    "that to themselves, others do not think at all, and some only where `reasoning_effort` says how much. Where a model is "
    "known to give none, the reasoning is written as an output, as without the setting.",
    MODULE.replace('gpt-4o-mini"', 'gpt-4o-mini"; reasoning = "native"'),
    MODULE.replace('openai/gpt-4o-mini"', 'deepseek/deepseek-reasoner"; reasoning = "native"'),
)


class TellsNoThoughts(Finding, frozen=True):
    """`reasoning = "native"` of a model that is known to give none, or only with an `effort`."""

    code = DS0723
    model: str
    lm: Location
    effort: bool

    def told(self) -> Diagnostic:
        if self.effort:
            message, help_ = (
                f'"{self.model}" thinks only where `reasoning_effort` says how much',
                'write `reasoning_effort = "low"`',
            )
        else:
            message = f'"{self.model}" does not tell what it thinks: the reasoning is written as an output'
            help_ = "leave `reasoning` out, or take a model that tells"
        return self.says(message, "does nothing", secondary=(Label(self.lm, "the model"),), help=help_)


DS0724 = Code(
    "DS0724",
    "error",
    "nothing to fall back to",
    '`on_unreadable = "fallback"` has the models of `fallback` asked in order where an answer stays unreadable after '
    "it was asked for again. Without a `fallback` there is nobody to ask.",
    MODULE.replace('gpt-4o-mini"', 'gpt-4o-mini"; on_unreadable = "fallback"'),
    MODULE.replace(
        'gpt-4o-mini"', 'gpt-4o-mini"; on_unreadable = "fallback"; fallback = [large]; default = true'
    ).replace("signature", 'lm large { model = "openai/gpt-4o" }\nsignature', 1),
)


class NoFallback(Finding, frozen=True):
    """An lm that is to fall back, and names nothing to fall back to."""

    code = DS0724
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"lm `{self.name}` has no `fallback`",
            "to whom?",
            help="write `fallback = [other]` with the models to ask then",
        )


DS0725 = Code(
    "DS0725",
    "error",
    "setting for a module that asks nothing itself",
    "An option such as `lm` or `temperature` says how a module's own calls are asked. A module that only runs another one, or a "
    "function, has none: the other module says how it asks.",
    MODULE
    + "metric short(pred: writer) = len(pred.topic) < 20\nmodule writer = Predict(Route)\n"
    + "module best = BestOfN(writer, n = 3, reward = short, threshold = 1.0, max_tokens = 100)\n",
    MODULE
    + "metric short(pred: writer) = len(pred.topic) < 20\nmodule writer = Predict(Route, max_tokens = 100)\n"
    + "module best = BestOfN(writer, n = 3, reward = short, threshold = 1.0)\n",
)


class NothingToAsk(Finding, frozen=True):
    """An `option` of a module of `strategy` that has no calls of its own."""

    code = DS0725
    option: str
    strategy: str

    def told(self) -> Diagnostic:
        return self.says(
            f"this `{self.strategy}` asks nothing itself, so `{self.option}` says nothing",
            "of whose calls?",
            help=f"write `{self.option}` on the module that it runs"
            + (", or on a second one like it" if self.option == "lm" else ""),
        )


DS0734 = Code(
    "DS0734",
    "warning",
    "model for a module that asks nothing itself",
    "`lm` says which model a module's own calls ask. A module that only runs another one has none: that one's model is asked.",
    MODULE.replace("Predict(Route)", "Predict(Route, lm = mini)")
    + 'lm other { model = "openai/gpt-4o" }\nmodule most = Majority(router, n = 3, lm = other)\n',
    MODULE.replace("Predict(Route)", "Predict(Route, lm = other)")
    + 'lm other { model = "openai/gpt-4o" }\nmodule most = Majority(router, n = 3)\n',
)


class NoModelToAsk(NothingToAsk, frozen=True):
    """The same of `lm`, which was taken without a word once."""

    code = DS0734


DS0726 = Code(
    "DS0726",
    "warning",
    "a version that nobody reads",
    "`api_version` is part of Azure's protocol. Other providers have one version, or say it in the address.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_version = "2024-10-21" }\n',
    'dspec 1\n\nlm mini { model = "azure/gpt-4o-mini"; api_base = env("AZURE_API_BASE"); api_version = "2024-10-21" }\n',
)


class NoVersions(Finding, frozen=True):
    """An `api_version` of a `model` whose provider has none."""

    code = DS0726
    model: str

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" is asked without a version: only Azure\'s models have one',
            "does nothing",
            help="leave `api_version` out",
        )


DS0727 = Code(
    "DS0727",
    "warning",
    "stop text that is part of the layout",
    "An answer has its outputs in a layout, and ends where a stop text comes. One that the layout itself has before the first "
    "value ends each answer before it says anything.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; stop = "[[ ## " }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; stop = "END" }\n',
)


class StopsInLayout(Finding, frozen=True):
    """A stop `text` that each answer in the `layout` begins with."""

    code = DS0727
    text: str
    layout: str

    def told(self) -> Diagnostic:
        text = json.dumps(self.text, ensure_ascii=False)
        return self.says(
            f"the {self.layout} layout has {text} before the first value, so each answer ends there",
            "cuts each answer",
            help="leave it out, or stop at a text that no answer needs",
        )


DS0728 = Code(
    "DS0728",
    "warning",
    "no room for an answer behind the thinking",
    "What a model thinks is part of its answer, so `max_tokens` covers both. Anthropic's models are told how much of it they may "
    "think: by `budget_tokens` in `extra { thinking { … } }`, and many of them by `reasoning_effort`, which LiteLLM sends as "
    "such a budget. One that is not below `max_tokens` is refused.",
    MODULE.replace(
        'openai/gpt-4o-mini"', 'anthropic/claude-sonnet-4-5"; reasoning_effort = "medium"; max_tokens = 800'
    ),
    MODULE.replace(
        'openai/gpt-4o-mini"', 'anthropic/claude-sonnet-4-5"; reasoning_effort = "medium"; max_tokens = 3000'
    ),
)


class NoRoomBehindThinking(Finding, frozen=True):
    """A `setting` by which a model may think for `budget` tokens, where thoughts and answer have `most` in all."""

    code = DS0728
    setting: str
    budget: int
    most: int
    model: str
    lm: Location

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.model}" may think for {self.budget:,} tokens by its `{self.setting}`, of {self.most:,} in all',
            "no room for an answer",
            secondary=(Label(self.lm, "the model"),),
            help=f"raise `max_tokens` well above {self.budget:,}, or have it think less: a provider refuses such requests",
        )
