"""Sources that are made to be slow or large: the check takes time and memory as they are long, and says what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dspec.compiler.check.analysis import analyse
from dspec.compiler.diagnostics.render import render
from dspec.compiler.diagnostics.settings import settings_in
from dspec.compiler.optimizers.base import MOST
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.project.source import Source
from dspec.runtime.models.endpoints import resolve
from dspec.runtime.schema.program import LM

STEPS_A_CHARACTER = 60
"""Calls of Python functions that a check makes for each character of these sources, at most."""


def calls_of_check(text: str) -> int:
    """How many calls the check makes: time that no other process has a part in."""
    made = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event == "call"

    sys.setprofile(count)
    try:
        analyse(Path("bounds.dspec"), text=text)
    finally:
        sys.setprofile(None)
    return made


def twice(count: int) -> str:
    records = [f"record R{i} {{ field a: R{i - 1}; field b: R{i - 1} }}" for i in range(1, count)]
    return "\n".join(["dspec 1", "record R0 { field a: str }", *records])


def circle(count: int) -> str:
    records = [
        f"record R{i} {{ field a: R{(i + 1) % count}; field b: R{(i + 1) % count} }}" for i in range(count)
    ]
    return "\n".join(["dspec 1", *records])


def ending(count: int) -> str:
    records = [
        f"record R{i} {{ field a: {f'R{i + 1}' if i + 1 < count else 'str'}; field b: R{(i * 7) % count}? }}"
        for i in range(count)
    ]
    return "\n".join(["dspec 1", *records])


@pytest.mark.parametrize("shape", [twice, circle, ending])
def test_records_take_time_as_they_are_many(shape: object) -> None:
    assert callable(shape)
    analyse(Path("bounds.dspec"), text=shape(3))  # what is imported, and made once
    for count in (30, 400):
        text = shape(count)
        assert calls_of_check(text) < STEPS_A_CHARACTER * len(text) + 20_000


STEP = """\
dspec 1
lm l {{ model = "embedded/icl" }}
module m = Predict(sig(a -> b), lm = l)
dataset d {{ source = jsonl("d.jsonl"); input a: str; field b: str; split {{ train = 50%; val = 50% }} }}
metric k(gold: d, pred: m) = gold.b == pred.b
optimize o {{ program = m; metric = k; train = d.train; val = d.val; step s = {step} }}
"""
COUNTS = [
    (name, option.name) for name, spec in SPECS.items() for option in spec.options if option.type == "int"
]


@pytest.mark.parametrize(("optimizer", "option"), COUNTS)
def test_what_an_option_counts_has_an_upper_bound(optimizer: str, option: str) -> None:
    for number in (20_000_000, 10**30):
        found = analyse(
            Path("bounds.dspec"), text=STEP.format(step=f"{optimizer}({option} = {number})"), probe=False
        ).diagnostics
        assert any(f"`{option}`" in one.message for one in found), [one.message for one in found]
    known = SPECS[optimizer].option(option)
    assert known is not None
    assert known.most is not None
    assert known.most <= MOST


def test_the_largest_counts_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"a": "x", "b": "y"}\n' * 50)
    (tmp_path / "main.dspec").write_text(
        STEP.format(step="BootstrapFewShotWithRandomSearch(num_candidate_programs = 100000)")
    )
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from dspec.compiler.check.analysis import analyse\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000, used + 250_000_000))\n"
        "analyse(Path(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "main.dspec")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("setting", ["retry", "max_tokens", "seed", "rpm", "tpm", "max_parallel"])
def test_whole_numbers_have_bounds(setting: str) -> None:
    text = f'dspec 1\nlm l {{ model = "openai/x"; {setting} = {10**40} }}\nmodule m = Predict(sig(a -> b), lm = l)\n'
    assert any(one.code == "DS0115" for one in analyse(Path("bounds.dspec"), text=text).diagnostics)


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 20_000) + " = 1",
        "[" + ".".join("a" * 20_000) + "]",
        "a = {" + " . ".join(["b"] * 9_000) + " = 1}",
        "'a'" + ".'a'" * 10_000 + " = 1",
    ],
)
def test_a_setting_of_many_parts_is_refused_at_once(text: str) -> None:
    made = 0

    def count(_frame: object, _event: str, _argument: object) -> None:
        nonlocal made
        made += 1

    sys.setprofile(count)
    try:
        found = settings_in(Source(Path("dspec.toml"), "dspec.toml", text))
    finally:
        sys.setprofile(None)
    assert len(found.problems) == 1
    assert made < 5_000


def test_a_secret_that_is_found_is_not_shown() -> None:
    secret = "sk-4f9a8b7c6d5e-not-for-logs"
    text = f'dspec 1\nlm l {{ model = "openai/x"; api_key = "{secret}"; speed = 1 }}\nmodule m = Predict(sig(a -> b), lm = l)\n'
    found = analyse(Path("bounds.dspec"), text=text).diagnostics
    assert {"DS0705"} < {one.code for one in found}
    shown = render(list(found), colour=False, unicode=True, width=200)
    assert secret not in shown
    assert f'api_key = "{"*" * len(secret)}"' in shown
    assert all(
        secret not in one.message + one.help + str(one.notes) + str([fix.title for fix in one.fixes])
        for one in found
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://s3cr3t-token@models.example/v1",
        "https://user:s3cr3t-token@models.example/v1",
        "https://models.example/v1?key=s3cr3t-token",
        "https://models.example/8f3a9c5e1b7d4f2a8f3a9c5e1b/v1",
        "https://models.example/8f3a9c5e-1b7d-4f2a-8f3a-9c5e1b000000/v1",
    ],
)
def test_a_token_in_an_address_is_not_shown(address: str) -> None:
    endpoint = resolve(
        LM(name="l", model="openai/x", api_base_env="URL"), {"URL": address, "OPENAI_API_KEY": "some-key"}
    )
    for text in (
        endpoint.shown,
        endpoint.scrub(f"cannot connect to {address}/chat/completions"),
        repr(endpoint),
    ):
        assert "s3cr3t" not in text
        assert "8f3a9c5e" not in text
    assert "models.example" in endpoint.shown
