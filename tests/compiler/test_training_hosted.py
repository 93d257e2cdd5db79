"""Training at a provider, against one on loopback: what goes wrong is gone on with, or said, and nothing is trained twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dspc import dspc
from tuning_server import Provider, provider

from dspec.compiler import ir
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.optimizers.training import jobs, service
from dspec.compiler.optimizers.training.base import Trained, TrainingFailed
from dspec.compiler.optimizers.training.hosted import HostedTrainer
from dspec.compiler.optimizers.training.service import Training, TrainingPurse
from dspec.runtime.errors import BudgetExceeded, ConfigurationError, NotSet, ProviderError, Refused, Stopped
from dspec.runtime.models.protocol import Message
from dspec.runtime.schema.program import LM

CHATS = [
    (Message("system", "Say it."), Message("user", f"which {n}?"), Message("assistant", f"número {n} 🦉"))
    for n in range(12)
]
KEY = "sk-test-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(service, "TRAINERS", {"hosted": HostedTrainer(every=0.01, patience=60)})


@pytest.fixture
def server() -> Iterator[Provider]:
    with provider() as made:
        yield made


def lm(server: Provider) -> LM:
    return LM(
        name="mini", model="openai/gpt-4o-mini-2024-07-18", api_base=server.url, api_key_env="OPENAI_API_KEY"
    )


async def train(
    folder: Path, server: Provider, *, settings: ir.TrainSettings | None = None, **options: object
) -> Trained:
    stopped = options.pop("stopped", lambda: False)
    made = Training(folder, {"mini": settings or ir.TrainSettings(price=3.0)}, stopped=stopped)  # type: ignore[arg-type]
    return await made.train(lm(server), CHATS, seed=7, **options)  # type: ignore[arg-type]


def kept(folder: Path) -> jobs.TrainingJob:
    return next(job for _, job in jobs.listed(folder))


async def test_rows_are_uploaded_and_the_job_is_waited_for(tmp_path: Path, server: Provider) -> None:
    said: list[str] = []
    found = await train(tmp_path, server, settings=ir.TrainSettings(epochs=2, price=3.0), tell=said.append)
    assert found.model == "openai/ft:gpt-4o-mini-2024-07-18:org:dspec:ftjob-1"
    assert found.weights is None
    rows = [json.loads(line)["messages"] for line in next(iter(server.files.values())).decode().splitlines()]
    assert rows == [[{"role": one.role, "content": one.content} for one in chat] for chat in CHATS]
    assert server.jobs["ftjob-1"]["hyperparameters"] == {"n_epochs": 2}
    assert server.keys == {f"Bearer {KEY}"}
    assert any("ftjob-1 is running" in one for one in said)
    job = kept(tmp_path)
    assert (job.state, job.id, job.trained, job.usd) == ("done", "ftjob-1", 1200, 1200 * 3.0 / 1e6)
    assert KEY not in (tmp_path / jobs.FOLDER / job.key[:32] / "job.json").read_text()


async def test_what_was_trained_is_not_trained_again(tmp_path: Path, server: Provider) -> None:
    first = await train(tmp_path, server)
    paid: list[float | None] = []
    purse = TrainingPurse(lambda usd, _: paid.append(usd), lambda usd: None)
    assert (await train(tmp_path, server, purse=purse)).model == first.model
    assert (server.created, paid) == (1, [])
    await train(tmp_path, server, settings=ir.TrainSettings(epochs=9))
    assert server.created == 2


@pytest.mark.parametrize("at", ["POST /files", "GET /fine_tuning/jobs/ftjob-1"])
async def test_a_provider_that_is_away_for_a_while_is_asked_again(
    tmp_path: Path, server: Provider, at: str
) -> None:
    server.faults += [(at, 503), (at, 429), (at, 500)]
    await train(tmp_path, server)
    assert server.created == 1


async def test_a_job_whose_answer_was_lost_is_found_among_the_providers(
    tmp_path: Path, server: Provider
) -> None:
    server.faults.append(("POST /fine_tuning/jobs", 0))
    await train(tmp_path, server)
    assert server.created == 1
    assert "GET /fine_tuning/jobs" in server.asked


NONSENSE = ["<html>it works</html>", '{"hello": 1}', "[1]", '{"id":']


@pytest.mark.parametrize("nonsense", ["", *NONSENSE])
async def test_an_upload_whose_answer_is_lost_is_found_among_the_files(
    tmp_path: Path, server: Provider, nonsense: str
) -> None:
    server.faults.append(("POST /files", nonsense or 0))
    await train(tmp_path, server)
    assert [*server.files] == ["file-1"]
    assert server.jobs["ftjob-1"]["training_file"] == "file-1"


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_an_upload_that_is_answered_with_nonsense_ends_and_names_what_is_left(
    tmp_path: Path, server: Provider, nonsense: str
) -> None:
    server.faults += [("POST /files", nonsense)] * 9 + [("GET /files", nonsense)] * 9
    with pytest.raises(ProviderError, match="the provider's answer cannot be read") as failure:
        await train(tmp_path, server)
    assert server.asked.count("POST /files") == 3
    assert f"may have files `{kept(tmp_path).key[:16]}.jsonl` that nothing uses" in failure.value.help
    assert {*server.names.values()} == {f"{kept(tmp_path).key[:16]}.jsonl"}
    server.faults = [("POST /files", nonsense)]  # the next command finds all three beside its own
    await train(tmp_path, server)
    assert ([*server.files], server.created) == (["file-1"], 1)


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_a_job_that_is_answered_with_nonsense_is_found_or_ends(
    tmp_path: Path, server: Provider, nonsense: str
) -> None:
    server.faults.append(("POST /fine_tuning/jobs", nonsense))
    await train(tmp_path, server)
    assert server.created == 1
    empty = '{"object": "list", "data": [], "has_more": false}'
    server.faults = [("POST /fine_tuning/jobs", nonsense)] * 9 + [("GET /fine_tuning/jobs", empty)] * 9
    with pytest.raises(ProviderError, match="the provider's answer cannot be read") as failure:
        await train(tmp_path, server, settings=ir.TrainSettings(epochs=2))
    assert server.created == 4
    assert "the provider may have jobs of the file `file-2`" in failure.value.help


async def test_polling_that_never_answers_ends_with_a_job_that_is_found_again(
    tmp_path: Path, server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await train(tmp_path / "warm", server)  # so that importing LiteLLM takes none of the patience
    server.jobs.clear()
    server.files.clear()
    monkeypatch.setattr(service, "TRAINERS", {"hosted": HostedTrainer(every=0.01, patience=0.3)})
    server.faults += [("GET /fine_tuning/jobs/ftjob-1", 503)] * 200
    with pytest.raises(ProviderError) as failure:
        await train(tmp_path, server)
    assert "ftjob-1" in failure.value.help
    assert "nothing is trained twice" in failure.value.help
    server.faults.clear()
    assert (await train(tmp_path, server)).model.endswith("ftjob-1")
    assert server.created == 1
    assert len(server.files) == 1


async def test_a_job_that_the_provider_knows_no_more_can_be_given_up(
    tmp_path: Path, server: Provider
) -> None:
    server.looks = 10**6
    with pytest.raises(Stopped):
        await train(tmp_path, server, stopped=lambda: len(server.asked) > 6)
    server.faults += [("GET /fine_tuning/jobs/ftjob-1", 404), ("POST /fine_tuning/jobs/ftjob-1/cancel", 404)]
    with pytest.raises(Refused) as failure:
        await train(tmp_path, server)
    job = kept(tmp_path)
    assert f"`dspc training FILE {job.key[:12]} --cancel` gives it up" in failure.value.help
    assert job.state == "running"  # nothing is paid again before somebody says so
    folder, job = next(iter(jobs.listed(tmp_path)))
    trainer, task = service.task_of(folder, job, lm(server))
    await trainer.cancel(task)
    server.looks = 0
    assert (await train(tmp_path, server)).model.endswith("ftjob-2")


async def test_a_refused_upload_says_why(tmp_path: Path, server: Provider) -> None:
    server.faults.append(("POST /files", 400))
    with pytest.raises(TrainingFailed, match="not today"):
        await train(tmp_path, server)
    assert (server.created, kept(tmp_path).state) == (0, "failed")
    await train(tmp_path, server)
    assert server.created == 1


async def test_a_key_that_is_not_accepted_is_no_failed_training(tmp_path: Path, server: Provider) -> None:
    server.faults.append(("POST /files", 401))
    with pytest.raises(ProviderError, match="key was not accepted"):
        await train(tmp_path, server)
    assert kept(tmp_path).state == "new"


@pytest.mark.parametrize(("ends", "says"), [("failed", "row 3 is unsafe"), ("cancelled", "was cancelled")])
async def test_a_job_that_comes_to_nothing_says_so_and_is_begun_anew(
    tmp_path: Path, server: Provider, ends: str, says: str
) -> None:
    server.ends = ends
    with pytest.raises(TrainingFailed, match=says):
        await train(tmp_path, server)
    server.ends = "succeeded"
    assert (await train(tmp_path, server)).model.endswith("ftjob-2")


@pytest.mark.parametrize("named", ["ft:x\x1b[31m", "https://elsewhere/v1", "ft:" + "x" * 5000])
async def test_a_model_that_cannot_be_asked_is_a_failed_training(
    tmp_path: Path, server: Provider, named: str
) -> None:
    server.tuned = named
    with pytest.raises(TrainingFailed, match="is not the name of a model"):
        await train(tmp_path, server)
    server.tuned = ""
    assert (await train(tmp_path, server)).model.endswith("ftjob-2")


async def test_a_stop_leaves_the_job_at_the_provider(tmp_path: Path, server: Provider) -> None:
    server.looks = 10**6
    with pytest.raises(Stopped, match="ftjob-1 goes on at the provider"):
        await train(tmp_path, server, stopped=lambda: len(server.asked) > 6)
    server.looks = 0
    assert (await train(tmp_path, server)).model.endswith("ftjob-1")
    assert server.created == 1


async def test_a_killed_process_is_gone_on_with(tmp_path: Path, server: Provider) -> None:
    server.looks = 10**6
    script = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from dspec.compiler import ir
        from dspec.compiler.optimizers.training import service
        from dspec.compiler.optimizers.training.hosted import HostedTrainer
        from dspec.runtime.models.protocol import Message
        from dspec.runtime.schema.program import LM
        service.TRAINERS = {"hosted": HostedTrainer(every=0.05)}
        lm = LM(name="mini", model="openai/gpt-4o-mini-2024-07-18", api_base=sys.argv[2], api_key_env="OPENAI_API_KEY")
        chats = [(Message("system", "Say it."), Message("user", f"which {n}?"), Message("assistant", f"número {n} 🦉")) for n in range(12)]
        made = service.Training(Path(sys.argv[1]), {"mini": ir.TrainSettings(price=3.0)})
        asyncio.run(made.train(lm, chats, seed=7))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), server.url], env=dict(os.environ)
    )
    try:
        until = time.monotonic() + 60
        while not any("GET /fine_tuning/jobs/ftjob-1" in one for one in server.asked):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    server.looks = 0
    assert (await train(tmp_path, server)).model.endswith("ftjob-1")
    assert (server.created, len(server.files)) == (1, 1)


async def test_the_wall_pays_before_a_training_begins(tmp_path: Path, server: Provider) -> None:
    settings = ir.TrainSettings(epochs=2, price=1_000.0)
    poor = Wall(ir.Budget(usd=0.01))
    with pytest.raises(BudgetExceeded, match="training openai/gpt-4o-mini"):
        await train(tmp_path, server, settings=settings, purse=TrainingPurse(poor.take, poor.give_back))
    assert server.asked == []
    rich = Wall(ir.Budget(usd=10.0))
    found = await train(tmp_path, server, settings=settings, purse=TrainingPurse(rich.take, rich.give_back))
    assert found.job.usd == pytest.approx(1.2)  # 1,200 tokens, as the provider counted them
    assert rich.spent.usd == pytest.approx(1.2)


async def test_a_training_that_is_gone_on_with_gives_no_money_back(tmp_path: Path, server: Provider) -> None:
    settings = ir.TrainSettings(epochs=20, price=1_000.0)
    server.looks = 10**6
    with pytest.raises(Stopped):
        await train(tmp_path, server, settings=settings, stopped=lambda: len(server.asked) > 6)
    server.looks = 0
    wall = Wall(ir.Budget(usd=10.0))
    found = await train(tmp_path, server, settings=settings, purse=TrainingPurse(wall.take, wall.give_back))
    assert found.job.usd == pytest.approx(1.2)
    assert wall.spent.usd == 0  # it was paid by the compile that began it


async def test_a_price_that_nobody_knows_is_no_budget_in_money(tmp_path: Path, server: Provider) -> None:
    wall = Wall(ir.Budget(usd=10.0))
    with pytest.raises(ConfigurationError, match="nobody knows what training"):
        await train(
            tmp_path, server, settings=ir.TrainSettings(), purse=TrainingPurse(wall.take, wall.give_back)
        )
    assert (await train(tmp_path, server, settings=ir.TrainSettings())).job.usd is None


async def test_what_is_missing_is_said_before_anything_is_paid(
    tmp_path: Path, server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Training(tmp_path, {})
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(NotSet, match="OPENAI_API_KEY"):
        made.ready(lm(server))
    with pytest.raises(ConfigurationError, match="nothing here can train anthropic/claude"):
        made.ready(LM(name="other", model="anthropic/claude-haiku-4-5"))


async def test_a_journal_that_is_damaged_is_begun_anew(tmp_path: Path, server: Provider) -> None:
    await train(tmp_path, server)
    place = next(folder for folder, _ in jobs.listed(tmp_path)) / "job.json"
    for text in ("", "{", '{"key": 3}', "[]", place.read_text().replace(kept(tmp_path).key, "0" * 64)):
        place.write_text(text)
        created = server.created
        await train(tmp_path, server)
        assert server.created == created + 1


async def test_a_training_that_is_done_is_not_ended(tmp_path: Path, server: Provider) -> None:
    (tmp_path / "main.dspec").write_text('dspec 1\nlm mini { model = "openai/gpt-4o-mini-2024-07-18" }\n')
    await train(tmp_path / ".dspec", server)
    key = kept(tmp_path / ".dspec").key
    told = dspc("training", "main.dspec", key[:8], "--cancel", cwd=tmp_path)
    assert told.code == 2, told.text
    assert f"{key[:12]} is done" in told.err
    await train(tmp_path / ".dspec", server)
    assert server.created == 1
