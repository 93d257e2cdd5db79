"""Artifacts that mean harm: whatever stands in them is refused, or runs within bounds of work and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from agents import SEARCH, several
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import call, const, module, question, var
from programs import fields as fields_of

from dspec import load
from dspec.compiler.tables import known_models
from dspec.runtime.artifact.artifact import Artifact, artifact_text, parse_artifact
from dspec.runtime.artifact.strict import strict_json
from dspec.runtime.errors import ArtifactError, DspecError, EvaluationError
from dspec.runtime.models.endpoints import PROVIDERS
from dspec.runtime.schema.expressions import BinaryOp, Expression, ForEach, ListOfItems
from dspec.runtime.schema.modelnames import is_model_name, may_hold_key
from dspec.runtime.schema.program import EachStep, NestedSteps, Program, RepeatStep, Reward, Step, ValueStep
from dspec.runtime.schema.types import ANY, STR, JsonValue
from dspec.runtime.values.interpret import MAX_RUN_STEPS, SharedWork, Work, evaluate

BIG = list(range(100_000))
TEXT = "x" * 3_000_000


def plain() -> dict[str, Any]:
    return json.loads(artifact_text(Artifact(name="p", program=module(question()))))


def refused(change: Callable[[dict[str, Any]], object]) -> str:
    found = plain()
    change(found)
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(json.dumps(found).encode())
    return caught.value.message


def lm(**members: object) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["program"]["lms"]["mini"].update(members)


ADDRESSES = (
    "oobabooga/http://evil.example/v1",
    "oobabooga/HTTPS://evil.example",
    "huggingface/https://evil.example/x",
    "huggingface/together/https://evil.example",
    "petals/http:evil.example",
    "openai//evil.example/v1",
    "azure/../../evil",
    "bedrock/eu-west-1.evil.example#/anthropic.claude",
    "vertex_ai/x?api_base=http://evil.example",
    "sagemaker/a@evil.example\\x",
    "custom/evil.example:8080/v1",
    "a b",
    "\x1b[31mx",
    "",
)
NAMES = (
    "openai/gpt-4o-mini",
    "ft:gpt-3.5-turbo:org::id",
    "ollama_chat/llama3.1:8b",
    "huggingface/together/deepseek-ai/DeepSeek-R1",
    "bedrock/arn:aws:bedrock:us-east-1:1234:inference-profile/x.y-v1:0",
    "cloudflare/@cf/meta/llama-2-7b-chat-int8",
    "vertex_ai/claude-3-5-sonnet@20240620",
    "replicate/meta/meta-llama-3-8b",
    "anthropic/claude-x[1m]",
    "embedded/icl",
)


@pytest.mark.parametrize("model", ADDRESSES)
def test_a_model_is_a_name_and_no_address(model: str) -> None:
    assert "is not the name of a model" in refused(lm(model=model))


@pytest.mark.parametrize("model", NAMES)
def test_names_of_models_are_taken(model: str) -> None:
    assert is_model_name(model)


@pytest.mark.parametrize(
    "variable",
    [
        "HOME",
        "PATH",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "DATABASE_URL",
        "ANTHROPIC_API_KEY",
        "PASSWORD",
        "x\n",
        "MY_AWS_ACCESS_KEY",
        "APP_SECRET_KEY",
        "PROD_STRIPE_API_KEY",
        "TEAM_ANTHROPIC_API_KEY",
    ],
)
def test_a_key_is_not_any_variable(variable: str) -> None:
    assert "is not where a key of this model is kept" in refused(
        lm(model="openai/gpt-4o-mini", api_key_env=variable)
    )


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("aws/x", "AWS_SECRET_ACCESS_KEY"),
        ("database/x", "DATABASE_URL"),
        ("ssh/x", "SSH_KEY"),
        ("home/x", "HOME_DIR"),
    ],
)
def test_a_model_lends_its_name_to_no_variable(model: str, variable: str) -> None:
    assert "is not where a key of this model is kept" in refused(lm(model=model, api_key_env=variable))


def test_an_application_may_name_any_variable(tmp_path: Path) -> None:
    found = plain()
    lm(model="openai/gpt-4o-mini", api_key_env="AWS_SECRET_ACCESS_KEY")(found)
    path = tmp_path / "p.dspc.json"
    path.write_text(json.dumps(found))
    for named in ("MODEL_KEY", "VAULT_SECRET", {"mini": "VAULT_SECRET"}):
        loaded = load(path, api_key_env=named).program
        assert loaded.lms["mini"].api_key_env == (named if isinstance(named, str) else named["mini"])
    with pytest.raises(ArtifactError, match="AWS_SECRET_ACCESS_KEY"):
        load(path)


@pytest.mark.parametrize(
    "variable",
    [
        "NVIDIA_NIM_API_KEY",
        "DASHSCOPE_API_KEY",
        "MOONSHOT_API_KEY",
        "REPLICATE_API_TOKEN",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "WATSONX_TOKEN",
        "VOYAGE_API_KEY",
        "ARK_API_KEY",
        "ZAI_API_KEY",
        "WANDB_API_KEY",
        "LANGFUSE_SECRET_KEY",
        "NOTION_TOKEN",
        "JIRA_API_TOKEN",
        "PAYPAL_KEY",
        "PLAID_KEY",
        "SHOPIFY_API_KEY",
        "SQUARE_ACCESS_TOKEN",
        "SUPABASE_SERVICE_ROLE_KEY",
        "SNYK_TOKEN",
        "CODECOV_TOKEN",
        "FLY_API_TOKEN",
        "CF_API_TOKEN",
        "OP_SERVICE_ACCOUNT_TOKEN",
        "GCP_KEY",
        "S3_KEY",
        "ACTIONS_RUNTIME_TOKEN",
        "TAVILY_API_KEY",
        "LINEAR_API_KEY",
    ],
)
def test_a_key_of_another_provider_or_service_is_not_lent(variable: str) -> None:
    assert "is not where a key of this model is kept" in refused(lm(model="openai/x", api_key_env=variable))


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("nvidia_nim/x", "NVIDIA_NIM_API_KEY"),
        ("dashscope/x", "DASHSCOPE_API_KEY"),
        ("moonshot/x", "MOONSHOT_API_KEY"),
        ("replicate/x", "REPLICATE_API_TOKEN"),
        ("huggingface/x", "HF_TOKEN"),
        ("huggingface/x", "HUGGINGFACE_API_KEY"),
        ("watsonx/x", "WATSONX_TOKEN"),
        ("voyage/x", "VOYAGE_API_KEY"),
        ("volcengine/x", "ARK_API_KEY"),
        ("fireworks_ai/x", "FIREWORKS_API_KEY"),
        ("perplexity/x", "PERPLEXITYAI_API_KEY"),
        ("together_ai/x", "TOGETHERAI_API_KEY"),
        ("gemini/x", "GOOGLE_API_KEY"),
        ("openai/x", "OPENAI_API_KEY_2"),
        ("openai/x", "VLLM_API_KEY"),
    ],
)
def test_a_key_of_its_own_is_taken(model: str, variable: str) -> None:
    found = plain()
    lm(model=model, api_key_env=variable)(found)
    parse_artifact(json.dumps(found).encode())


def test_the_providers_that_are_known_lend_no_key_to_others() -> None:
    """Those with names that are no common words, and that are no server of one's own."""
    common = [
        "a2a",
        "a2a_agent",
        "aiohttp_openai",
        "auto_router",
        "charity_engine",
        "cognition",
        "custom",
        "custom_openai",
        "darkbloom",
        "dotprompt",
        "empower",
        "gdc",
        "inception",
        "infinity",
        "langflow",
        "langgraph",
        "lemonade",
        "litellm_agent",
        "meta",
        "morph",
        "nadir",
        "nano-gpt",
        "neosantara",
        "oobabooga",
        "openai",
        "openai_like",
        "petals",
        "pinstripes",
        "prism",
        "sail",
        "sap",
        "scx-ai",
        "strands_decider",
        "synthetic",
        "tensormesh",
        "text-completion-inception",
        "text-completion-openai",
        "transcribe",
        "triton",
        "typesafe",
        "v0",
        "vllm",
        "xinference",
    ]
    keys = frozenset(name for one in PROVIDERS.values() for name in one.key_env)
    usual = PROVIDERS["openai"].key_env
    lent = [
        name
        for name in known_models.PROVIDERS.split()
        if may_hold_key(f"{name.upper().replace('-', '_')}_API_KEY", "openai", usual, keys.difference(usual))
    ]
    assert lent == common


@pytest.mark.parametrize(
    "variable",
    [
        "AWS_SECRET_ACCESS_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "APP_DB_URL",
        "SENTRY_DSN",
        "GITHUB_TOKEN",
        "SLACK_WEBHOOK_URL",
        "DB_PASSWORD",
        "CELERY_BROKER_URL",
    ],
)
def test_an_address_is_not_any_variable(variable: str) -> None:
    assert "is not where the address of a model is kept" in refused(lm(api_base_env=variable))


@pytest.mark.parametrize("variable", ["LOCAL_LM_URL", "OPENAI_BASE_URL", "B", "AZURE_API_BASE", "VLLM_HOST"])
def test_addresses_of_models_are_taken(variable: str) -> None:
    found = plain()
    lm(api_base_env=variable)(found)
    parse_artifact(json.dumps(found).encode())


def test_keys_that_a_model_has_are_taken() -> None:
    for provider, facts in PROVIDERS.items():
        for name in facts.key_env:
            assert may_hold_key(name, provider, facts.key_env, frozenset())
    for name in ("LM_KEY", "LARGE_KEY", "OLD_FILES_KEY", "MY_API_KEY", "ROUTER_TOKEN"):
        assert may_hold_key(name, "openai", (), frozenset())
    assert may_hold_key("CEREBRAS_API_KEY", "cerebras", (), frozenset())


@pytest.mark.parametrize(
    "members",
    [
        {"max_parallel": -3},
        {"max_parallel": 0},
        {"rpm": -1},
        {"tpm": 0},
        {"retry": -1},
        {"retry": 10**9},
        {"timeout": 0.0},
        {"timeout": 1e300},
        {"max_tokens": 0},
        {"temperature": -1.0},
        {"price_input": -1.0},
        {"seed": 10**100},
        {"fallback": ["absent"]},
        {"name": "a\x1b[2J"},
        {"api_base_env": "A\u202eB"},
    ],
)
def test_settings_out_of_range_are_refused(members: dict[str, object]) -> None:
    assert refused(lm(**members))


@pytest.mark.parametrize(
    "place",
    [
        lambda found, name: found.update(name=name),
        lambda found, name: found["program"].update(name=name),
        lambda found, name: found["program"]["steps"][0].update(name=name),
        lambda found, name: found.update(provenance={"toolchain": name}),
        lambda found, name: found.update(provenance={"models": {"mini": name}}),
        lambda found, name: found.update(provenance={"steps": [{"name": name, "optimizer": "x"}]}),
        lambda found, name: found["program"]["predictors"]["module"]["signature"].update(name=name),
    ],
)
@pytest.mark.parametrize("name", ["\x1b[2J", "a\x07", "\u009b31m", "\u202ecod", "a\nb"])
def test_names_hold_no_controls(place: Callable[[dict[str, Any], str], object], name: str) -> None:
    assert refused(lambda found: place(found, name))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["program"]["steps"][0]["arguments"].update(
            question={"op": "variable", "name": "absent"}
        ),
        lambda found: found["program"]["returns"].update(answer={"op": "variable", "name": "absent"}),
        lambda found: found["program"]["steps"].append(
            {
                "kind": "check",
                "check": {
                    "kind": "assert",
                    "condition": {"op": "constant", "value": True},
                    "message": {"op": "constant", "value": ""},
                },
                "blames": "absent",
            }
        ),
    ],
)
def test_references_lead_somewhere(change: Callable[[dict[str, Any]], object]) -> None:
    assert "absent" in refused(change)


AGENT = several("ReAct", tools=[SEARCH], max_iters=3)
REFINING = several(
    "Refine",
    more=module(question()),
    runs="module",
    reward=Reward(name="r", pred="pred", score=const(1)),
    n=2,
    threshold=0.5,
)


def _output(found: dict[str, Any], address: str, place: int, **members: object) -> None:
    found["program"]["predictors"][address]["signature"]["outputs"][place].update(members)


@pytest.mark.parametrize(
    ("program", "change", "words"),
    [
        (
            AGENT,
            lambda found: found["program"]["modules"]["m"]["tools"].append("search"),
            "modules.m.tools: `search` is there twice",
        ),
        (
            AGENT,
            lambda found: found["program"]["tools"].update(
                other={**found["program"]["tools"]["search"], "description": "another"}
            ),
            "program.tools: two are called `search`",
        ),
        (
            AGENT,
            lambda found: found["program"]["steps"].append(found["program"]["steps"][0]),
            "program.steps: `out` is there twice",
        ),
        (
            AGENT,
            lambda found: _output(
                found, "m.react", 1, type={"kind": "one_of", "values": ["search", "delete", "finish"]}
            ),
            "`react` must choose among the module's tools and `finish`",
        ),
        (
            AGENT,
            lambda found: _output(found, "m.react", 2, type={"kind": "scalar", "name": "str"}),
            "`react` must give arguments by their names",
        ),
        (
            AGENT,
            lambda found: found["program"]["predictors"]["m.react"]["signature"]["outputs"].pop(),
            "`react` must have an input for the steps until now",
        ),
        (
            AGENT,
            lambda found: found["program"]["modules"]["m"]["tools"].append("absent"),
            "there is no `absent` to call",
        ),
        (
            REFINING,
            lambda found: _output(found, "m.advise", 1, name="advices"),
            "`advise` must give `advice` by the predictors' names",
        ),
    ],
)
def test_what_is_there_twice_or_of_another_kind_is_refused(
    program: Program, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    found = json.loads(artifact_text(Artifact(name="p", program=program)))
    parse_artifact(json.dumps(found).encode())
    change(found)
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(json.dumps(found).encode())
    assert words in caught.value.message


@pytest.mark.parametrize("table", ["predictors", "modules", "tools", "lms", "records", "graphs"])
def test_a_key_that_is_there_twice_is_refused(table: str) -> None:
    """Of two members of one name, JSON's readers take one and say nothing."""
    found = plain()
    found["program"][table] = {"KEY": found["program"].get(table, {}).get("mini") or {}}
    text = json.dumps(found).replace('"KEY": {', '"twice": {}, "twice": {')
    with pytest.raises(ArtifactError, match='the member "twice" is given twice'):
        parse_artifact(text.encode())


def read_of(target: str, field: str = "") -> dict[str, Any]:
    variable = {"op": "variable", "name": target}
    return {"op": "member", "target": variable, "name": field} if field else variable


def checking(condition: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "assert", "condition": condition, "message": {"op": "constant", "value": "no"}}


def signature_of(found: dict[str, Any]) -> dict[str, Any]:
    return found["program"]["predictors"]["module"]["signature"]


@pytest.mark.parametrize(
    "change",
    [
        lambda found: signature_of(found).update(checks=[checking(read_of("absent"))]),
        lambda found: signature_of(found).update(
            checks=[checking(read_of("question")) | {"message": read_of("absent")}]
        ),
        lambda found: found["program"].update(
            records={"R": {"name": "R", "fields": [], "checks": [checking(read_of("absent"))]}}
        ),
        lambda found: found["program"]["returns"].update(
            answer=read_of(found["program"]["steps"][0]["name"], "absent")
        ),
        lambda found: signature_of(found).update(
            checks=[checking({"op": "apply", "function": "absent", "arguments": [read_of("question")]})]
        ),
    ],
)
def test_what_expressions_refer_to_is_there(change: Callable[[dict[str, Any]], object]) -> None:
    assert "absent" in refused(change)


def applying(function: str, *arguments: dict[str, Any], **named: dict[str, Any]) -> dict[str, Any]:
    return {"op": "apply", "function": function, "arguments": list(arguments), "named": named}


def answering(found: dict[str, Any], expression: dict[str, Any]) -> None:
    found["program"]["returns"].update(answer=expression)


def second_lm(found: dict[str, Any]) -> None:
    lms = found["program"]["lms"]
    lms["other"] = lms["mini"] | {"name": "other", "fallback": ["mini"]}
    lms["mini"]["fallback"] = ["other"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found["program"]["steps"][0].update(arguments={}), "the input `question` is missing"),
        (
            lambda found: found["program"]["steps"][0]["arguments"].update(zz=read_of("question")),
            "there is no input `zz`",
        ),
        (
            lambda found: signature_of(found)["inputs"].append(
                signature_of(found)["inputs"][0] | {"name": "more"}
            ),
            "the input `more` is missing",
        ),
        (lambda found: answering(found, applying("len")), "is missing"),
        (
            lambda found: answering(found, applying("lower", read_of("question"), read_of("question"))),
            "takes 1",
        ),
        (
            lambda found: answering(found, applying("lower", read_of("question"), zz=read_of("question"))),
            "no parameter `zz`",
        ),
        (lambda found: answering(found, applying("max")), "is missing"),
        (lambda found: answering(found, read_of("question", "text")), "has no fields"),
        (lambda found: found["program"]["lms"]["mini"].update(fallback=["mini"]), "leads back to `mini`"),
        (second_lm, "leads back to `mini`"),
        (lambda found: found["program"]["lms"]["mini"].update(name="other"), "it is called `other` inside"),
        (
            lambda found: found["program"].update(records={"R": {"name": "S", "fields": [], "checks": []}}),
            "it is called `S` inside",
        ),
    ],
)
def test_calls_give_what_is_taken(change: Callable[[dict[str, Any]], object], said: str) -> None:
    assert said in refused(change)


def test_what_may_be_left_out_may_be_left_out() -> None:
    found = plain()
    question = signature_of(found)["inputs"][0]
    inputs = signature_of(found)["inputs"]
    inputs.append(question | {"name": "more", "has_default": True, "default": "x"})
    inputs.append(question | {"name": "less", "type": {"kind": "optional", "item": question["type"]}})
    answering(found, applying("max", read_of("question"), read_of("question")))
    parse_artifact(json.dumps(found).encode())


@pytest.mark.slow
def test_many_small_values_are_refused_before_they_are_made() -> None:
    """16 MB of `{},` took 2.3 GB."""
    code = (
        "import resource, sys\n"
        "from dspec.runtime.artifact.artifact import parse_artifact\n"
        "from dspec.runtime.errors import ArtifactError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000, used + 500_000_000))\n"
        "for part in (b'{},', b'[],', b'1,', b'\"\",', b'[[]],', b'{\"a\":1},'):\n"
        "    most = 16_000_000 // len(part) if len(sys.argv) < 2 else 1_999_990 // (part.count(b',') + part.count(b'[') + part.count(b'{') + part.count(b':'))\n"
        "    try:\n"
        "        parse_artifact(b'{\"format\": 1, \"name\": [' + part * most + b'1]}')\n"
        "    except ArtifactError as error:\n"
        "        print(error.message)\n"
    )
    for arguments in ([], ["as many as there may be"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 6
    # commas of texts are none of a list's
    strict_json(b'["' + b"a, b, c, " * 700_000 + b'"]')


def compare(left: Expression, operator: Any, right: Expression) -> Expression:
    return BinaryOp(operator=operator, left=left, right=right)


def each(element: Expression) -> Expression:
    return ForEach(element=element, variable="x", iterable=var("big"))


def times(expression: Expression, count: int) -> Expression:
    return ListOfItems(items=(expression,) * count)


GREEDY: dict[str, Expression] = {
    "a list looked through for each of its items": each(compare(var("x"), "in", var("big"))),
    "by a function": each(call("contains", var("big"), var("x"))),
    "lists compared": each(compare(var("big"), "==", var("other"))),
    "texts compared": each(compare(var("text"), "<", var("same"))),
    "lists joined": each(compare(var("big"), "+", var("big"))),
    "lists of lists": times(times(times(times(times(var("big"), 40), 40), 40), 40), 40),
    "a text written": call("str", times(var("big"), 100)),
    "texts joined": call("join", each(const("a")), var("text")),
    "a pattern repeated": call("matches", var("text"), const("((x{0,90}){0,90}){0,90}y")),
    "references": call("answer_passage_match", call("split", const("z " * 99_000)), times(var("text"), 2)),
    "unique lists": call("unique", each(times(var("x"), 1))),
    "leaves": each(call("json_diff", var("big"), var("other"))),
    "normalised": each(call("normalize_text", var("text"))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GREEDY)
def test_work_is_counted_and_not_only_nodes(name: str) -> None:
    scope: dict[str, JsonValue] = {"big": BIG, "other": [*BIG], "text": TEXT, "same": TEXT[:-1] + "y"}
    with pytest.raises(EvaluationError, match=r"more than 1000000 steps|too large"):
        evaluate(GREEDY[name], scope)


def test_honest_work_is_within_bounds() -> None:
    golds, preds = [f"label {i}" for i in range(1000)], [f"lapel {i}" for i in range(1000)]
    found = evaluate(
        ForEach(element=compare(var("x"), "in", var("golds")), variable="x", iterable=var("preds")),
        {"golds": golds, "preds": preds},  # type: ignore[dict-item]
    )
    assert found == [False] * 1000


def value(name: str, expression: Expression) -> Step:
    return ValueStep(name=name, value=expression)


def program(steps: tuple[Step, ...], result: Expression) -> Program:
    return Program(
        name="p",
        inputs=fields_of(text=STR),
        outputs=fields_of(out=ANY),
        steps=steps,
        returns={"out": result},
        predictors={},
    )


def doubled(how: Callable[[Expression], Expression]) -> Program:
    steps = [value("t0", var("text"))]
    steps += [value(f"t{i}", how(var(f"t{i - 1}"))) for i in range(1, 200)]
    return program(tuple(steps), var("t199"))


def looped(body: tuple[Step, ...]) -> Step:
    return RepeatStep(name="r", times=1000, start={}, steps=body, again={}, value=const(1))


RUNS: dict[str, Program] = {
    "texts doubled": doubled(lambda t: compare(t, "+", t)),
    "lists doubled": doubled(lambda t: times(t, 2)),
    "lists nested": doubled(lambda t: times(t, 1)),
    "large texts kept": program(
        (
            value("t", const("a" * 3_000_000)),
            *(value(f"t{i}", compare(var("text"), "+", var("t"))) for i in range(200)),
        ),
        const(1),
    ),
    "loops in loops": program((looped((looped((looped(()),)),)),), const(1)),
    "fan-outs in fan-outs": program(
        (
            EachStep(
                name="e",
                variable="x",
                iterable=times(const(1), 1000),
                most=1000,
                body=NestedSteps(steps=(looped((value("v", const(1)),)),), value=const(1)),
            ),
        ),
        const(1),
    ),
}

_RUN = """
import asyncio, resource, sys
from pathlib import Path
from dspec.runtime.application import load
from dspec.runtime.errors import DspecError
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700_000_000, used + 700_000_000))
try:
    with load(Path(sys.argv[1])) as application:
        application(text="some text")
except DspecError as error:
    print("bounded:", error.message)
"""


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_bounded_in_work_and_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.dspc.json"
    path.write_text(artifact_text(Artifact(name="p", program=RUNS[name])))
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "bounded:" in done.stdout


@pytest.mark.slow
def test_evaluations_of_one_run_share_what_it_may_do() -> None:
    def much() -> None:
        for _ in range(100):
            evaluate(compare(var("big"), "+", var("big")), {"big": BIG})
            evaluate(each(var("x")), {"big": BIG})

    with SharedWork(), pytest.raises(EvaluationError, match="in one run"):
        much()
    assert Work().left == MAX_RUN_STEPS
    evaluate(each(var("x")), {"big": BIG})  # and outside, each has its own


leaves = st.one_of(
    st.integers(min_value=-(10**400), max_value=10**400).map(const),
    st.floats(allow_nan=False, allow_infinity=False).map(const),
    st.text(max_size=20).map(const),
    st.sampled_from(["big", "text", "other", "x"]).map(var),
)
OPERATORS = ["==", "<", "in", "+", "-", "*", "/", "and"]
FUNCTIONS = [
    "len",
    "str",
    "join",
    "split",
    "unique",
    "contains",
    "matches",
    "f1",
    "json_diff",
    "sum",
    "min",
    "round",
]


def grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.builds(compare, inner, st.sampled_from(OPERATORS), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: ListOfItems(items=tuple(items))),
        st.builds(each, inner),
        st.builds(times, inner, st.integers(1, 60)),
        st.builds(
            lambda name, items: call(name, *items),
            st.sampled_from(FUNCTIONS),
            st.lists(inner, min_size=1, max_size=2),
        ),
    )


@pytest.mark.slow
@given(st.recursive(leaves, grown, max_leaves=12))
@settings(deadline=None, max_examples=60)
def test_whatever_is_computed_ends_with_a_value_or_says_why(expression: Expression) -> None:
    scope: dict[str, JsonValue] = {
        "big": BIG,
        "other": [[i] for i in range(9999)],
        "text": "ab " * 50_000,
        "x": 1,
    }
    try:
        found = evaluate(expression, scope)
    except EvaluationError:
        return
    assert len(json.dumps(found)) < 60_000_000


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_any_number_text_or_nesting_in_any_place_is_taken_or_refused(data: st.DataObject) -> None:
    found = plain()
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            spots.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(found)
    node, key = data.draw(st.sampled_from(spots))
    deep: Any = 1
    for _ in range(data.draw(st.integers(0, 300))):
        deep = [deep]
    node[key] = data.draw(
        st.one_of(
            st.integers(min_value=-(10**60), max_value=10**60),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=30),
            st.just(deep),
            st.just([node[key]] * 2000),
            st.none(),
        )
    )
    with suppress(DspecError):
        parse_artifact(json.dumps(found).encode())
