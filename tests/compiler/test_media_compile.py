"""Images and earlier turns from rows to requests: checked, planned, compiled, kept beside the artifact, and run."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from pathlib import Path

import pytest
from dspc import dspc
from media import png
from server import Call, FakeServer

from dspec.compiler.check.analysis import analyse
from dspec.runtime.artifact.artifact import read_artifact
from dspec.runtime.errors import ArtifactError

SOURCE = """\
dspec 1

lm mini { model = "openai/fake"; api_base = env("FAKE_URL"); max_tokens = 60; price { input = 0.1; output = 0.1 } }

signature See {
  "Say what is shown."
  input photo: image
  input past: history
  input question: str
  output caption: str
}

module see = Predict(See)

dataset rows {
  source = jsonl("data/rows.jsonl")
  input photo: image
  input past: history
  input question: str
  field caption: str
  split { train = 12; val = 12 }
}

metric right(gold: rows, pred: see) = gold.caption == pred.caption

optimize seen {
  program = see; metric = right; train = rows.train; val = rows.val
  step demos = BootstrapFewShot(max_bootstrapped_demos = 2, max_labeled_demos = 3)
}
"""


def project(folder: Path, **changed: str) -> Path:
    (folder / "dspec.toml").touch()
    (folder / "data" / "photos").mkdir(parents=True)
    rows = []
    for number in range(24):
        path = f"photos/{number}.png"
        (folder / "data" / path).write_bytes(png(16 + number, 12, number))
        rows.append(
            {
                "photo": changed.get(str(number), path),
                "past": [{"question": f"Hello {number}", "caption": "hello"}],
                "question": f"What is {number % 4}?",
                "caption": f"L{number % 4}",
            }
        )
    (folder / "data" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    source = folder / "main.dspec"
    source.write_text(SOURCE, encoding="utf-8")
    return source


def answer(call: Call) -> str:
    """Right for half of the questions, and for all of them once there is a demo."""
    messages = call.body["messages"]
    *turns, last = messages[1:]
    assert [one["type"] for one in last["content"]] == ["text", "image_url", "text"]
    number = re.search(r"What is (\d)\?", last["content"][2]["text"])
    assert number is not None
    pictures = [one for one in turns if isinstance(one["content"], list)]
    assert all(one["content"][1]["image_url"]["url"].startswith("data:image/png;base64,") for one in pictures)
    assert turns[-2]["content"].startswith(
        "[[ ## question ## ]]\nHello"
    )  # the row's own earlier turn, behind all demos
    wrong = not pictures and int(number[1]) % 2
    return f"[[ ## caption ## ]]\n{'?' if wrong else f'L{number[1]}'}\n\n[[ ## completed ## ]]"


LINE = r"<image: image/png, (\d+)x12, \d+ bytes, sha256 [0-9a-f]{64}>"


async def compiled(server: FakeServer, folder: Path, *options: str) -> int:
    """Compiles, and gives the number of requests that it took."""
    before = len(server.calls)
    result = await asyncio.to_thread(
        dspc, "compile", "main.dspec", *options, cwd=folder, FAKE_URL=server.url, OPENAI_API_KEY="k"
    )
    assert result.code == 0, result.text
    return len(server.calls) - before


async def test_a_compile_shows_images_and_turns_and_keeps_them(tmp_path: Path) -> None:
    made: list[dict[str, bytes]] = []
    for threads in ("1", "16"):
        folder = tmp_path / threads
        folder.mkdir()
        project(folder)
        async with FakeServer(answer) as server:
            assert await compiled(server, folder, "--threads", threads)
            files = {path.name: path.read_bytes() for path in (folder / "compiled").iterdir()}
            made.append(files)
            # Everything is remembered, by what the files hold.
            assert not await compiled(server, folder, "--threads", threads)
        assert {path.name: path.read_bytes() for path in (folder / "compiled").iterdir()} == files
    assert made[0] == made[1]
    pictures = {name: data for name, data in made[0].items() if name != "seen.dspc.json"}
    text = made[0]["seen.dspc.json"].decode()
    demos = re.findall(LINE, text.partition('"media"')[0])
    assert 1 < len(demos) == len(pictures)
    assert "base64" not in text
    assert set(pictures.values()) == {png(int(width), 12, int(width) - 16) for width in demos}
    shutil.move(tmp_path / "1" / "compiled", tmp_path / "moved")  # it needs nothing but what is beside it
    shutil.rmtree(tmp_path / "1")
    photo = tmp_path / "new.png"
    photo.write_bytes(png(50, 50, 1))
    async with FakeServer(answer) as server:
        result = await asyncio.to_thread(
            dspc,
            "run",
            "seen.dspc.json",
            *(
                "-i",
                f"photo=@{photo}",
                "-i",
                'past=[{"question": "Hello", "caption": "hi"}]',
                "-i",
                "question=What is 3?",
            ),
            cwd=tmp_path / "moved",
            FAKE_URL=server.url,
            OPENAI_API_KEY="k",
        )
    assert "caption: L3" in result.out, result.text
    (call,) = server.calls
    shown = [
        one["content"][1]["image_url"]["url"]
        for one in call.body["messages"]
        if isinstance(one["content"], list)
    ]
    assert len(shown) == len(demos) + 1
    assert base64.b64decode(shown[-1].partition(",")[2]) == photo.read_bytes()
    assert {base64.b64decode(one.partition(",")[2]) for one in shown[:-1]} == set(pictures.values())


async def test_another_picture_is_another_row(tmp_path: Path) -> None:
    project(tmp_path)
    async with FakeServer(answer) as server:
        first = await compiled(server, tmp_path)
        for number in range(12):
            (tmp_path / "data" / "photos" / f"{number}.png").write_bytes(png(99, 99, number))
        assert 0 < await compiled(server, tmp_path) < first


async def test_an_artifact_whose_pictures_are_gone_or_others_is_refused(tmp_path: Path) -> None:
    project(tmp_path)
    async with FakeServer(answer) as server:
        await compiled(server, tmp_path)
    path = tmp_path / "compiled" / "seen.dspc.json"
    picture = next((tmp_path / "compiled").glob("*.png"))
    whole = picture.read_bytes()
    assert read_artifact(path).program.name == "see"
    for spoil in (b"", b"GIF89a", png(16, 12, 200)):
        picture.write_bytes(spoil)
        with pytest.raises(ArtifactError, match="which a demo shows"):
            read_artifact(path)
    picture.write_bytes(whole)
    text = path.read_text(encoding="utf-8")
    for wrong in (
        text.replace(picture.name, f"../{picture.name}"),
        text.replace(picture.name, "/etc/passwd"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ArtifactError, match="not the place"):
            read_artifact(path)
    shown = re.search(LINE, text)
    assert shown is not None
    other = re.sub("sha256 .{64}", f"sha256 {'0' * 64}", shown[0])
    path.write_text(text.replace(shown[0], other, 1), encoding="utf-8")
    with pytest.raises(ArtifactError, match="photo: it is not there"):
        read_artifact(path)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("photos/none.png", "there is no file `photos/none.png`"),
        ("../../x.png", "outside the project"),
        ("/etc/passwd", "outside the project"),
        ("photos/link.png", "outside the project"),
        ("photos/secret.png", "expected a PNG"),
        ("photos", "is a directory|not a regular file"),
        ("photos/big.png", "at most 20"),
        ("photos/pipe.png", "not a regular file"),
        ("file:///etc/passwd", "a URL \\(http or https\\)"),
        ("data:image/png;base64,AAAA", "expected a PNG"),
        ("C:\\x.png", "outside the project|expected a PNG"),
    ],
)
def test_a_check_finds_rows_whose_pictures_cannot_be_sent(tmp_path: Path, cell: str, said: str) -> None:
    import os

    folder = tmp_path / "project"
    folder.mkdir()
    source = project(folder, **{"5": cell, "9": cell})
    photos = folder / "data" / "photos"
    (tmp_path / "outside.png").write_bytes(png(1, 1))
    (photos / "link.png").symlink_to(tmp_path / "outside.png")
    (photos / "secret.png").write_text("root:x:0:0", encoding="utf-8")
    with (photos / "big.png").open("wb") as file:
        file.write(png(1, 1))
        file.truncate(30 * 1024**2)
    os.mkfifo(photos / "pipe.png")
    (found,) = [one for one in analyse(source).diagnostics if one.severity == "error"]
    assert "2 rows break the declared type of `photo` (lines 6" in found.message
    assert re.search(said, found.help, re.IGNORECASE), found.help


def test_urls_and_data_are_values_and_nothing_is_fetched(tmp_path: Path) -> None:
    data = f"data:image/png;base64,{base64.b64encode(png(3, 3)).decode()}"
    source = project(tmp_path, **{"5": "http://169.254.169.254/latest/x.png", "9": data})
    assert not [one for one in analyse(source).diagnostics if one.severity == "error"]


async def test_the_plan_bounds_what_a_compile_with_images_takes(tmp_path: Path) -> None:
    project(tmp_path)

    def reports(call: Call, text: str) -> tuple[tuple[int, int], dict[str, int]]:
        pictures = sum(isinstance(one["content"], list) for one in call.body["messages"])
        words = len(re.sub(r"base64,[^\"]*", "", json.dumps(call.body["messages"])))
        used = (1_445 * pictures + words // 3, 20)  # what the dearest tiles of an image of that size cost
        return used, {"prompt_tokens": used[0], "completion_tokens": used[1]}

    async with FakeServer(answer, reports=reports) as server:
        plan = await asyncio.to_thread(
            dspc, "plan", "main.dspec", "--json", cwd=tmp_path, FAKE_URL=server.url
        )
        await asyncio.to_thread(
            dspc, "compile", "main.dspec", cwd=tmp_path, FAKE_URL=server.url, OPENAI_API_KEY="k"
        )
    text = json.dumps(json.loads(plan.out))
    most = max(int(number) for number in re.findall(r'"input_tokens": (\d+)', text))
    assert sum(inputs for inputs, _ in server.billed) <= most


async def test_a_row_whose_turns_are_no_turns_of_the_program_costs_nothing(tmp_path: Path) -> None:
    project(tmp_path)
    path = tmp_path / "data" / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, past in ((3, [{"question": "Hi"}]), (7, [{"q": "Hi", "caption": "x"}])):
        rows[number]["past"] = past
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    async with FakeServer(answer) as server:
        for command in ("plan", "compile"):
            result = await asyncio.to_thread(
                dspc, command, "main.dspec", cwd=tmp_path, FAKE_URL=server.url, OPENAI_API_KEY="k"
            )
            assert result.code
            assert "history that the program cannot show" in result.text
            assert re.search(
                "says nothing of what was answered|there is no field", " ".join(result.text.split())
            )
        assert not server.calls


def encoded(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


URL = "https://example.com/a.png"


async def test_an_image_in_a_turn_is_given_as_one_beside_it(tmp_path: Path) -> None:
    project(tmp_path)
    path = tmp_path / "data" / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:3]
    for row, photo in zip(rows, ("photos/7.png", encoded(png(23, 12, 7)), URL), strict=True):
        row["past"] = [{"question": "And?", "photo": photo, "caption": "Bob"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "main.dspec").write_text(
        SOURCE[: SOURCE.index("optimize")].replace("  split { train = 12; val = 12 }\n", "")
        + "eval all { program = see; metric = right; data = rows }\n"
        + 'test one { program = see; given photo = "data/photos/1.png"; given question = "?"\n'
        + '  given past = [dict(question = "And?", photo = "data/photos/7.png", caption = "Bob")]\n'
        + '  expect caption == "L0" }\n',
        encoding="utf-8",
    )
    seen: list[str] = []

    def shown(call: Call) -> str:
        turn = next(one for one in call.body["messages"] if one["role"] == "user")
        seen.append(turn["content"][1]["image_url"]["url"])
        return "[[ ## caption ## ]]\nL0\n\n[[ ## completed ## ]]"

    async with FakeServer(shown) as server:

        async def done(*arguments: str) -> None:
            result = await asyncio.to_thread(
                dspc, *arguments, cwd=tmp_path, FAKE_URL=server.url, OPENAI_API_KEY="k"
            )
            assert not result.code, result.text

        await done("eval", "main.dspec")
        assert sorted(seen) == sorted([encoded(png(23, 12, 7))] * 2 + [URL])
        await done("test", "--record")
        given = {"question": "And?", "caption": "Bob"}
        for photo in ("@data/photos/7.png", encoded(png(23, 12, 7)), URL):
            past = json.dumps([{**given, "photo": photo}])
            await done(
                *("run", "main.dspec", "see", "-i", f"past={past}"),
                *("-i", "photo=@data/photos/1.png", "-i", "question=again?"),
            )
    assert seen[3:] == [encoded(png(23, 12, 7))] * 3 + [URL]


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        ("../../secret.png", "lies outside the project"),
        ("/etc/passwd", "lies outside the project"),
        ("photos/none.png", "there is no file"),
        ("rows.jsonl", "expected a PNG"),
        ("<image: https://example.com/a.png>", "there is no file"),
        ("data:image/png;base64,####", "base64"),
    ],
)
async def test_a_turn_reaches_no_file_that_a_row_does_not(tmp_path: Path, photo: str, said: str) -> None:
    project(tmp_path)
    path = tmp_path / "data" / "rows.jsonl"
    first, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    first["past"] = [{"question": "And?", "photo": photo, "caption": "Bob"}]
    path.write_text("\n".join(map(json.dumps, [first, *rest])), encoding="utf-8")
    result = await asyncio.to_thread(dspc, "plan", "main.dspec", cwd=tmp_path, FAKE_URL="http://x")
    assert result.code
    assert said in " ".join(result.text.split())
    assert "turn 1.photo" in result.text
