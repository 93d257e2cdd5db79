"""Text as the editor counts it, against a model that works on encoded units."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from dspec.lsp.documents import Documents
from dspec.lsp.text import ENCODINGS, ClientPosition, Encoding, Text

UNIT = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}

TRICKY = st.text(st.sampled_from("ab \n\r\t\u2028\x85\x0c\x0b\x1céß語😀\U0010ffff"), max_size=40)


class Model:
    """Lines as lists of characters with their endings, columns as encoded units: slow and plain."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self.text, self.encoding = text, encoding
        self.lines = [""]
        position = 0
        while position < len(text):
            if text.startswith("\r\n", position):
                self.lines[-1] += "\r\n"
                self.lines.append("")
                position += 2
                continue
            self.lines[-1] += text[position]
            if text[position] in "\r\n":
                self.lines.append("")
            position += 1

    def width(self, text: str) -> int:
        return len(text.encode(CODEC[self.encoding])) // UNIT[self.encoding]

    def offset(self, place: ClientPosition) -> int:
        if place.line >= len(self.lines):
            return len(self.text)
        start = sum(len(line) for line in self.lines[: place.line])
        line = self.lines[place.line].rstrip("\r\n")
        fits = [n for n in range(len(line) + 1) if self.width(line[:n]) >= place.column]
        return start + (fits[0] if fits else len(line))

    def place(self, offset: int) -> ClientPosition:
        for number, line in enumerate(self.lines):
            if offset < len(line) or number + 1 == len(self.lines):
                return ClientPosition(number, self.width(line[:offset]))
            offset -= len(line)
        raise AssertionError


places = st.builds(ClientPosition, st.integers(0, 12), st.integers(0, 30))


@given(TRICKY, st.sampled_from(ENCODINGS), places)
def test_offsets_agree_with_the_model(content: str, encoding: Encoding, place: ClientPosition) -> None:
    assert Text(content, encoding).offset(place) == Model(content, encoding).offset(place)


@given(TRICKY, st.sampled_from(ENCODINGS), st.integers(0, 45))
def test_places_agree_with_the_model(content: str, encoding: Encoding, offset: int) -> None:
    offset = min(offset, len(content))
    assert Text(content, encoding).place(offset) == Model(content, encoding).place(offset)


@given(TRICKY, st.sampled_from(ENCODINGS))
def test_a_place_leads_back_to_its_offset(content: str, encoding: Encoding) -> None:
    text = Text(content, encoding)
    for offset in range(len(content) + 1):
        if content[offset - 1 : offset + 1] != "\r\n":  # between the two there is no place
            assert text.offset(text.place(offset)) == offset


@settings(max_examples=50)
@given(
    TRICKY,
    st.sampled_from(ENCODINGS),
    st.lists(st.tuples(places, places, TRICKY), max_size=12),
)
def test_edits_agree_with_the_model(
    content: str, encoding: Encoding, edits: list[tuple[ClientPosition, ClientPosition, str]]
) -> None:
    text, expected = Text(content, encoding), content
    for start, end, replacement in edits:
        model = Model(expected, encoding)
        first, last = sorted((model.offset(start), model.offset(end)))
        expected = expected[:first] + replacement + expected[last:]
        text = text.edited(start, end, replacement)
        assert text.content == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_lf_cr_and_crlf_end_lines(encoding: Encoding) -> None:
    text = Text("a\u2028b\x85c\x0cd\ne\r\nf\rg", encoding)
    assert [text.place(text.content.index(letter)).line for letter in "abcdefg"] == [0, 0, 0, 0, 1, 2, 3]


def partial(
    start: tuple[int, int], end: tuple[int, int], text: str
) -> types.TextDocumentContentChangePartial:
    return types.TextDocumentContentChangePartial(
        types.Range(types.Position(*start), types.Position(*end)), text
    )


def opened(uri: str, text: str) -> Documents:
    documents = Documents()
    documents.open(types.TextDocumentItem(uri, types.LanguageKind.Python, 1, text))
    return documents


def test_changes_apply_in_order_to_the_text_that_the_last_one_left() -> None:
    documents = opened("file:///a.dspec", "one\ntwo\n")
    document = documents.change(
        types.VersionedTextDocumentIdentifier(2, "file:///a.dspec"),
        [partial((0, 0), (1, 0), ""), partial((0, 3), (0, 3), "!"), partial((1, 0), (9, 9), "three")],
    )
    assert document is not None
    assert (document.text.content, document.version) == ("two!\nthree", 2)


def test_a_change_without_a_range_replaces_everything() -> None:
    documents = opened("file:///a.dspec", "one")
    document = documents.change(
        types.VersionedTextDocumentIdentifier(2, "file:///a.dspec"),
        [types.TextDocumentContentChangeWholeDocument("two")],
    )
    assert document is not None
    assert document.text.content == "two"


def test_a_document_that_is_not_open_does_not_change() -> None:
    documents = opened("file:///a.dspec", "one")
    other = types.VersionedTextDocumentIdentifier(2, "file:///b.dspec")
    assert documents.change(other, [partial((0, 0), (0, 0), "x")]) is None
    assert [document.text.content for document in documents.all()] == ["one"]


def test_halves_of_surrogate_pairs_become_replacement_characters() -> None:
    documents = opened("file:///a.dspec", "a\ud800b")
    document = documents.get("file:///a.dspec")
    assert document is not None
    assert document.text.content == "a\ufffdb"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///project/a%20b.dspec", "a b.dspec"),
        ("untitled:Untitled-1", "untitled.dspec"),
        ("file:///project/a%00b.dspec", "untitled.dspec"),
        ("vscode-notebook-cell:/x#1", "untitled.dspec"),
        ("", "untitled.dspec"),
    ],
)
def test_every_uri_gives_a_path(uri: str, name: str) -> None:
    document = opened(uri, "").get(uri)
    assert document is not None
    assert document.path.name == name
