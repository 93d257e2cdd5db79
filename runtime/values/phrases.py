"""Finds the value in a short answer, by the words around it that mean nothing and those that may reverse it.

A model answers `The label is spam.` where it should write `spam`, and `doesn't look like spam` where it should write
`ham`. No list of negations is ever complete, so the rule is the other way round: a value is taken out of a sentence
only if every other word is known to mean nothing. An explanation after a label is free text, where only a list of
negations can help, so such a label counts as a guess.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache

_EMPHASIS = "*_`"
_INFO = f"{string.ascii_letters}{string.digits}_+- \t\r"
"""Characters of the name of a fence's language."""
_QUOTES = "\"'`*“”„«»‘’"
_WORD = re.compile(r"\S+")
_ONLY_BULLET = re.compile(r"(?:[-*•–+]|1[.)])[ \t]{1,9}([^\W\d][^\n]*)")
_FULL_WIDTH = re.compile("[\uff01-\uff5e]")
_TO_ASCII = 0xFF01 - 0x21
_LEAD_WORDS = 12
"""Words of a lead-in at most."""
_LONGEST_PHRASE = 400
"""Characters; nothing is looked for in a longer sentence."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LEADS = _words(
    """
    the this that these it its it's a an my our your final correct right best predicted overall resulting chosen selected
    answer answers result results output outputs value values label labels category categories class classification item
    items list intent sentiment topic type tag choice option score rating count number total confidence probability date
    is are be as here so thus therefore hence ok okay sure you
    antwort ergebnis kategorie réponse résultat catégorie respuesta resultado categoría resposta categoria risposta
    ответ результат категория 答案 回答 标签 分类 结果 ラベル 分類 答え 결과 답 답변
    """
)
"""Words of a lead-in, such as `The final answer is`."""
_TALK = _LEADS | _words(
    """
    of to for in under into message text email mail review ticket question request sentence document article comment post
    customer user sender expresses express describes mentions looks like seems appears sounds falls belongs classified
    categorized categorised labelled labeled tagged marked considered classify categorize categorise i would will say
    choose pick select think believe i'd clearly definitely certainly probably likely most was
    """
)
"""Words of a sentence that only leads up to a label."""
_ENDS_LEAD = ("is", "are", "be", "=")
_TURNS = _words(
    """
    not no never neither nor none nothing cannot without except excluding but unless if unlike instead rather than wrong
    incorrect invalid false untrue example examples sample samples template templates draft
    or either alternatively wait actually correction oops
    maybe perhaps possibly might could may unsure uncertain unclear doubt doubtful unlikely improbable hardly barely
    scarcely far opposite avoid rejected excluded ruled dismissed although though however despite contrary less fewer lack
    lacks lacking fails failed zero non anti mistake mistaken otherwise besides almost nearly
    old previous previously before earlier initial initially
    kein keine keinen nicht nie ohne statt außer oder vielleicht beispiel falsch sondern aber
    pas non ni sans sauf jamais ou aucun aucune exemple mais
    sin ningún ninguna nunca tampoco quizás ejemplo pero não nem sem nunca exemplo mas senza mai oppure esempio ma
    не нет без или никогда пример но
    """
)
"""Words that may reverse the meaning of what stands near them."""
_TURNING = re.compile(r"n['’]t\b|\be\.g\.|不|非|没|沒|無|无|未|例|ない|なし|아니|예시|\?|？")
_EXCLUDES = _words(
    """
    exclude excludes excluded exclusion exclusions omit omits omitted ignore ignored skip skipped reject rejects discard
    discarded forbidden banned irrelevant unrelated
    """
)
"""Words of a heading over what is not the answer."""
_CORRECTS = _words(
    """
    wait actually correction wrong incorrect oops alternatively mistake mistaken remove drop replace instead except without
    """
)
_TITLE_OF_ELSE = re.compile(
    r"[\W_]{0,9}(?:removed|dropped|deleted|missing|absent|bad|format|schema|template|input)\b", re.IGNORECASE
)
"""How a heading begins over what is not the answer. Elsewhere in a lead-in such a word says little."""
_CLOSES = _LEADS | _words(
    """
    note notes done end complete and all of let me know if need anything else have any question questions further hope
    helps help this feel free to ask more information please would like happy assist
    """
)
"""Words of a remark behind an answer, such as `Let me know`, that say nothing of it."""


def unfenced(text: str) -> str:
    """The text without the code fence around all of it."""
    stripped = text.strip()
    if len(stripped) < 6 or not stripped.startswith("```") or not stripped.endswith("```"):
        return stripped
    first, line_break, rest = stripped[3:-3].partition("\n")
    if "```" in first or "```" in rest:
        return stripped
    return rest.strip() if line_break and not first.strip(_INFO) else stripped[3:-3].strip()


def unmarked(text: str) -> str:
    """The text without the bullet before its only line."""
    match = _ONLY_BULLET.fullmatch(text)
    return match[1] if match else text


def bare(text: str) -> str:
    """The text without the fence, quotes, emphasis and full stop that models put around a value."""
    return unfenced(text).strip(_EMPHASIS).rstrip(".").strip().strip(_QUOTES).strip()


def turns(text: str) -> bool:
    """Whether the text may reverse the meaning of what stands beside it: by a negation, an alternative, an example."""
    lowered = text.casefold()
    if _TURNING.search(lowered):
        return True
    return any(word in _TURNS for word in re.findall(r"[^\W\d_]+", lowered))


def excludes(text: str) -> bool:
    """Whether a heading or a lead-in may say that what follows is not the answer."""
    return (
        turns(text)
        or _TITLE_OF_ELSE.match(text) is not None
        or any(word in _EXCLUDES for word in re.findall(r"[^\W\d_]+", text.casefold()))
    )


def corrects(text: str) -> bool:
    """Whether the text takes back what was said before it."""
    return any(word in _CORRECTS for word in re.findall(r"[^\W\d_]+", text.casefold()))


def says_nothing(text: str) -> bool:
    """Whether a remark behind an answer has only words that leave the answer what it is. No list of those that change it is
    ever complete: `Drop the last one.`"""
    return all(word in _CLOSES for word in re.findall(r"\w+", text.casefold()))


def last_sentence(text: str) -> str:
    return re.split(r"[.!?]\s", text)[-1]


def after_lead(text: str, name: str) -> str:
    """What follows a lead-in such as `Answer:`, `The answer is` or the output's own name; the text where it has none."""
    own = fold(name).split()
    for number, match in enumerate(_WORD.finditer(text[:_LONGEST_PHRASE])):
        if number >= _LEAD_WORDS:
            break
        piece = match[0].strip(_EMPHASIS + "#>").casefold()
        ends = piece in _ENDS_LEAD or piece.endswith((":", "：", "="))
        word = piece.rstrip(":：=").strip(_QUOTES)
        if word and word not in _LEADS and word not in own and fold(word) != " ".join(own):
            cut = re.match(r"[*_`#> ]{0,6}([^\W\d]{1,12})[:：](?=\S)", text)
            return text[cut.end() :].strip() if cut and cut[1].casefold() in _LEADS and not number else text
        if ends:
            rest = text[match.end() :].strip()
            return rest or text
    return text


def fold(text: str) -> str:
    """The text without case, word separators and punctuation; signs such as `<`, `+` and `#` stay."""
    text = re.sub(r"(?<=\w)(?:\s+|_+|-)(?=\w)", " ", text.casefold().strip())
    return re.sub(r"[\"'`*“”„‘’«».,;:()\[\]{}]|(?<=\s)\s+", "", text).strip() or text


@lru_cache(maxsize=256)
def _spellings(values: tuple[str, ...]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The labels by their spelling in small letters, and by their folded spelling; None where two labels share one."""
    small: dict[str, str | None] = {}
    folded: dict[str, str | None] = {}
    for value in dict.fromkeys(values):
        small[value.casefold()] = None if value.casefold() in small else value
        folded[fold(value)] = None if fold(value) in folded else value
    return small, folded


def spelled(text: str, values: tuple[str, ...]) -> str | None:
    """The label that the text is: as written, in another case, or with other separators; None where it is no label."""
    if text in values:
        return text
    text = _FULL_WIDTH.sub(lambda match: chr(ord(match[0]) - _TO_ASCII), text)
    small, folded = _spellings(values)
    for spelling, known in ((text.casefold(), small), (fold(text), folded)):
        if spelling in known:
            return known[spelling]
    return None


def label_said(text: str, values: tuple[str, ...], name: str) -> str | None:
    """The label at the end of a sentence, if every other word in it is known to mean nothing."""
    if len(text) > _LONGEST_PHRASE or "\n" in text:
        return None
    words = text.rstrip(".!").split()
    for size in range(min(len(words), 8), 0, -1):
        tail = " ".join(words[-size:]).strip(_QUOTES)
        label = spelled(tail, values)
        if label is not None:
            own = fold(name).split()
            before = [word.strip(_QUOTES + ":,=") for word in words[:-size]]
            # A word that means nothing, such as `a`, may also be a label in another case: nobody knows which it is.
            if any(spelled(word, values) for word in before) or (
                tail not in values and tail.casefold() in _TALK
            ):
                return None
            said = all(not word or word.casefold() in _TALK or word.casefold() in own for word in before)
            return label if said else None
    return None


_EXPLAINED = re.compile(r"\s*(?:\n|\(|[,]?\s+because\s|[,]\s+(?:since|as)\s|[.]\s|\s[-–—]\s)(.*)", re.DOTALL)

_NEXT_FIELD = re.compile(r"\s*[\w ]{1,30}[:=]\s")
"""What looks like another output."""


def label_explained(text: str, values: tuple[str, ...]) -> str | None:
    """The label that an answer begins with, if the rest explains it and names no other label."""
    if len(text) > _LONGEST_PHRASE:
        return None
    for match in re.finditer(r"\n|\(|,?\s|\.\s", text):
        label = spelled(bare(text[: match.start()]), values)
        if label is None:
            continue
        explained = _EXPLAINED.match(text, match.start())
        if explained is None:
            continue
        said = explained[1]
        others = [value for value in values if value != label]
        named = any(re.search(rf"(?<!\w){re.escape(fold(value))}(?!\w)", fold(said)) for value in others)
        plain = (
            _NEXT_FIELD.match(said) is None
            and len(said.split()) >= 3
            and not named
            and not turns(said)
            and not re.search(r"[\d%]", said)
        )
        return label if plain else None
    return None


SCALING = _words(
    """
    k m b t mm bn mn mil mln mld mia mio mrd tsd cr lakh lakhs lac crore crores hundred hundreds thousand thousands million
    millions billion billions trillion trillions dozen dozens e percent percents pct permille promille bp bps ppm ppb
    k€ m€ keur teur meur kusd musd kgbp mgbp half halves third thirds quarter quarters
    """
)
"""Words after a number that scale it."""
_SCALE_A_COMMENT = (SCALING | {"minus", "plus", "times"}) - _words(
    "half halves third thirds quarter quarters"
)
_SCALES = SCALING | _words(
    """
    or and not to ish odd plus minus less fewer more below above ago before under over max most least about approx
    """
)
"""Words after a number that scale or change it, even where an output has their name."""
UNITS = _words(
    """
    item items result results piece pieces pcs pc unit units entry entries row rows line lines word words character
    characters char chars token tokens page pages person persons people user users customer customers message messages
    ticket tickets review reviews document documents file files vote votes star stars point points pts step steps
    question questions answer answers sentence sentences paragraph paragraphs element elements record records order
    orders product products book books
    ms s sec secs second seconds min mins minute minutes h hr hrs hour hours day days week weeks month months year years
    yr yrs
    nm µm mm cm dm km inch inches ft foot feet yd yard yards mi mile miles meter meters metre metres kilometer kilometers
    kilometre kilometres
    mg g kg gram grams kilogram kilograms oz lb lbs tonne tonnes
    ml cl dl l liter liters litre litres m² cm² mm² km² m³ cm³ ha acre acres
    °c °f ° degree degrees celsius fahrenheit hz khz mhz ghz w kw kwh wh volt volts watt watts kj kcal cal calories pa
    kpa hpa bar psi px rpm fps mph kph
    bit bits byte bytes kb mb gb tb kib mib gib tib
    € £ ¥ $ eur usd gbp jpy chf cad aud nzd cny inr krw sek nok dkk pln czk huf brl mxn zar euro euros dollar dollars yen
    """
)
"""Words after a number that leave it what it is. No list of words that change a number is ever complete."""
_NUMBER = re.compile(
    r"""
    (?P<currency>[$€£¥]\s?)?
    (?P<sign>[+−-]?)
    (?P<currency2>[$€£¥]\s?)?
    (?P<digits>\d{1,3}(?:,\d{3})+|\d{1,3}(?:_\d{3})+|\d{1,300}|(?=\.\d))
    (?P<fraction>\.\d{1,300})?
    (?P<exponent>[eE][+-]?\d{1,3})?
    \s?(?P<unit>[A-Za-zµ°€£¥$²³]{1,12}(?:/[A-Za-z]{1,6})?)?
    """,
    re.VERBOSE,
)
_RATE = UNITS | {"m", "g", "d"}
_POINTS = re.compile(r"[+−-]?\d{1,3}(?:\.\d{3})+")
_COMMENT = re.compile(r"\s(?:#|//)\s*([^\n]{0,200})$")


def _is_unit(word: str, name: str) -> bool:
    """Whether a word after a number leaves it what it is."""
    small = word.casefold()
    if "/" in small:
        return all(part in _RATE for part in small.split("/"))
    if small in UNITS:
        return word != "MM"  # millions, in finance
    own = fold(name)
    return small not in _SCALES and small in (own, f"{own}s")


def uncommented(text: str) -> tuple[str, str]:
    """The text without the comment at its end, and the comment; with it, where it turns or scales what stands before it."""
    comment = _COMMENT.search(text) if len(text) <= _LONGEST_PHRASE else None
    if comment is None or turns(comment[1]) or re.search(r"[\d%‰]", comment[1]):
        return text, ""
    if any(word in _SCALE_A_COMMENT for word in re.findall(r"[^\W\d_]+", comment[1].casefold())):
        return text, ""
    return text[: comment.start()], comment[1]


def number_said(text: str, name: str, *, whole: bool) -> str | None:
    """The digits of the number that is all the text says, spelled for Python; None where it says anything else.

    A word may follow it only if it is a unit, or the output's `name`.
    Where a `whole` number is wanted, `1.500` gives None too: the point may part thousands.
    """
    text = bare(text).rstrip("!")
    if whole and _POINTS.fullmatch(text):
        return None
    match = _NUMBER.fullmatch(text)
    if match is None or not (match["unit"] is None or _is_unit(match["unit"], name)):
        return None
    sign = match["sign"].replace("−", "-")
    digits = re.sub("[,_]", "", match["digits"]) or "0"
    return f"{sign}{digits}{match['fraction'] or ''}{match['exponent'] or ''}"
