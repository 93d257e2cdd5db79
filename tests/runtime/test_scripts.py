"""Texts in every script: how they are compared, and found; Latin ones as they always were."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspec.runtime.index.bm25 import WordIndex
from dspec.runtime.index.ngrams import NgramIndex
from dspec.runtime.index.plain import PlainIndex
from dspec.runtime.models.embedded.features import split_sentences, words
from dspec.runtime.values.functions import FUNCTIONS
from dspec.runtime.values.scoring import (
    dpr_match,
    exact_match,
    normalize_text,
    passage_match,
    squad_f1,
    squad_normalize,
    token_f1,
)
from dspec.runtime.values.scripts import beyond_latin, mostly_latin, normal, tokens


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


NORMAL = {
    "chinese": ("《红楼梦》，曹雪芹 著。", "红楼梦曹雪芹著"),
    "chinese with latin": ("GPT-4 模型，第２版", "gpt4模型第2版"),
    "a is no article in a run": ("血液型はA型です", "血液型はa型です"),
    "japanese": ("「ジョン・スミス」です。", "ジョンスミスです"),
    "half-width kana": ("ｶﾞｷﾞ", "ガギ"),
    "full-width latin": ("Ｔｈｅ　ＡＢＣ！", "abc"),
    "thai": ("กรุงเทพฯ เป็น เมืองหลวง", "กรุงเทพฯเป็นเมืองหลวง"),
    "thai digits": ("๒๕๖๗", "2567"),
    "arabic": ("القَاهِرَةُ، مِصْر؟", "القاهرة مصر"),
    "arabic tatweel": ("مـــصر", "مصر"),
    "arabic digits": ("٤٢", "42"),
    "persian, joiner": ("می\u200cروم", "میروم"),
    "hebrew points": ("שָׁלוֹם", "שלום"),
    "russian": ("«Это — ответ».", "это ответ"),
    "korean": ("서울은, 수도입니다.", "서울은 수도입니다"),
    "hindi": ("सत्य क्या है?", "सत्य क्या है"),
}


@pytest.mark.parametrize(("text", "expected"), NORMAL.values(), ids=NORMAL)
def test_what_a_text_counts_as(text: str, expected: str) -> None:
    assert beyond_latin(text)
    assert normalize_text(text) == nfd(expected)
    assert exact_match([text], expected)
    assert exact_match([expected], text)


@pytest.mark.parametrize(
    ("gold", "pred", "expected"),
    [
        ("東京都", "東京", 0.8),
        ("東京", "東京。", 1.0),
        ("东京", "北京", 0.5),
        ("เมืองหลวง", "เมือง หลวง", 1.0),
        ("กขค", "งจฉ", 0.0),
        ("القاهرة مصر", "القَاهِرَة", 2 / 3),
        ("ответ — да", "«да»", 2 / 3),
        ("Müller", "Müller", 1.0),
        ("42", "４２。", 1.0),
        ("", "。", 0.0),
    ],
)
def test_f1_counts_characters_where_no_space_divides_words(gold: str, pred: str, expected: float) -> None:
    assert token_f1([gold], pred) == pytest.approx(expected)
    assert token_f1([pred], gold) == pytest.approx(expected)


def test_a_character_is_taken_with_its_marks() -> None:
    assert tokens("ป็น") == ["ป็", "น"]
    assert tokens("ガ") == [nfd("ガ")]
    assert token_f1(["が"], "か") == 0.0


def test_passages_have_references_as_whole_words_or_as_characters() -> None:
    assert passage_match(["東京"], ["日本の首都は東京です。"])
    assert not passage_match(["東阪"], ["東京と大阪"])
    assert passage_match(["القاهرة"], ["عاصمة مصر هي القَاهِرَةُ."])
    assert not passage_match(["مصر"], ["المصري"])
    assert passage_match(["GPT-4"], ["新しいGPT4 モデル"])


def test_the_published_rules_have_names_of_their_own() -> None:
    assert squad_f1(["東京都"], "東京") == 0.0
    assert squad_normalize("「東京」、A") == nfd("「東京」、a")
    assert not dpr_match(["東京"], ["首都は東京です"])
    for name, given_, expected in (
        ("squad_normalize", ["The Cat!"], "cat"),
        ("squad_exact_match", ["東京", "東京。"], False),
        ("squad_exact_match", [["dog", "cat"], "The cat."], True),
        ("squad_f1", ["black cat", "the cat"], 2 / 3),
        ("dpr_passage_match", ["cat", ["a black cat"]], True),
    ):
        assert FUNCTIONS[name].call(*given_) == pytest.approx(expected), name


LATIN = st.text(
    st.one_of(
        st.characters(max_codepoint=0x36F, categories=("L", "M", "N", "P", "S", "Z")),
        st.characters(min_codepoint=0x1E00, max_codepoint=0x1EFF),
        st.characters(min_codepoint=0x2010, max_codepoint=0x218F),
        st.sampled_from(" .,a'\"-the①🙂"),
    ),
    max_size=40,
).filter(lambda text: text.isascii() or all(ord(one) < 0x370 or ord(one) >= 0x1E00 for one in text))


def as_squad(text: str) -> str:
    """SQuAD's rule said once more, as its script and DSPy have it."""
    plain = "".join(one for one in nfd(text).lower() if one not in string.punctuation)
    return " ".join(word for word in plain.split() if word not in ("a", "an", "the"))


@given(LATIN, LATIN)
def test_latin_texts_count_as_they_always_did(gold: str, pred: str) -> None:
    assert not beyond_latin(gold)
    assert normalize_text(gold) == as_squad(gold)
    assert token_f1([gold], pred) == squad_f1([gold], pred)
    assert passage_match([gold], [pred]) == dpr_match([gold], [pred])


ANY = st.text(st.one_of(st.characters(), st.sampled_from("東京。、 กา็ำ 、مَصرـ ７٤a the'")), max_size=30)


@given(ANY)
def test_a_normal_form_is_its_own(text: str) -> None:
    plain = normal(text)
    assert normal(plain) == plain
    assert tokens(plain) == tokens(text)


ROWS = {
    "chinese": (
        ["退款什么时候到账", "包裹还没有送到", "密码忘记了怎么办", "发票抬头写错了"],
        "我的包裹没送到",
        1,
    ),
    "japanese": (
        ["返金はいつですか", "荷物が届きません", "パスワードを忘れました", "請求書が違います"],
        "まだ荷物が来ない",
        1,
    ),
    "thai": (["คืนเงินเมื่อไหร่", "พัสดุยังไม่มาถึง", "ลืมรหัสผ่าน", "ใบแจ้งหนี้ผิด"], "พัสดุไม่มา", 1),
    "arabic": (["متى يصل المبلغ", "لم يصل الطرد بعد", "نسيت كلمة المرور", "الفاتورة خاطئة"], "أين الطَّرْد", 1),
    "russian": (
        ["когда вернут деньги", "посылка не пришла", "забыл пароль", "счёт неверный"],
        "где моя посылка",
        1,
    ),
}


@pytest.mark.parametrize(("rows", "query", "place"), ROWS.values(), ids=ROWS)
def test_what_is_near_is_found_in_every_script(rows: list[str], query: str, place: int) -> None:
    likeness = PlainIndex(rows).likeness(query)
    assert max(range(len(rows)), key=likeness.__getitem__) == place
    assert NgramIndex.build(rows).search(query, 1)[0][0] == place
    found = WordIndex.build(rows).search(query, 2)
    assert found, "BM25 knows no word of it"
    assert found[0][0] == place


def test_bm25_tells_pairs_of_characters_from_characters() -> None:
    rows = ["京東は会社です", "東京は都市です"]
    assert WordIndex.build(rows).search("東京", 1)[0][0] == 1
    assert WordIndex.build(rows).search("京東", 1)[0][0] == 0


def test_words_of_latin_texts_are_what_they_were() -> None:
    assert words("Don’t use account_access, naïve") == ["don't", "use", "account", "access", "naïve"]
    assert words("м’ята ＧＰＴ模型") == ["м'ята", "gpt", "模", "型"]


def test_sentences_end_as_each_script_ends_them() -> None:
    assert split_sentences("一つ。二つ！三つ") == ["一つ。", "二つ！", "三つ"]
    assert split_sentences("هل؟ نعم.") == ["هل؟", "نعم."]
    assert split_sentences("e.g. one. two") == ["e.g.", "one.", "two"]


def test_a_greek_letter_makes_no_greek_text() -> None:
    assert beyond_latin("an α-helix")
    assert mostly_latin("an α-helix of a protein")
    assert not mostly_latin('{"text": "東京はどこ"}')
