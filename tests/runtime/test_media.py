"""Images, audio and files as values: what they are taken for, what they are keyed by, and what is sent."""

from __future__ import annotations

import base64
import gc
import math
import os
import re
from pathlib import Path

import pytest
from agents import SEARCH, several
from hypothesis import given
from hypothesis import strategies as st
from media import GIF, PDF, jpeg, png, wav, webp
from programs import Told, chat, module, predictor
from scripted import FAKE
from server import Call, FakeServer

from dspec.runtime.adapters import adapter
from dspec.runtime.application import of_program
from dspec.runtime.artifact.integrity import faults
from dspec.runtime.errors import ConfigurationError, InputError, Refused
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import Request
from dspec.runtime.models.transports.answers import estimate_request
from dspec.runtime.models.transports.parts import messages_of
from dspec.runtime.running.bringing import Given, brought
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import LM, Demo, FieldSpec, Program, Signature
from dspec.runtime.schema.trace import CODE
from dspec.runtime.schema.types import STR, JsonValue, ListOf, OptionalOf, Row, Scalar
from dspec.runtime.values import media
from dspec.runtime.values.headers import HEAD, look
from dspec.runtime.values.media import MAX_BYTES, Medium, MediumKind, medium, of_bytes, of_file, of_text

IMAGE, AUDIO, FILE, HISTORY = (Scalar(name=name) for name in ("image", "audio", "file", "history"))
SEE = predictor(
    (FieldSpec(name="photo", type=IMAGE), FieldSpec(name="question", type=STR)),
    (FieldSpec(name="caption", type=STR),),
)


def see(**settings: object) -> Program:
    return module(SEE).with_lms({"mini": LM(name="mini", model="openai/fake", **settings)})


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (png(7, 5), "image/png", (7, 5)),
        (GIF, "image/gif", (2, 3)),
        (jpeg(640, 480), "image/jpeg", (640, 480)),
        (jpeg(640, 480, before=60_000), "image/jpeg", (640, 480)),
        (webp(300, 200, "VP8X"), "image/webp", (300, 200)),
        (webp(300, 200, "VP8L"), "image/webp", (300, 200)),
        (webp(300, 200, "VP8"), "image/webp", (300, 200)),
        (wav(1), "audio/wav", (0, 0)),
        (b"ID3\x04\0" + bytes(40), "audio/mpeg", (0, 0)),
        (b"\xff\xfb\x90\x44" + bytes(40), "audio/mpeg", (0, 0)),
        (b"fLaC" + bytes(40), "audio/flac", (0, 0)),
        (b"OggS" + bytes(40), "audio/ogg", (0, 0)),
        (b"\0\0\0\x20ftypM4A " + bytes(20), "audio/mp4", (0, 0)),
        (PDF, "application/pdf", (0, 0)),
        ("Gebühr".encode(), "text/plain", (0, 0)),
    ],
)
def test_bytes_are_what_they_begin_as(data: bytes, kind: str, size: tuple[int, int]) -> None:
    found = look(data[:HEAD], len(data))
    assert found is not None
    assert (found.type, found.size) == (kind, size)
    for length in range(len(data[:64])):  # cut anywhere, it is at most of no known size
        cut = look(data[:length], len(data))
        assert cut is None or cut.size in ((0, 0), size)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WAVEfmt ", b""]),
)
def test_whatever_bytes_say_a_size_is_sensible(data: bytes, head: bytes) -> None:
    found = look(head + data, len(head + data))
    if found is not None:
        assert all(0 <= side < 1 << 24 for side in found.size)
        assert 0 <= found.seconds < 1e6


def test_a_line_says_what_a_value_is_and_is_read_again() -> None:
    one, _ = of_bytes(png(7, 5), "image")
    assert one.sign.startswith("<image: image/png, 7x5, ")
    assert medium(one.sign) == one
    sound, _ = of_bytes(wav(2.5), "audio")
    assert sound.milliseconds in range(2500, 2520)
    assert medium(sound.sign) == sound
    there, blob = of_text("https://example.com/a.png?x=1", "image")
    assert blob is None
    assert medium(there.sign) == there == Medium("image", "https://example.com/a.png?x=1")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("file:///etc/passwd", "image"),
        ("/etc/passwd", "file"),
        ("../../x", "image"),
        ("ftp://example.com/a.png", "image"),
        ("https://example.com/a b.png", "image"),
        ("https://example.com/>\n<image: https://evil", "image"),
        ("https://example.com/" + "a" * 9_000, "image"),
        ("data:image/png,notbase64", "image"),
        ("data:image/png;base64,!!!!", "image"),
        ("data:image/png;base64," + base64.b64encode(b"GET / HTTP").decode(), "image"),
        ("data:image/png;base64," + base64.b64encode(PDF).decode(), "image"),
        ("data:;base64,", "file"),
        ("https://example.com/a.wav", "audio"),
        ("", "image"),
    ],
)
def test_a_text_that_is_no_url_and_no_data_is_refused(text: str, kind: MediumKind) -> None:
    with pytest.raises(ValueError, match=r"expected|broken|empty|is given"):
        of_text(text, kind)
    with pytest.raises(InputError):
        brought((FieldSpec(name="x", type=Scalar(name=kind)),), {"x": text or Path("/nowhere/at/all")})


def test_files_are_bounded_and_regular(tmp_path: Path) -> None:
    huge, pipe = tmp_path / "huge.png", tmp_path / "pipe"
    with huge.open("wb") as file:
        file.write(png(3, 3))
        file.truncate(10 * 1024**3)  # a sparse file: nothing of it may be read
    os.mkfifo(pipe)
    for path, why in ((huge, "at most 20"), (pipe, "regular"), (tmp_path, "directory|regular")):
        with pytest.raises((ValueError, OSError), match=why):
            of_file(path, "image")
    with pytest.raises(ValueError, match="at most 20"):
        of_bytes(bytes(MAX_BYTES + 1), "file")


@pytest.mark.parametrize("layout", ["chat", "json", "xml"])
async def test_a_prompt_has_the_image_where_the_field_is(layout: str) -> None:
    one, blob = of_bytes(png(7, 5), "image")
    row: Row = {"photo": one.sign, "question": f"Is {one.sign} here?"}
    messages = adapter(layout).render(SEE, row, {})  # type: ignore[arg-type]
    (sent,) = [each for each in await messages_of(Request(FAKE, messages)) if isinstance(each, dict)][1:]
    data = base64.b64encode(blob.data or b"").decode()
    assert isinstance(sent["content"], list)
    first, picture, rest = sent["content"]
    assert first == {"type": "text", "text": "[[ ## photo ## ]]\n"}
    assert picture == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    # What a question says of it is only text, whatever it looks like.
    assert isinstance(rest, dict)
    assert one.sign in str(rest["text"])
    assert messages[-1].text.count(one.sign) == 1


async def test_parts_of_every_kind_in_lists_and_demos() -> None:
    shown, picture = of_bytes(png(1, 1), "image")
    kinds = (
        FieldSpec(name="photos", type=ListOf(item=IMAGE)),
        FieldSpec(name="clip", type=OptionalOf(item=AUDIO)),
        FieldSpec(name="doc", type=FILE),
    )
    asked = predictor(kinds, (FieldSpec(name="caption", type=STR),))
    (sound, held), (text, also) = of_bytes(wav(0.1), "audio"), of_bytes(b"a note", "file")
    url = of_text("https://example.com/b.pdf", "file")[0]
    demo = Demo(inputs={"photos": [], "clip": None, "doc": text.sign}, outputs={"caption": "a note"})
    asked = asked.model_copy(update={"demos": (demo,)})
    row: Row = {"photos": [shown.sign, shown.sign], "clip": sound.sign, "doc": url.sign}
    messages = adapter("chat").render(asked, row, {})
    sent = await messages_of(Request(FAKE, messages))
    kinds_sent = [
        [part["type"] for part in each["content"] if isinstance(part, dict)]
        for each in sent
        if isinstance(each, dict) and isinstance(each["content"], list)
    ]
    assert kinds_sent == [
        ["text", "file"],
        ["text", "image_url", "image_url", "text", "input_audio", "text", "file", "text"],
    ]
    assert "null" in messages[1].content
    assert all(blob.data for blob in (picture, held, also))
    assert {"type": "file", "file": {"file_id": "https://example.com/b.pdf"}} in sent[-1]["content"]  # type: ignore[index, call-overload]


def test_a_request_is_known_by_pixels_urls_and_turns() -> None:
    def key(photo: str, question: str = "q") -> str:
        return Request(
            FAKE, adapter("chat").render(SEE, {"photo": photo, "question": question}, {})
        ).identity()

    signs = [of_bytes(png(3, 3, shade), "image")[0].sign for shade in range(3)]
    signs += [of_text(f"https://example.com/{name}.png", "image")[0].sign for name in "ab"]
    assert len({key(sign) for sign in signs}) == 5
    assert "base64" not in key(signs[0])
    assert len(key(signs[0])) < 1_500
    # The same line as a text asks something else than the image does.
    words = predictor(
        (FieldSpec(name="photo", type=STR), FieldSpec(name="question", type=STR)),
        (FieldSpec(name="caption", type=STR),),
    )
    text = Request(FAKE, adapter("chat").render(words, {"photo": signs[0], "question": "q"}, {})).identity()
    assert text != key(signs[0])
    assert '"messages":[["system",' in text.replace(" ", "")


async def test_an_application_passes_paths_bytes_urls_and_data(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(9, 9))
    data = f"data:image/png;base64,{base64.b64encode(png(9, 9)).decode()}"
    seen: list[object] = []

    def answer(call: Call) -> str:
        seen.append(call.body["messages"][-1]["content"][1])
        return "[[ ## caption ## ]]\na square\n\n[[ ## completed ## ]]"

    async with FakeServer(answer) as server:
        program = see(api_base=server.url)
        with of_program(program) as application:
            given_as: list[Given] = [path, png(9, 9), data, "https://example.com/a.png"]
            for photo in given_as:
                assert (await application.acall(photo=photo, question="?")).caption == "a square"
            assert len(await application.abatch([{"photo": path, "question": str(n)} for n in range(5)])) == 5
            with pytest.raises(InputError, match="Path"):
                await application.acall(photo=str(path), question="?")
            with pytest.raises(InputError, match="at all"):
                await application.acall(photo=tmp_path / "none at all.png", question="?")
            with pytest.raises(InputError, match="expected a value of JSON, got bytes"):
                await application.acall(photo=path, question=b"?")
            application.close()
    assert seen[0] == seen[1] == seen[2] == {"type": "image_url", "image_url": {"url": data}}
    assert seen[3] == {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


async def test_what_an_application_passed_is_not_held_when_it_is_answered() -> None:
    program = see()
    data = png(11, 11, 9)
    row, held = brought(program.inputs, {"photo": data, "question": "?"})
    sign = row["photo"]
    assert media.known(sign, "image")
    engine = Told(["[[ ## caption ## ]]\nx\n\n[[ ## completed ## ]]"])
    await run(program, row, engine)
    del held
    gc.collect()
    assert not media.known(sign, "image")
    with pytest.raises(InputError):
        await run(program, row, Told([]))


async def test_a_file_that_changes_is_not_sent_as_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 2, 77))
    found, blob = of_file(path, "image")
    media.keep(blob)
    path.write_bytes(png(2, 2, 78))
    messages = adapter("chat").render(SEE, {"photo": found.sign, "question": "?"}, {})
    with pytest.raises(ConfigurationError, match="has changed"):
        await messages_of(Request(FAKE, messages))


async def test_a_request_carries_so_much_and_no_more() -> None:
    signs = [of_bytes(bytes([65 + n]) * MAX_BYTES, "file") for n in range(3)]
    asked = predictor((FieldSpec(name="docs", type=ListOf(item=FILE)),), (FieldSpec(name="a", type=STR),))
    messages = adapter("chat").render(asked, {"docs": [one.sign for one, _ in signs]}, {})
    with pytest.raises(Refused, match="50 MB"):
        await messages_of(Request(FAKE, messages))


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_an_image_counts_no_less_than_providers_bill(width: int, height: int) -> None:
    """Their published rules, as far as there are any: tiles of OpenAI's older models, patches of its newer ones, and
    Anthropic's share of the pixels."""
    one = Medium("image", "", "image/png", (width, height), 0, 1000, "0" * 64)
    scale = min(1.0, 2048 / max(width, height), 768 / min(width, height))
    tiles = math.ceil(round(width * scale) / 512) * math.ceil(round(height * scale) / 512)
    assert one.tokens() >= 85 + 170 * min(tiles, 8)
    assert one.tokens("openai/gpt-4o-mini") >= 2833 + 5667 * min(tiles, 8)
    assert one.tokens() >= min(1536, -(-width // 32) * -(-height // 32)) * 2.46
    assert one.tokens() >= min(1600, width * height / 750)


def test_an_estimate_counts_what_is_attached() -> None:
    one, _ = of_bytes(png(3, 3), "image")
    messages = adapter("chat").render(SEE, {"photo": one.sign, "question": "?"}, {})
    with_image = estimate_request(Request(LM(name="m", model="openai/gpt-4o"), messages))
    dear = estimate_request(Request(LM(name="m", model="openai/gpt-4o-mini"), messages))
    assert 4 * with_image >= one.tokens()
    assert dear > 5 * with_image


@pytest.mark.parametrize(
    ("past", "said"),
    [
        ([{"question": "Who?", "caption": "Ada"}], ""),
        ([], ""),
        ([{"question": "Who?"}], "turn 1: it says nothing of what was answered"),
        ([{"caption": "Ada"}], "turn 1: it says nothing of what was given"),
        (
            [{"question": "a", "caption": "b"}, {"question": 1, "caption": "c"}],
            "turn 2.question: expected text",
        ),
        ([{"question": "a", "caption": "b", "past": []}], 'there is no field "past"'),
        ([{}], "turn 1: expected an object"),
        (["hi"], "turn 1: expected an object"),
        ("hi", "expected a list of turns"),
        ([{"question": "a", "caption": "b"}] * 1_001, "at most 1000 turns"),
    ],
)
async def test_turns_of_a_history_are_the_signatures(past: JsonValue, said: str) -> None:
    talks = predictor(
        (FieldSpec(name="past", type=HISTORY), FieldSpec(name="question", type=STR)),
        (FieldSpec(name="caption", type=STR),),
    )
    engine = Told(["[[ ## caption ## ]]\nx\n\n[[ ## completed ## ]]"])
    if said:
        with pytest.raises(InputError, match=re.escape(said)):
            await run(module(talks), {"past": past, "question": "?"}, engine)
        assert not engine.requests
    else:
        await run(module(talks), {"past": past, "question": "?"}, engine)
        assert len(engine.requests[0].messages) == 2 + 2 * len(past if isinstance(past, list) else ())


TALK = Signature(
    name="Talk",
    instruction="Answer.",
    inputs=(FieldSpec(name="past", type=OptionalOf(item=HISTORY)), FieldSpec(name="question", type=STR)),
    outputs=(FieldSpec(name="answer", type=STR),),
)
SAID: JsonValue = [{"question": "Who?", "answer": "Ada."}]
CODED = "past[0]['answer']"
AGENTS: dict[str, list[str]] = {
    "ReAct": [
        chat(next_thought="t", next_tool_name="finish", next_tool_args="{}"),
        chat(reasoning="r", answer="so"),
    ],
    "CodeAct": [chat(generated_code=CODED, finished="true"), chat(reasoning="r", answer="so")],
    "ProgramOfThought": [chat(reasoning="r", generated_code=CODED), chat(reasoning="r", answer="so")],
    "RLM": [chat(reasoning="r", code=f"submit(answer={CODED})")],
}


@pytest.mark.parametrize("strategy", AGENTS)
async def test_steps_read_a_history_and_the_answer_is_given_after_its_turns(strategy: str) -> None:
    engine = Told(AGENTS[strategy])
    program = several(strategy, signature=TALK, **({"tools": [SEARCH]} if strategy == "ReAct" else {}))
    assert not [*faults(program)]
    outcome = await run(program, {"past": SAID, "question": "When?"}, engine)
    first, last = engine.requests[0].messages, engine.requests[-1].messages
    assert '[{"question": "Who?", "answer": "Ada."}]' in first[-1].content
    if strategy == "RLM":
        assert outcome.outputs == {"answer": "Ada."}
        return
    assert len(first) == 2
    assert [one.role for one in last] == ["system", "user", "assistant", "user"]
    assert "Ada." in last[2].content
    if strategy != "ReAct":
        assert [one.outputs for one in outcome.trace if one.tool == CODE] == [{"result": "Ada."}]
    without = Told(AGENTS[strategy])
    if strategy == "ReAct":
        await run(program, {"question": "When?"}, without)
        assert len(without.requests[-1].messages) == 2


@pytest.mark.parametrize("strategy", ["ReAct", "CodeAct", "ProgramOfThought"])
async def test_turns_that_cannot_be_shown_in_the_end_are_refused_before_anything_is_asked(
    strategy: str,
) -> None:
    engine = Told([])
    with pytest.raises(InputError, match=re.escape('turn 1: there is no field "role"')):
        await run(several(strategy, signature=TALK), {"past": [{"role": "user"}], "question": "?"}, engine)
    assert not engine.requests


async def test_a_turn_takes_an_image_as_the_input_beside_it_does(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(9, 9))
    data = f"data:image/png;base64,{base64.b64encode(png(9, 9)).decode()}"
    seen: list[str] = []

    def answer(call: Call) -> str:
        seen.append(call.body["messages"][1]["content"][1]["image_url"]["url"])
        return "[[ ## caption ## ]]\na square\n\n[[ ## completed ## ]]"

    looks = predictor(
        (FieldSpec(name="past", type=HISTORY), *SEE.signature.inputs), (FieldSpec(name="caption", type=STR),)
    )
    async with FakeServer(answer) as server:
        lm = LM(name="mini", model="openai/fake", api_base=server.url)
        with of_program(module(looks).with_lms({"mini": lm})) as application:

            async def asked(**turn: Given) -> None:
                past: Given = [{"question": "And?", "caption": "Bob", **turn}]
                await application.acall(past=past, photo=path, question="?")

            for photo in (path, png(9, 9), data, "https://example.com/a.png"):
                await asked(photo=photo)
            with pytest.raises(InputError, match=re.escape("turn 1.photo: a text is a URL")):
                await asked(photo=str(path))
            with pytest.raises(InputError, match="expected a value of JSON, got bytes"):
                await asked(photo=path, question=b"?")
            application.close()
    assert seen == [data, data, data, "https://example.com/a.png"]


async def test_both_transports_send_the_same_parts() -> None:
    one, blob = of_bytes(png(4, 4), "image")
    bodies: list[object] = []

    def answer(call: Call) -> str:
        bodies.append(call.body["messages"])
        return "[[ ## caption ## ]]\nx\n\n[[ ## completed ## ]]"

    async with FakeServer(answer) as server:
        for mode in ("lean", "litellm"):
            async with Engine(transport=mode) as engine:  # type: ignore[arg-type]
                await run(see(api_base=server.url), {"photo": one.sign, "question": "?"}, engine)
    assert blob.data
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
