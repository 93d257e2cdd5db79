"""A large model's program distilled into a small one, and prompts tuned before weights: the second example, from end to end.

The large model's stand-in counts what it was asked on loopback, so that the money is that of calls which were made.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "cluster"))
from ray_environment import RAY
from test_real_training import ENVIRONMENT, EXAMPLE, PYTHON, artifact, dspc, pytestmark

__all__ = ["pytestmark"]
CHAIN = """
lm writer { model = "embedded/icl"; max_tokens = 200 }

optimize chained {
  program = sorter
  metric = right
  train = notes.train
  val = notes.val
  seed = 9
  on_error = "score_zero"
  prompt_lm = writer
  step prompts = MIPROv2(auto = none, num_candidates = 3, num_trials = 4, max_bootstrapped_demos = 1, max_labeled_demos = 1, teacher = taught)
  step weights = BootstrapFinetune(teacher = taught)
}
"""
PRICE = {"input_tokens": 2.5e-6, "output_tokens": 10e-6}
"""USD a token, as the example has it."""


class Project(NamedTuple):
    folder: Path
    url: str

    def counted(self) -> dict[str, int]:
        """What the large model's stand-in was asked so far."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=20) as response:
            return json.load(response)

    def spent(self, *arguments: str) -> tuple[dict[str, Any], float, int]:
        """What a command says, the USD that its calls of the large model come to, and how many those were."""
        before = self.counted()
        said = dspc(self.folder, *arguments, "--json")
        told, _ = json.JSONDecoder().raw_decode(said, said.index("{"))
        took = {name: number - before[name] for name, number in self.counted().items()}
        return told, sum(took[name] * each for name, each in PRICE.items()), took["calls"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("distilled") / "notes"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("compiled", ".dspec", "checkpoints"))
    (folder / "dspec.toml").write_text("")
    source = folder / "distilled.dspec"
    source.write_text(source.read_text() + CHAIN)
    made = [str(PYTHON), "tiny.py", "checkpoints/tiny", str(EXAMPLE / "distilled.dspec"), "data/notes.csv"]
    subprocess.run(made, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, timeout=240)
    spec = importlib.util.spec_from_file_location("large", folder / "large.py")
    assert spec is not None
    assert spec.loader is not None
    large: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(large)
    with large.Large(0, folder / "data" / "notes.csv") as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(ENVIRONMENT, "LARGE_BASE", f"{url}/v1")
            yield Project(folder, url)
        server.shutdown()
        serving.join()


def test_the_small_model_does_for_nothing_what_the_large_one_did_for_money(
    project: Project, tmp_path: Path
) -> None:
    told, usd, calls = project.spent("compile", "distilled.dspec", "taught")
    (taught,) = told["compiled"]
    assert calls > 0
    assert taught["cost_usd"] == pytest.approx(usd, abs=5e-5)
    assert taught["baseline"]["score"] < 0.9
    assert taught["final"]["score"] == 1.0

    told, teaching, calls = project.spent("compile", "distilled.dspec", "distilled")
    distilled = told["compiled"][-1]
    assert calls == 200, "each row of train once"
    assert distilled["cost_usd"] == pytest.approx(teaching, abs=5e-5)
    assert distilled["final"]["score"] >= 0.7
    (trained,) = artifact(project.folder, "distilled")["provenance"]["training"]
    assert (trained["rows"], trained["cost_usd"]) == (200, 0.0)

    # Where no answer is kept, and the artifacts are.
    fresh = Project(tmp_path / "notes", project.url)
    shutil.copytree(project.folder, fresh.folder, ignore=shutil.ignore_patterns(".dspec"))
    _, usd, calls = fresh.spent("eval", "distilled.dspec", "large_side")
    each = usd / calls
    assert calls == 60
    assert each > 0
    _, usd, calls = fresh.spent("eval", "distilled.dspec", "small_side")
    assert (usd, calls) == (0.0, 0)
    # Without demos in what the student learns from, teaching costs as much as that many answers of the large model.
    assert teaching / each == pytest.approx(200, rel=0.05)


def test_prompts_then_weights(project: Project) -> None:
    """MIPROv2, then BootstrapFinetune: the weights learn the prompt that was chosen, and nothing is paid or trained twice."""
    told = dspc(project.folder, "compile", "distilled.dspec", "chained")
    assert "step 1/2 prompts: MIPROv2" in told
    assert "step 2/2 weights: BootstrapFinetune" in told
    found = artifact(project.folder, "chained")
    assert found["scores"]["val"]["score"] >= 0.7
    (record,) = found["provenance"]["training"]
    assert record["model"] == "small+tuned"
    (predictor,) = found["program"]["predictors"].values()
    instruction = predictor["signature"]["instruction"]
    (rows,) = [
        path
        for path in (project.folder / ".dspec" / "training").glob("*/rows.jsonl")
        if json.loads((path.parent / "job.json").read_text())["model"] == found["weights"][0]["sha256"]
    ]
    chats = [json.loads(line)["messages"] for line in rows.read_text().splitlines()]
    assert len(chats) == record["rows"] > 100
    assert all(instruction in chat[0]["content"] for chat in chats)
    before, content = project.counted(), (project.folder / "compiled" / "chained.dspc.json").read_bytes()
    shutil.rmtree(project.folder / ".dspec" / "compiles")
    (project.folder / "compiled" / "chained.dspc.json").unlink()
    assert "was trained on these" in dspc(project.folder, "compile", "distilled.dspec", "chained")
    assert (project.folder / "compiled" / "chained.dspc.json").read_bytes() == content
    assert project.counted() == before


def test_a_training_on_a_worker_of_ray_gives_the_same_bytes(project: Project, tmp_path: Path) -> None:
    """Ray is in an environment of its own, whose packages are lent to that of what trains."""
    if not RAY.ready():
        pytest.skip("Ray's environment is not made: `python tests/cluster/ray_environment.py` makes it")
    folder = tmp_path / "notes"
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    dspc(project.folder, "compile", "distilled.dspec", "distilled")
    (packages,) = RAY.folder.glob("lib/python*/site-packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PYTHONPATH", str(packages))
        said = dspc(folder, "compile", "distilled.dspec", "distilled", "--engine", "ray", "--workers", "1")
    assert "epoch 14 of 14" in said
    jobs = [json.loads(path.read_text()) for path in (folder / ".dspec" / "training").glob("*/job.json")]
    assert [job["state"] for job in jobs] == ["done"]
    place = Path("compiled") / "distilled.dspc.json"
    assert (folder / place).read_bytes() == (project.folder / place).read_bytes()
    (weights,) = folder.glob("compiled/distilled.weights-*/model.safetensors")
    assert weights.read_bytes() == (project.folder / weights.relative_to(folder)).read_bytes()
