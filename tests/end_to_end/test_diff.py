"""`dspc diff`: two artifacts, files or revisions; what is told, which exit codes there are, and what git must not be made to do."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import published
import pytest
from dspc import Result, dspc
from reported import ENVIRONMENT, on_provider, put

from dspec.runtime.artifact.artifact import read_artifact, write_artifact
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import STR, OneOf

ARTIFACT = "compiled/tuned.dspc.json"


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false")
    command = ["git", *settings, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two compiles: the first is `first.dspc.json`, and committed; the second has another instruction, and stands in the place."""
    folder = tmp_path_factory.mktemp("differing")
    (first,) = on_provider(folder, ("compile", "main.dspec"))
    assert first.code == 0, first.text
    shutil.copy(folder / ARTIFACT, folder / "first.dspc.json")
    git(folder, "init", "-q")
    git(folder, "add", ARTIFACT)
    git(folder, "commit", "-qm", "first")
    url = next(line for line in (folder / "main.dspec").read_text().splitlines() if "api_base" in line)
    put(folder, url.split('api_base = "')[1].split('"')[0], "Say which label the text has.")
    second = _again(folder)
    assert second.code == 0, second.text
    return folder


def _again(folder: Path) -> Result:
    """The second compile, whose provider is at the same address as the first."""
    import asyncio

    from reported import KEY, answered
    from server import FakeServer

    port = int((folder / "main.dspec").read_text().split("127.0.0.1:")[1].split("/")[0])

    async def run() -> Result:
        server = FakeServer(answered, key=KEY)
        await server.start(port)
        try:
            return await asyncio.to_thread(dspc, "compile", "main.dspec", cwd=folder, **ENVIRONMENT)
        finally:
            await server.stop()

    return asyncio.run(run())


def diff(project: Path, *arguments: str, **more: str) -> Result:
    return dspc("diff", *arguments, cwd=project, **{**ENVIRONMENT, **more})


def as_json(project: Path, *arguments: str) -> dict[str, Any]:
    done = diff(project, *arguments, "--json")
    assert done.code == 0, done.text
    return published.read("diff", done.out)


def test_scores_rows_and_prompts_are_compared(project: Path) -> None:
    found = as_json(project, "first.dspc.json", ARTIFACT)
    assert (found["before"], found["after"]) == ("first.dspc.json", "tuned.dspc.json")
    assert (found["breaking"], found["contract"]) == (False, [])
    ship, val = found["rows"]
    assert (ship["title"], ship["rows"], val["title"], val["rows"]) == ("eval ship", 18, "val", 12)
    pair = val["comparison"]
    assert pair["better"] + pair["worse"] + pair["same"] == val["compared"]
    assert len(val["flipped"]) == pair["better"] + pair["worse"]
    assert all(one["before"]["score"] != one["after"]["score"] for one in ship["flipped"] + val["flipped"])
    (score,) = found["scores"]
    assert score["same_rows"] is True
    assert pair["difference"] == pytest.approx(score["after"]["score"] - score["before"]["score"], abs=1e-5)
    (prompt,) = found["prompts"]
    kinds = {span["kind"] for span in prompt["texts"][0]["spans"]}
    assert kinds == {"same", "gone", "new"}
    assert {demo["state"] for demo in prompt["demos"]} <= {"kept", "gone", "new"}
    assert val["per_run"]["after"]["cost_usd"] > 0


def test_people_see_both_sides(project: Path) -> None:
    done = diff(project, "first.dspc.json", ARTIFACT)
    assert done.code == 0
    assert "contract: the same inputs and outputs" in done.out
    assert "Give the text a label." in done.out
    assert "Say which label the text has." in done.out
    assert "eval ship (texts.test), 18 rows:" in done.out
    assert not [one for one in ("sk-planted", "planted-token") if one in done.out.split("first.dspc.json")[0]]


def test_a_revision_is_compared_with_what_stands_there_now(project: Path) -> None:
    by_rev = as_json(project, ARTIFACT, "--rev", "HEAD")
    by_name = as_json(project, f"HEAD:{ARTIFACT}", ARTIFACT)
    by_file = as_json(project, "first.dspc.json", ARTIFACT)
    assert (by_rev["before"], by_rev["after"]) == ("HEAD", "now")
    for one in (by_rev, by_name):
        assert {**one, "before": "", "after": ""} == {**by_file, "before": "", "after": ""}
    below = as_json(project / "compiled", "tuned.dspc.json", "--rev", "HEAD")
    assert below["rows"] == by_rev["rows"]


def test_rows_are_found_by_either_artifact(project: Path, tmp_path: Path) -> None:
    away = tmp_path / "away.dspc.json"
    shutil.copy(project / ARTIFACT, away)
    by_file = as_json(project, "first.dspc.json", ARTIFACT)["rows"]
    assert [one["comparison"] for one in as_json(project, "first.dspc.json", str(away))["rows"]] == [
        one["comparison"] for one in by_file
    ]
    artifact = read_artifact(away, keys_given=lambda _: True)
    write_artifact(away, artifact.model_copy(update={"name": "elsewhere"}))
    for more in ((), ("--source", "main.dspec")):
        assert len(as_json(project, "first.dspc.json", str(away), *more)["rows"]) == len(by_file)
    nowhere = as_json(tmp_path, str(away), str(away))
    assert nowhere["rows"] == []
    assert nowhere["missing"] == [
        f"no .dspec file by {away} declares `optimize elsewhere`: no rows to compare on; `--source` names it"
    ]


def changed(project: Path, to: Path, **changes: object) -> Path:
    artifact = read_artifact(project / ARTIFACT, keys_given=lambda _: True)
    program = artifact.program.model_copy(update=changes)
    write_artifact(to, artifact.model_copy(update={"program": program}))
    return to


def test_a_broken_contract_has_an_exit_code_of_its_own(project: Path, tmp_path: Path) -> None:
    more = FieldSpec(name="tone", type=STR)
    program = read_artifact(project / ARTIFACT, keys_given=lambda _: True).program
    broken = changed(project, tmp_path / "broken.dspc.json", inputs=(*program.inputs, more))
    fits = changed(
        project,
        tmp_path / "fits.dspc.json",
        inputs=(*program.inputs, more.model_copy(update={"has_default": True, "default": ""})),
    )
    told = diff(project, ARTIFACT, str(broken), "--breaking", "--json")
    assert told.code == 5
    (change,) = json.loads(told.out)["contract"]
    assert (change["side"], change["field"], change["what"], change["breaking"]) == (
        "input",
        "tone",
        "added",
        True,
    )
    assert diff(project, ARTIFACT, str(broken)).code == 0, "only where it was asked for"
    assert diff(project, ARTIFACT, str(fits), "--breaking").code == 0
    narrow = OneOf(values=("a", "b"))
    fewer = changed(
        project,
        tmp_path / "fewer.dspc.json",
        outputs=(program.outputs[0].model_copy(update={"type": narrow}),),
    )
    assert diff(project, ARTIFACT, str(fewer), "--breaking").code == 0
    more_labels = diff(project, str(fewer), ARTIFACT, "--breaking")
    assert more_labels.code == 5
    assert "gives more than before" in more_labels.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((ARTIFACT,), 2, "two artifacts are compared"),
        ((ARTIFACT, ARTIFACT, "--rev", "HEAD"), 2, "two artifacts are compared"),
        ((f"nowhere:{ARTIFACT}", ARTIFACT), 2, "there is no revision `nowhere`"),
        (("HEAD:nothing.json", ARTIFACT), 2, "there is no file nothing.json in HEAD"),
        (("HEAD:../../etc/passwd", ARTIFACT), 2, "there is no file ../../etc/passwd in HEAD"),
        (("HEAD:/etc/passwd", ARTIFACT), 2, "`/etc/passwd` is no path in a repository"),
        (("--", "--textconv:main.dspec", ARTIFACT), 2, "`--textconv` is no name of a revision"),
        (("HEAD;id:x", ARTIFACT), 2, "is no name of a revision"),
        (("main.dspec", ARTIFACT), 1, "main.dspec"),
        (("gone.dspc.json", ARTIFACT), 1, "there is no such file"),
    ],
)
def test_what_cannot_be_compared_is_a_message(
    arguments: tuple[str, ...], code: int, said: str, project: Path
) -> None:
    done = diff(project, *arguments)
    assert (done.code, said in done.err) == (code, True), done.text


def test_git_runs_nothing_that_a_repository_names(project: Path, tmp_path: Path) -> None:
    """A repository's own configuration, attributes and hooks name programs; none of them runs, and nothing is fetched."""
    copied = tmp_path / "copied"
    shutil.copytree(project, copied)
    marks = tmp_path / "marks"
    marks.mkdir()
    script = tmp_path / "script.sh"
    script.write_text(f"#!/bin/sh\ntouch {marks}/$$\ncat\n", encoding="utf-8")
    script.chmod(0o755)
    hooks = copied / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"):
        shutil.copy(script, hooks / name)
    for setting in (
        *("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass", "pager.cat-file"),
        *(
            "diff.evil.textconv",
            "diff.external",
            "filter.evil.smudge",
            "filter.evil.clean",
            "credential.helper",
        ),
        *("alias.cat-file", "uploadpack.packObjectsHook"),
    ):
        git(copied, "config", setting, f"!{script}" if setting.startswith("alias") else str(script))
    git(copied, "config", "core.hooksPath", str(hooks))
    git(copied, "config", "remote.origin.url", f"ext::{script}")
    git(copied, "config", "protocol.ext.allow", "always")
    git(copied, "config", "remote.origin.promisor", "true")
    git(copied, "config", "extensions.partialClone", "origin")
    git(copied, "config", "core.repositoryFormatVersion", "1")
    (copied / ".gitattributes").write_text("*.json diff=evil filter=evil\n", encoding="utf-8")
    for mark in marks.iterdir():
        mark.unlink()
    done = diff(copied, ARTIFACT, "--rev", "HEAD", "--json")
    assert done.code == 0, done.text
    # An object that the clone lacks would be fetched from where its configuration says.
    blob = git(copied, "rev-parse", f"HEAD:{ARTIFACT}").strip()
    (copied / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    lacking = diff(copied, ARTIFACT, "--rev", "HEAD")
    assert lacking.code in (1, 2)
    assert list(marks.iterdir()) == []


def test_a_page_of_the_comparison_is_written(project: Path) -> None:
    done = diff(project, "first.dspc.json", ARTIFACT, "-o", "diff.html")
    assert done.code == 0
    page = (project / "diff.html").read_text(encoding="utf-8")
    assert "<title>first.dspc.json → tuned.dspc.json · dspec report</title>" in page
    assert "<del>Give</del>" in page
    assert not [one for one in ("sk-planted", "planted-token", "planted.bearer") if one in page]


def test_rows_that_nobody_has_runs_of_are_said(project: Path, tmp_path: Path) -> None:
    for name in ("first.dspc.json", "main.dspec", "texts.jsonl", "dspec.toml"):
        shutil.copy(project / name, tmp_path / name)
    shutil.copy(project / ARTIFACT, tmp_path / "tuned.dspc.json")
    found = as_json(tmp_path, "first.dspc.json", "tuned.dspc.json")
    assert found["rows"] == []
    assert "eval ship: 18 rows of 18 are not kept for both, and left out" in found["missing"]
