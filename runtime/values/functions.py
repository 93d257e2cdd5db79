"""The functions that expressions may call: the only place where a function's facts stand.

The checker, completion, hover, the docs and `interpret` read this table. Every function is pure,
total on the types it declares, and bounded; it raises ValueError for values it cannot use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import lru_cache
from typing import Annotated, cast

from msgspec import Struct
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from ..schema.types import BOOL, FLOAT, INT, STR, JsonValue, ListOf, OneOf, OptionalOf, Scalar, Type, spell
from . import numbers, ranking, scoring
from .values import short, shown

MAX_PATTERN = 1_000
"""Characters of a regular expression."""
MAX_RANGE = 10_000
"""Numbers that `range` gives."""
MAX_PARTS = 200_000
"""Parts of a text that is split."""
MAX_JOINED = 4_000_000
"""Characters of all separators between texts that are joined."""


class Marker(Enum):
    """Types of arguments and results that a plain `Type` cannot say; the value is the wording for users."""

    ANYTHING = "any value"
    NUMBER = "number"
    """int or float; as a result: int where every argument is int."""
    NUMBERS = "list of numbers"
    """Also booleans, true counting 1; as an item of a variadic parameter: a number or such a list."""
    SIZED = "text, list or dict"
    GAINS = "list, or dict of numbers"
    """Relevant items, or the gain of each."""
    TEXTS = "text or list of texts"
    ANY_LIST = "list"
    SAME = "same as the first argument"
    ITEM = "item of the first argument"


Kind = Type | Marker


class FunctionParameter(Struct, frozen=True):
    """`default` counts only when `required` is false. A `variadic` parameter takes one or more arguments. A number below
    `minimum` or above `maximum` makes every call fail."""

    name: str
    kind: Kind
    required: bool = True
    default: JsonValue = None
    variadic: bool = False
    minimum: float | None = None
    maximum: float | None = None


def _nothing(_size: int) -> int:
    return 0


def _each_sign(*sizes: int) -> int:
    return 4 * sum(sizes)


def _each_path(*sizes: int) -> int:
    """A leaf's path is written anew on each level."""
    return 16 * sum(sizes)


def _each_passage(gold: int, passages: int) -> int:
    """Each reference is looked for in each passage."""
    return 4 * (gold + passages) + gold * passages // 64


def _as_much(*sizes: int) -> int:
    return sum(sizes)


def _other_letters(size: int) -> int:
    """A letter may be three in the other case."""
    return 3 * size


def _within_quotes(size: int) -> int:
    """What JSON escapes once is escaped again."""
    return 2 * size + 2


def _parts(size: int, *_: int) -> int:
    """At worst each character is a part, with quotes and a comma around it."""
    return 5 * size + 2


def _numbers(_size: int) -> int:
    return 6 * MAX_RANGE


def _joined(size: int, separator: int = 4) -> int:
    """An item takes three characters at least: its quotes and a comma."""
    return size + separator * (size // 3)


class Function(Struct, frozen=True):
    """`call` takes the arguments by position, defaults filled in, variadic ones spread out."""

    name: str
    parameters: tuple[FunctionParameter, ...]
    result: Kind
    doc: str
    call: Callable[..., JsonValue]
    work: Callable[..., int] = _each_sign
    """How much a call looks at, from the sizes of its arguments (`interpret.Weights`)."""
    more: Callable[..., int] | None = None
    """How much it looks at or makes besides, from the arguments themselves. Raises ValueError where that is too much."""
    grows: Callable[..., int] = _as_much
    """Bytes of a text or list that it gives at most, from those of its arguments, each written as JSON."""


def misfit(function: Function, positional: int, named: Collection[str]) -> str | None:
    """What is wrong with a call of so many arguments by position and these by name, whatever their values; or None."""
    left, taken = set(named), 0
    for parameter in function.parameters:
        if parameter.variadic:
            if positional <= taken:
                return f"`{parameter.name}` is missing"
            taken = positional
        elif taken < positional:
            if parameter.name in left:
                return f"`{parameter.name}` is given twice"
            taken += 1
        elif parameter.required and parameter.name not in left:
            return f"`{parameter.name}` is missing"
        left.discard(parameter.name)
    if left:
        return f"there is no parameter `{min(left)[:80]}`"
    if positional > taken:
        return f"takes {len(function.parameters)} arguments, got {positional}"
    return None


def _majority(values: list[JsonValue]) -> JsonValue:
    if not values:
        raise ValueError("`majority` needs a list with something in it")
    place, _ = scoring.most_agreed(values)
    return values[place]


def accepts(kind: Kind, value: JsonValue) -> bool:
    """Whether an argument is of the kind, as far as a function relies on it."""
    match kind:
        case Marker.ANYTHING:
            return True
        case Marker.NUMBER:
            return _is_number(value)
        case Marker.NUMBERS:
            return isinstance(value, list) and all(isinstance(item, int | float) for item in value)
        case Marker.SIZED:
            return isinstance(value, str | list | dict)
        case Marker.GAINS:
            return isinstance(value, list) or (
                isinstance(value, dict) and all(map(_is_number, value.values()))
            )
        case Marker.TEXTS:
            return isinstance(value, str) or accepts(ListOf(item=STR), value)
        case Marker.ANY_LIST | Marker.SAME | Marker.ITEM:
            return isinstance(value, list)
        case Scalar(name="int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case Scalar(name="float"):
            return _is_number(value)
        case Scalar(name="bool"):
            return isinstance(value, bool)
        case Scalar(name="any"):
            return True
        case OptionalOf(item=item):
            return value is None or accepts(item, value)
        case ListOf(item=item):
            return isinstance(value, list) and all(accepts(item, element) for element in value)
        case _:
            return isinstance(value, str)


def wording(kind: Kind) -> str:
    """The kind as a message names it."""
    return kind.value if isinstance(kind, Marker) else spell(kind)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def valid_pattern(pattern: str) -> None:
    """Raises ValueError when `matches` cannot take the pattern, and says why."""
    _pattern(pattern)


@lru_cache(maxsize=128)
def _pattern(pattern: str) -> TypeAdapter[str]:
    # pydantic matches with Rust's regex engine: linear time, so a hostile pattern or text cannot hang.
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].strip().removeprefix("error: ")
        raise ValueError(f"not a pattern that can be matched: {reason}") from None


def _matches(text: str, pattern: str) -> bool:
    try:
        _pattern(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


def _contains(whole: JsonValue, part: JsonValue) -> bool:
    if isinstance(whole, str):
        if not isinstance(part, str):
            raise ValueError(f"looks for text in text, got {short(part)}")
        return part in whole
    if isinstance(whole, dict):
        return isinstance(part, str) and part in whole
    return any(equal(element, part) for element in cast("list[JsonValue]", whole))


def _split(text: str, separator: str) -> list[JsonValue]:
    return list(text.split(separator or None, MAX_PARTS))


def _join(items: Sequence[str], separator: str) -> str:
    return separator.join(items)


def _separators(items: Sequence[str], separator: str) -> int:
    size = len(items) * len(separator)
    if size > MAX_JOINED:
        raise ValueError("the result is too large")
    return size


def _pairs(items: list[JsonValue]) -> int:
    """Each list or dict is compared with every other one."""
    inner = sum(isinstance(item, list | dict) for item in items)
    return 8 * inner * inner


def _scans(text: str, pattern: str) -> int:
    """A counted repetition is as much work as so many copies of what it repeats, each tried at every character."""
    return len(text) * _copies(pattern) // 8


def _copies(pattern: str) -> int:
    """How long a pattern is with its counted repetitions written out."""
    open_groups, last = [0], 0
    place = 0
    while place < len(pattern):
        symbol = pattern[place]
        counted = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}").match(pattern, place)
        if counted is not None:
            times = max(int(counted[1]), int(counted[2] or 1))
            open_groups[-1] += last * (times - 1)
            last *= times
            place = counted.end()
            continue
        if symbol == "(":
            open_groups.append(0)
        elif symbol == ")" and len(open_groups) > 1:
            last = open_groups.pop()
            open_groups[-1] += last
        else:
            last = 1
            open_groups[-1] += 1
            place += symbol == "\\"
        place += 1
    return max(1, sum(open_groups))


def _round(number: float, digits: int) -> JsonValue:
    return round(number, max(-300, min(300, digits)))


def _abs(number: float) -> JsonValue:
    return abs(number)


def _flat(values: tuple[JsonValue, ...]) -> list[float]:
    numbers: list[float] = []
    for value in values:
        numbers.extend(cast("list[float]", value) if isinstance(value, list) else [cast("float", value)])
    if not numbers:
        raise ValueError("needs at least one number")
    return numbers


def _sum(numbers: list[float]) -> JsonValue:
    # Exactly rounded, so that the order of the items does not matter.
    return math.fsum(numbers) if any(isinstance(number, float) for number in numbers) else sum(numbers)


def _mean(numbers: list[float]) -> float:
    if not numbers:
        raise ValueError("needs at least one number")
    return math.fsum(numbers) / len(numbers)


def _unique(items: list[JsonValue]) -> list[JsonValue]:
    out: list[JsonValue] = []
    plain: set[tuple[type, JsonValue]] = set()
    for item in items:
        if isinstance(item, list | dict):
            if not any(equal(item, other) for other in out):
                out.append(item)
        elif (key := (bool if isinstance(item, bool) else object, item)) not in plain:
            plain.add(key)
            out.append(item)
    return out


def _first(items: list[JsonValue], count: int) -> list[JsonValue]:
    return items[: max(0, count)]


def _range(count: int) -> list[JsonValue]:
    if count > MAX_RANGE:
        raise ValueError(f"counts to {MAX_RANGE:,} at most, and this is {count:,}")
    return list(range(count))


def _golds(gold: JsonValue) -> list[str]:
    return [gold] if isinstance(gold, str) else cast("list[str]", gold)


def _exact_match(gold: JsonValue, pred: JsonValue) -> bool:
    texts = isinstance(gold, str) or (isinstance(gold, list) and all(isinstance(item, str) for item in gold))
    if isinstance(pred, str) and texts:
        return scoring.exact_match(_golds(gold), pred)
    return equal(gold, pred)


def _answer_exact_match(gold: JsonValue, pred: str, frac: float) -> bool:
    if frac < 1.0:
        return scoring.token_f1(_golds(gold), pred) >= frac
    return scoring.exact_match(_golds(gold), pred)


def _answer_passage_match(gold: JsonValue, passages: list[str]) -> bool:
    return scoring.passage_match(_golds(gold), passages)


def _f1(gold: JsonValue, pred: str) -> float:
    return scoring.token_f1(_golds(gold), pred)


def _squad_exact_match(gold: JsonValue, pred: str) -> bool:
    return scoring.squad_normalize(pred) in map(scoring.squad_normalize, _golds(gold))


def _squad_f1(gold: JsonValue, pred: str) -> float:
    return scoring.squad_f1(_golds(gold), pred)


def _dpr_passage_match(gold: JsonValue, passages: list[str]) -> bool:
    return scoring.dpr_match(_golds(gold), passages)


def _close(gold: float | None, pred: float | None, tolerance: float) -> bool:
    if gold is None or pred is None:
        return gold is pred
    return abs(gold - pred) <= tolerance


def equal(left: JsonValue, right: JsonValue) -> bool:
    """Equality of JSON values: values of unlike types are never equal, `1` and `1.0` are."""
    if isinstance(left, str):
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _number_in(text: str, which: str, mark: str) -> float | None:
    if which not in _WHICH.values or mark not in _MARK.values:
        raise ValueError('`which` is "last", "first" or "only", and `mark` is "." or ","')
    return numbers.number_in(text, cast("numbers.Which", which), cast("numbers.Mark", mark))


_WHICH, _MARK = OneOf(values=("last", "first", "only")), OneOf(values=(".", ","))
_RELEVANT, _RANKING = (
    FunctionParameter("gold", Marker.ANY_LIST),
    FunctionParameter("ranking", Marker.ANY_LIST),
)
_K = FunctionParameter("k", INT, minimum=1)
_TEXT = FunctionParameter("text", STR)
_GOLD = FunctionParameter("gold", Marker.TEXTS)

_TABLE: tuple[Function, ...] = (
    Function(
        "len",
        (FunctionParameter("value", Marker.SIZED),),
        INT,
        "Characters of a text, items of a list or dict.",
        len,
        work=_nothing,
    ),
    Function("lower", (_TEXT,), STR, "The text in lower case.", str.lower, grows=_other_letters),
    Function("upper", (_TEXT,), STR, "The text in upper case.", str.upper, grows=_other_letters),
    Function("strip", (_TEXT,), STR, "The text without white space at its ends.", str.strip),
    Function(
        "str",
        (FunctionParameter("value", Marker.ANYTHING),),
        STR,
        "The value as text: text as it is, anything else as JSON, so `none` is `null`.",
        shown,
        grows=_within_quotes,
    ),
    Function(
        "contains",
        (FunctionParameter("whole", Marker.SIZED), FunctionParameter("part", Marker.ANYTHING)),
        BOOL,
        "Whether a text has the part, a list the item, or a dict the key.",
        _contains,
    ),
    Function(
        "startswith",
        (_TEXT, FunctionParameter("part", STR)),
        BOOL,
        "Whether the text starts with the part.",
        str.startswith,
    ),
    Function(
        "endswith",
        (_TEXT, FunctionParameter("part", STR)),
        BOOL,
        "Whether the text ends with the part.",
        str.endswith,
    ),
    Function(
        "split",
        (_TEXT, FunctionParameter("separator", STR, required=False, default="")),
        ListOf(item=STR),
        "The parts of the text between separators, or between white space.",
        _split,
        grows=_parts,
    ),
    Function(
        "join",
        (
            FunctionParameter("items", ListOf(item=STR)),
            FunctionParameter("separator", STR, required=False, default=", "),
        ),
        STR,
        "The texts as one, with the separator between them.",
        _join,
        more=_separators,
        grows=_joined,
    ),
    Function(
        "majority",
        (FunctionParameter("values", Marker.ANY_LIST),),
        Marker.ITEM,
        "The value that most in the list agree with, the first of equals; texts are compared without case, "
        "punctuation and articles.",
        _majority,
    ),
    Function(
        "round",
        (
            FunctionParameter("number", Marker.NUMBER),
            FunctionParameter("digits", INT, required=False, default=0),
        ),
        Marker.NUMBER,
        "The number rounded to so many decimal places, halves to even.",
        _round,
    ),
    Function(
        "abs",
        (FunctionParameter("number", Marker.NUMBER),),
        Marker.NUMBER,
        "The number without its sign.",
        _abs,
    ),
    Function(
        "min",
        (FunctionParameter("numbers", Marker.NUMBERS, variadic=True),),
        Marker.NUMBER,
        "The smallest of the numbers, or of a list.",
        lambda *values: min(_flat(values)),
    ),
    Function(
        "max",
        (FunctionParameter("numbers", Marker.NUMBERS, variadic=True),),
        Marker.NUMBER,
        "The largest of the numbers, or of a list.",
        lambda *values: max(_flat(values)),
    ),
    Function(
        "sum",
        (FunctionParameter("numbers", Marker.NUMBERS),),
        Marker.NUMBER,
        "The sum of a list; true counts 1.",
        _sum,
    ),
    Function(
        "mean",
        (FunctionParameter("numbers", Marker.NUMBERS),),
        FLOAT,
        "The mean of a list; true counts 1.",
        _mean,
    ),
    Function("any", (FunctionParameter("items", ListOf(item=BOOL)),), BOOL, "Whether any item is true.", any),
    Function(
        "all", (FunctionParameter("items", ListOf(item=BOOL)),), BOOL, "Whether every item is true.", all
    ),
    Function(
        "unique",
        (FunctionParameter("items", Marker.ANY_LIST),),
        Marker.SAME,
        "The list without repeats, first ones kept.",
        _unique,
        more=_pairs,
    ),
    Function(
        "first",
        (FunctionParameter("items", Marker.ANY_LIST), FunctionParameter("count", INT)),
        Marker.SAME,
        "The first items of the list, so many at most.",
        _first,
    ),
    Function(
        "range",
        (FunctionParameter("count", INT, maximum=MAX_RANGE),),
        ListOf(item=INT),
        "The whole numbers from 0 on, so many.",
        _range,
        grows=_numbers,
    ),
    Function(
        "matches",
        (_TEXT, FunctionParameter("pattern", STR)),
        BOOL,
        "Whether the regular expression is found in the text; no look-around, no back-references.",
        _matches,
        more=_scans,
    ),
    Function(
        "regex",
        (_TEXT, FunctionParameter("pattern", STR)),
        BOOL,
        "The same as `matches`.",
        _matches,
        more=_scans,
    ),
    Function(
        "normalize_text",
        (_TEXT,),
        STR,
        "The text in lower case without punctuation, articles and extra spaces.",
        scoring.normalize_text,
        grows=_other_letters,
    ),
    Function(
        "exact_match",
        (FunctionParameter("gold", Marker.ANYTHING), FunctionParameter("pred", Marker.ANYTHING)),
        BOOL,
        "Whether the texts agree once normalised (or one of a list does); other values when equal.",
        _exact_match,
    ),
    Function(
        "answer_exact_match",
        (
            _GOLD,
            FunctionParameter("pred", STR),
            FunctionParameter("frac", FLOAT, required=False, default=1.0),
        ),
        BOOL,
        "Whether a reference equals the prediction once normalised; below 1, `frac` is the F1 it needs.",
        _answer_exact_match,
    ),
    Function(
        "answer_passage_match",
        (_GOLD, FunctionParameter("passages", ListOf(item=STR))),
        BOOL,
        "Whether any passage has a reference as a run of whole words.",
        _answer_passage_match,
        work=_each_passage,
    ),
    Function(
        "f1",
        (_GOLD, FunctionParameter("pred", STR)),
        FLOAT,
        "Token F1 of normalised texts, the best over the references.",
        _f1,
    ),
    Function(
        "squad_normalize",
        (_TEXT,),
        STR,
        "The text as SQuAD's script and DSPy normalise it, whatever the script: only ASCII punctuation goes.",
        scoring.squad_normalize,
    ),
    Function(
        "squad_exact_match",
        (_GOLD, FunctionParameter("pred", STR)),
        BOOL,
        "`exact_match` of texts by SQuAD's and DSPy's rule, whatever the script.",
        _squad_exact_match,
    ),
    Function(
        "squad_f1",
        (_GOLD, FunctionParameter("pred", STR)),
        FLOAT,
        "`f1` by SQuAD's and DSPy's rule, whatever the script: tokens stand between spaces.",
        _squad_f1,
    ),
    Function(
        "dpr_passage_match",
        (_GOLD, FunctionParameter("passages", ListOf(item=STR))),
        BOOL,
        "`answer_passage_match` by DPR's and DSPy's rule, whatever the script: tokens are runs of letters.",
        _dpr_passage_match,
        work=_each_passage,
    ),
    Function(
        "close",
        (
            FunctionParameter("gold", OptionalOf(item=FLOAT)),
            FunctionParameter("pred", OptionalOf(item=FLOAT)),
            FunctionParameter("tolerance", FLOAT, required=False, default=1e-6),
        ),
        BOOL,
        "Whether two numbers differ by no more than the tolerance; null is close to null only.",
        _close,
    ),
    Function(
        "reciprocal_rank",
        (_RELEVANT, _RANKING),
        FLOAT,
        "1 / the rank of the first relevant item, 0 without one; its mean over rows is MRR.",
        ranking.reciprocal_rank,
    ),
    Function(
        "precision_at",
        (_RELEVANT, _RANKING, _K),
        FLOAT,
        "The number of relevant items among the first `k`, divided by `k`.",
        ranking.precision_at,
    ),
    Function(
        "recall_at",
        (_RELEVANT, _RANKING, _K),
        FLOAT,
        "The share of the relevant items that is among the first `k`; 0 where nothing is relevant.",
        ranking.recall_at,
    ),
    Function(
        "ndcg",
        (
            FunctionParameter("gold", Marker.GAINS),
            _RANKING,
            FunctionParameter("k", OptionalOf(item=INT), required=False, minimum=1),
        ),
        FLOAT,
        "Normalised discounted cumulative gain of the first `k`, or of all: relevant items gain 1, those of a dict what "
        "stands there.",
        ranking.ndcg,
    ),
    Function(
        "number_in",
        (
            _TEXT,
            FunctionParameter("which", _WHICH, required=False, default="last"),
            FunctionParameter("mark", _MARK, required=False, default="."),
        ),
        OptionalOf(item=FLOAT),
        "The last, first or only number that a text says, with this decimal mark; none without one, or in doubt.",
        _number_in,
    ),
    Function(
        "json_diff",
        (FunctionParameter("gold", Marker.ANYTHING), FunctionParameter("pred", Marker.ANYTHING)),
        FLOAT,
        "Share of leaves on which two structured values agree, 0 to 1.",
        scoring.json_agreement,
        work=_each_path,
    ),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
