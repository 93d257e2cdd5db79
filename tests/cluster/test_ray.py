"""`--engine ray`: workers in processes of their own, under a real Ray on loopback, which die in the middle of the work.

Skipped unless Ray's environment is there (`ray_environment.py` makes it, and `dev.py deep` runs that first);
`DSPEC_REQUIRE_RAY=1` turns a skip into a failure. What holds without Ray's processes is in `tests/compiler/test_executors.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulting import Project, project, requests, stats
from ray_environment import RAY
from server import spawned

pytestmark = pytest.mark.slow

MAIN = "from dspec.compiler.cli.main import main; main()"
THREADS = 32
EVAL = """
eval whole {
  program = labeller
  metric = right
  data = texts.test
  on_error = "score_zero"
}
"""


@pytest.fixture(scope="module", autouse=True)
def _ray() -> None:
    if not RAY.ready():
        missing = "Ray's environment is not made: `python tests/cluster/ray_environment.py` makes it"
        if os.environ.get("DSPEC_REQUIRE_RAY") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture
def provider() -> Iterator[str]:
    with spawned("--answer", "hashed", "--latency", "0.02") as url:
        yield url


def started(made: Project, url: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(RAY.python), "-c", MAIN, *arguments, "--threads", str(THREADS)],
        cwd=made.folder,
        env=made.environment(url, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], within: float = 300) -> tuple[str, str]:
    try:
        return process.communicate(timeout=within)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def descendants(pid: int) -> list[int]:
    """Of a process, those that are alive."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            about = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if about[0] != "Z":
            children.setdefault(int(about[1]), []).append(int(place.parent.name))
    found, waiting = [], [pid]
    while waiting:
        more = children.get(waiting.pop(), [])
        found += more
        waiting += more
    return found


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def workers(pid: int) -> list[int]:
    return [one for one in descendants(pid) if name_of(one).startswith("ray::Worker")]


def until(holds: Callable[[], bool], seconds: float = 120) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def repeats(url: str) -> int:
    """Requests that were sent though the same one had been."""
    return sum(times - 1 for times in stats(url)["asked"].values())


def with_eval(folder: Path, rows: int) -> Project:
    made = project(folder, rows=rows)
    made.source.write_text(made.source.read_text() + EVAL)
    (folder / "dspec.toml").write_text("")
    return made


def test_five_thousand_evaluations_with_a_worker_killed_are_those_of_one_process(
    tmp_path: Path, provider: str
) -> None:
    command = ("eval", "main.dspec", "whole", "--json")
    plain = with_eval(tmp_path / "plain", 5000)
    expected, said = ended(started(plain, provider, *command))
    assert expected, said
    assert len(json.loads(expected)["evals"][0]["rows"]) == 5000
    with spawned("--answer", "hashed", "--latency", "0.02") as url:
        made = with_eval(tmp_path / "cluster", 5000)
        process = started(made, url, *command, "--engine", "ray", "--workers", "2")
        try:
            assert until(lambda: requests(url) > 1500), process.poll()
            one, other = workers(process.pid)
            os.kill(one, signal.SIGKILL)
            assert until(
                lambda: len(set(workers(process.pid)) - {one, other}) == 1 or process.poll() is not None
            )
        finally:
            out, said = ended(process)
        assert process.returncode == 0, said
        assert out == expected
        assert "a worker is gone" in said
        assert repeats(url) <= THREADS
        assert requests(url) == requests(provider) + repeats(url)
        assert made.answers() == plain.answers()
        assert stats(url)["most_in_flight"] <= THREADS


def test_a_compile_with_a_worker_killed_writes_the_same_artifact(tmp_path: Path, provider: str) -> None:
    plain = project(tmp_path / "plain")
    out, said = ended(started(plain, provider, "compile", "main.dspec"))
    assert plain.artifact.exists(), said + out
    with spawned("--answer", "hashed", "--latency", "0.02") as url:
        made = project(tmp_path / "cluster")
        process = started(made, url, "compile", "main.dspec", "--engine", "ray", "--workers", "2")
        try:
            assert until(lambda: requests(url) > 200), process.poll()
            os.kill(workers(process.pid)[0], signal.SIGKILL)
        finally:
            _, said = ended(process)
        assert process.returncode == 0, said
        assert repeats(url) <= THREADS
        assert requests(url) == requests(provider) + repeats(url)
    assert made.artifact.read_bytes() == plain.artifact.read_bytes()


@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_nothing_stays_behind_a_command_that_ends_in_the_middle(
    how: str, tmp_path: Path, provider: str
) -> None:
    """By Ctrl-C in a terminal, which reaches every process of the group, or by `kill -9` of the command alone."""
    made = project(tmp_path)
    arguments = ("compile", "main.dspec", "--engine", "ray", "--workers", "2")
    process = started(made, provider, *arguments)
    try:
        assert until(lambda: requests(provider) > 100), process.poll()
        every = descendants(process.pid)
        assert len(workers(process.pid)) == 2
        if how == "interrupted":
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(process.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    finally:
        ended(process)
    if how == "interrupted":
        assert process.returncode == 130, said
        assert "stopped before the end" in said
        assert repeats(provider) == 0
    assert until(lambda: not any(name_of(pid) for pid in every), 90), [*map(name_of, every)]
    asked = requests(provider)
    _, said = ended(started(made, provider, "compile", "main.dspec"))  # in one process, from the same ledger
    assert made.artifact.exists(), said
    assert repeats(provider) <= THREADS
    assert requests(provider) > asked


def test_no_worker_or_log_has_a_key_and_nothing_listens_beyond_loopback(
    tmp_path: Path, provider: str
) -> None:
    made = project(tmp_path)
    process = started(made, provider, "compile", "main.dspec", "--engine", "ray", "--workers", "1")
    try:
        assert until(lambda: requests(provider) > 100), process.poll()
        (logs,) = Path(tempfile.gettempdir()).glob(f"dspc-ray-{process.pid}-*")
        assert logs.stat().st_mode & 0o777 == 0o700
        inodes = {
            str(link.readlink())
            for pid in [process.pid, *descendants(process.pid)]
            for link in Path(f"/proc/{pid}/fd").iterdir()
            if link.is_symlink()
        }
        listening = [
            fields[1].rpartition(":")[0]
            for table in ("tcp", "tcp6")
            for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes
        ]
        assert listening
        assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F", "0" * 24 + "01000000"}
        texts = [path.read_bytes() for path in logs.rglob("*") if path.is_file() and not path.is_symlink()]
        assert texts
        assert not any(made.environment("")["FAULTING_KEY"].encode() in text for text in texts)
    finally:
        ended(process)
    assert not logs.exists()


def test_a_cluster_that_is_there_is_used_and_left_running(tmp_path: Path, provider: str) -> None:
    plain = project(tmp_path / "plain")
    ended(started(plain, provider, "compile", "main.dspec"))
    made = project(tmp_path / "cluster")
    ray = str(RAY.python.parent / "ray")
    quiet = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path has 107 bytes at most
    head = subprocess.Popen(
        [
            ray,
            *("start", "--head", "--block", "--port", "0", "--num-cpus", "2", "--include-dashboard", "false"),
            *("--temp-dir", folder, "--object-store-memory", str(100 * 2**20)),
        ],
        env=quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert until(lambda: bool(list(Path(folder).glob("ray_current_cluster"))))
        address = (Path(folder) / "ray_current_cluster").read_text().strip()
        process = started(
            made,
            provider,
            "compile",
            "main.dspec",
            "--engine",
            f"ray://{address}",
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
        )
        _, said = ended(process)
        assert process.returncode == 0, said
        assert repeats(provider) == requests(provider) / 2  # once for each of the two compiles
        assert made.artifact.read_bytes() == plain.artifact.read_bytes()
        assert head.poll() is None
        assert until(lambda: not workers(head.pid), 30)
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.communicate(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def test_real_workers_do_as_one_process_does(tmp_path: Path) -> None:
    """The conformance kit, in Ray's environment."""
    done = subprocess.run(
        [
            *(str(RAY.python), "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-o", "addopts="),
            "--import-mode=importlib",
            *("tests/compiler/test_executors.py", "--basetemp", str(tmp_path / "kit")),
        ],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "DSPEC_EXECUTOR": "ray"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout


def test_an_address_without_a_cluster_is_said(tmp_path: Path, provider: str) -> None:
    made = project(tmp_path)
    process = started(made, provider, "compile", "main.dspec", "--engine", "ray://127.0.0.1:1")
    out, said = ended(process, 120)
    assert process.returncode == 4, said + out
    assert "Traceback" not in said
    assert "there is no Ray cluster at 127.0.0.1:1" in said
    assert requests(provider) == 0
