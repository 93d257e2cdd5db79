"""Real training and real answers, on a tiny checkpoint with random weights and the CPU: the example, from end to end."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples" / "finetuning"


def _environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("finetuning_environment", HERE / "torch_environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PYTHON = _environment().ready()
DSPC = [str(PYTHON), "-c", "from dspec.compiler.cli.main import main; main()"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("training"),
    pytest.mark.skipif(
        PYTHON is None, reason="what trains is not installed: python tests/finetuning/torch_environment.py"
    ),
]
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1"}
BLOCKS = """
optimize together {
  program = sorter
  metric = right
  train = notes.train
  val = notes.val
  seed = 9
  on_error = "score_zero"
  step both = BetterTogether(
    p = LabeledFewShot(k = 1),
    w = BootstrapFinetune(teacher = taught, exclude_demos = true),
  )
}

optimize again {
  program = sorter
  metric = right
  train = notes.train
  val = notes.val
  seed = 10
  step weights = BootstrapFinetune(teacher = taught)
}

# The weights that were tuned whole, tuned once more with LoRA.
optimize above {
  program = tuned
  metric = right
  train = notes.train
  val = notes.val
  seed = 11
  step more = BootstrapFinetune(teacher = taught)
}
"""


def dspc(folder: Path, *arguments: str, code: int | None = 0) -> str:
    done = subprocess.run(
        [*DSPC, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    said = done.stdout + done.stderr
    assert code is None or done.returncode == code, said
    return said


def artifact(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / "compiled" / f"{name}.dspc.json").read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its blocks compiled once."""
    folder = tmp_path_factory.mktemp("notes") / "notes"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("compiled", ".dspec", "checkpoints"))
    (folder / "dspec.toml").write_text("")
    source = folder / "notes.dspec"
    source.write_text(source.read_text() + BLOCKS)
    made = [str(PYTHON), "tiny.py", "checkpoints/tiny", str(EXAMPLE / "notes.dspec"), "data/notes.csv"]
    subprocess.run(made, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, timeout=120)
    dspc(folder, "compile", "notes.dspec", "tuned")
    return folder


def test_the_small_model_learns_what_the_large_one_showed(project: Path) -> None:
    found = artifact(project, "tuned")
    assert found["scores"]["val"]["score"] >= 0.8
    (record,) = found["provenance"]["training"]
    assert record["rows"] > 100
    assert record["cost_usd"] == 0.0
    assert list(found["program"]["lms"]) == ["small+tuned"]
    said = json.loads(dspc(project, "eval", "notes.dspec", "ship", "--json", code=None))
    assert json.dumps(said).count("baseline") > 0


def test_a_second_compile_trains_nothing_and_gives_the_same_bytes(project: Path) -> None:
    before = (project / "compiled" / "tuned.dspc.json").read_bytes()
    jobs = {path: path.read_bytes() for path in (project / ".dspec" / "training").glob("*/job.json")}
    shutil.rmtree(project / "compiled")
    assert "was trained on these" in dspc(project, "compile", "notes.dspec", "tuned")
    assert (project / "compiled" / "tuned.dspc.json").read_bytes() == before
    assert {path: path.read_bytes() for path in (project / ".dspec" / "training").glob("*/job.json")} == jobs


def moved(project: Path, folder: Path) -> Path:
    shutil.copytree(project / "compiled", folder / "elsewhere")
    return folder / "elsewhere" / "tuned.dspc.json"


def test_an_artifact_that_was_moved_loads_and_answers(project: Path, tmp_path: Path) -> None:
    place = moved(project, tmp_path)
    said = dspc(tmp_path, "run", str(place), "--input", "text=my parcel that you promised", "--json")
    assert json.loads(said) == {"topic": "shipping"}


@pytest.mark.parametrize("how", ["changed", "cut", "gone", "more", "away"])
def test_weights_that_are_not_as_they_were_are_refused(project: Path, tmp_path: Path, how: str) -> None:
    place = moved(project, tmp_path)
    folder = next(place.parent.glob("tuned.weights-*"))
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    match how:
        case "changed":
            file.write_bytes(data)
        case "cut":
            file.write_bytes(data[:-8])
        case "gone":
            (folder / "tokenizer.json").unlink()
        case "more":
            (folder / "extra.json").write_text("{}")
        case _:
            shutil.rmtree(folder)
    said = dspc(tmp_path, "run", str(place), "--input", "text=my parcel", code=None)
    assert "weights" in said
    assert "Traceback" not in said
    assert "shipping" not in said


def test_a_compile_that_was_killed_goes_on_with_the_last_epoch(project: Path) -> None:
    """The process that trains ends with the compile; the next one takes up its state, and trains less."""
    before = set((project / ".dspec" / "training").iterdir())
    running = subprocess.Popen(
        [*DSPC, "compile", "notes.dspec", "again"],
        cwd=project,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pid, until = 0, time.monotonic() + 300
    try:
        while True:
            assert time.monotonic() < until
            assert running.poll() is None
            for folder in set((project / ".dspec" / "training").iterdir()) - before:
                if any(folder.glob("work/checkpoint-*/trainer_state.json")):
                    pid = json.loads((folder / "job.json").read_text())["pid"]
            if pid:
                break
            time.sleep(0.02)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists(), "nothing trains for nobody"
    told = dspc(project, "compile", "notes.dspec", "again")
    assert "epoch 14 of 14" in told
    assert "epoch 1 of 14" not in told
    assert artifact(project, "again")["scores"]["val"]["score"] >= 0.8


def test_prompts_weights_prompts(project: Path) -> None:
    told = dspc(project, "compile", "notes.dspec", "together")
    assert "p -> w -> p" in told
    found = artifact(project, "together")
    assert found["scores"]["val"]["score"] >= 0.7
    assert [one["model"] for one in found["provenance"]["training"]] == ["small+tuned"]


def test_lora_on_top_of_what_whole_weights_gave(project: Path) -> None:
    source = (project / "notes.dspec").read_text()
    try:
        settings = 'method = "lora"; rank = 8; epochs = 2; learning_rate = 0.001; batch_size = 8'
        old = 'method = "full"; epochs = 14; learning_rate = 0.003; batch_size = 8'
        assert old in source
        # With other settings the first block would be trained anew: its result is taken from the file.
        changed = source.replace(old, settings).replace(
            "program = tuned\n  metric = right\n  train = notes.train\n  val = notes.val\n  seed = 11",
            'program = artifact("compiled/tuned.dspc.json")\n  metric = right\n  train = notes.train\n  val = notes.val\n  seed = 11',
        )
        (project / "notes.dspec").write_text(changed)
        told = dspc(project, "compile", "notes.dspec", "above")
    finally:
        (project / "notes.dspec").write_text(source)
    assert "lora" in told
    # No worse than it was: where it is no better, the program that it started from is kept.
    assert (
        artifact(project, "above")["scores"]["val"]["score"]
        >= artifact(project, "tuned")["scores"]["val"]["score"]
    )


def test_a_served_model_gives_the_answers_of_the_process(project: Path) -> None:
    folder = next((project / "compiled").glob("tuned.weights-*"))
    server = subprocess.Popen(
        [
            *DSPC,
            "serve-model",
            str(folder),
            "--port",
            "0",
            "--name",
            "notes",
        ],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        line = ""
        while "is served at" not in line:
            line = server.stderr.readline()
            assert line, "it ended"
        base = line.split(" is served at ")[1].split()[0]
        source = json.loads((project / "compiled" / "tuned.dspc.json").read_text())
        assert source["name"] == "tuned"
        rows = next(
            path
            for path in (project / ".dspec" / "training").glob("*/rows.jsonl")
            if json.loads((path.parent / "job.json").read_text())["model"] == source["weights"][0]["sha256"]
        )
        right = 0
        chats = [json.loads(one)["messages"] for one in rows.read_text().splitlines()[:10]]
        for chat in chats:
            body = {"model": "notes", "messages": chat[:-1], "max_tokens": 40, "temperature": 0}
            answer = asked(f"{base}/chat/completions", body)
            right += answer["choices"][0]["message"]["content"] == chat[-1]["content"]
            assert answer["usage"]["total_tokens"] > 50
        assert right >= 8
        for body in (
            {},
            {"messages": []},
            {"messages": [{"role": "x", "content": "y"}]},
            {"messages": chats[0], "n": 2},
            [],
        ):
            with pytest.raises(urllib.error.HTTPError) as failure:
                asked(f"{base}/chat/completions", body)
            assert failure.value.code == 400
            failure.value.close()
        long = {"messages": [{"role": "user", "content": "parcel " * 2000}]}
        with pytest.raises(urllib.error.HTTPError) as failure:
            asked(f"{base}/chat/completions", long)
        assert failure.value.code == 400
        failure.value.close()
    finally:
        server.kill()
        server.wait()
        assert server.stderr is not None
        server.stderr.close()


def asked(url: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def test_updates_make_the_right_answers_likelier(project: Path, tmp_path: Path) -> None:
    """GRPO's update alone, on the rows that are drawn from, whose odds are reckoned exactly."""
    rows = next((project / ".dspec" / "training").glob("*/rows.jsonl"))
    script = HERE / "likelier.py"
    done = subprocess.run(
        [str(PYTHON), str(script), str(project / "checkpoints" / "tiny"), str(rows), str(tmp_path)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for method in ("full", "lora"):
        found = json.loads(done.stdout.splitlines()[-1])[method]
        assert found["after"] > found["before"] + 0.02, found
        assert found["again"] == pytest.approx(found["after"], abs=1e-3), (
            "what was written is what was trained"
        )
        assert found["resumed"] == pytest.approx(found["on"], abs=1e-3), (
            "with the optimizer's state, as if never ended"
        )
