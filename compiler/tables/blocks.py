"""The table of declarations: what each kind of block may hold, with types, defaults and a line of doc.

Check, completion, hover and the docs read this table and nothing else, so that a word which the
checker accepts is a word that the editor offers. Options of optimizers stand in `optimizers.table`,
functions in `dspec.runtime.values.functions`.
"""

from __future__ import annotations

from .block_specs import AttributeSpec, BlockSpec, ItemKind, SectionSpec
from .lm_block import LM

A = AttributeSpec

SPLIT = SectionSpec(
    "split",
    "Parts of the rows, in rows or percent, drawn once with a seed.",
    (
        A("seed", "integer", "Seed of the shuffle before the parts are cut.", default=0, placeholder="7"),
        A(
            "stratify",
            "expression",
            "Column whose values keep their shares in every part.",
            placeholder="label",
        ),
    ),
    free="amount",
)

BUDGET = SectionSpec(
    "budget",
    "A hard wall: at the wall the best program so far is kept.",
    (
        A("usd", "number", "Most money to spend, in US dollars.", minimum=0, placeholder="2.00"),
        A("calls", "integer", "Most model calls to make.", minimum=1, placeholder="1000"),
        A(
            "tokens",
            "integer",
            "Most tokens to use, prompts and answers together.",
            minimum=1,
            placeholder="1000000",
        ),
        A("minutes", "number", "Longest time to run.", minimum=0, placeholder="10"),
    ),
)

EVAL_BUDGET = SectionSpec(
    "budget",
    "A hard wall; without one, the budget of the optimize block that is scored.",
    BUDGET.attributes,
)

DEMO = SectionSpec(
    "demo",
    "A worked example that prompts show: values of the signature's inputs and outputs.",
    (),
    free="shown",
    several=True,
)

ON_ERROR = A(
    "on_error",
    "choice",
    "A row whose model never answers, or on which the metric fails, ends the run, or scores 0 with the reason kept.",
    default="stop",
    choices=("stop", "score_zero"),
    placeholder='"score_zero"',
)

BLOCKS: dict[str, BlockSpec] = {
    spec.keyword: spec
    for spec in (
        BlockSpec(
            "dspec", "The language version that this file is written in.", "dspec 1", "value", named=False
        ),
        BlockSpec(
            "import",
            "Makes another file's declarations reachable as `alias.name`.",
            'import "lms.dspec" as lms',
            "value",
        ),
        BlockSpec(
            "extern",
            "A typed function or tool from outside the language.",
            'extern search(query: str) -> list[str] = bm25("data/abstracts.jsonl")',
            "either",
            parameters="required",
            returns="required",
            items=("doc",),
            attributes=(
                A("source", "expression", "Where the function comes from.", placeholder='python("m:f")'),
                A(
                    "timeout",
                    "number",
                    "Seconds for one try.",
                    default=30.0,
                    minimum=0.1,
                    maximum=3600,
                    placeholder="30",
                ),
                A(
                    "retry",
                    "integer",
                    "Further tries after one that failed.",
                    default=0,
                    minimum=0,
                    maximum=20,
                    placeholder="2",
                ),
                A(
                    "max_result",
                    "integer",
                    "Characters of the result as JSON; a longer one is an error.",
                    default=100_000,
                    minimum=1,
                    maximum=10_000_000,
                    placeholder="100000",
                ),
                A(
                    "max_parallel",
                    "integer",
                    "Calls at the same time.",
                    default=8,
                    minimum=1,
                    maximum=256,
                    placeholder="4",
                ),
                A(
                    "pure",
                    "flag",
                    "Equal inputs always give an equal result, which `compile` and `eval` keep.",
                    default=False,
                    placeholder="true",
                ),
            ),
        ),
        BlockSpec("type", "A name for a type.", 'type Intent = "refund" | "other"', "value"),
        BlockSpec(
            "record",
            "A structured value with named, typed fields.",
            "record Line { field sku: str }",
            "block",
            items=("doc", "field", "assert", "suggest"),
        ),
        LM,
        BlockSpec(
            "signature",
            "What a model is asked: inputs, outputs and an instruction.",
            'signature Route { "Decide the intent."; input text: str; output intent: str }',
            "block",
            items=("doc", "input", "output", "assert", "suggest"),
            attributes=(
                A(
                    "fixed",
                    "texts",
                    "Text that follows the instruction and that no optimizer may rewrite.",
                    placeholder='"…"',
                ),
                A(
                    "max_retries",
                    "integer",
                    "How often a failed check goes back to the model.",
                    default=2,
                    minimum=0,
                    maximum=10,
                    placeholder="2",
                ),
            ),
            sections=(DEMO,),
        ),
        BlockSpec(
            "module",
            "A signature with the strategy that answers it.",
            "module router = ChainOfThought(Route)",
            "value",
        ),
        BlockSpec(
            "program",
            "A graph of calls: of modules, of tools and of other programs.",
            "program Answer(question: str) -> (answer: str) { … }",
            "block",
            parameters="required",
            returns="optional",
            items=("doc", "let", "assert", "suggest", "return"),
        ),
        BlockSpec(
            "dataset",
            "Rows with typed columns, and how they are split.",
            'dataset tickets { source = csv("tickets.csv"); input text: str; field intent: str }',
            "block",
            items=("doc", "input", "field"),
            attributes=(
                A(
                    "source",
                    "expression",
                    "Where the rows come from.",
                    required=True,
                    placeholder='csv("data/rows.csv")',
                ),
            ),
            sections=(SPLIT,),
        ),
        BlockSpec(
            "metric",
            "How good a program's outputs are for one row.",
            "metric right(gold: tickets, pred: router) = gold.intent == pred.intent",
            "either",
            parameters="required",
            items=("doc", "let"),
            attributes=(
                A(
                    "score",
                    "expression",
                    "true/false or a number in 0..1; higher is better.",
                    required=True,
                    placeholder="gold.label == pred.label",
                ),
                A(
                    "accept",
                    "expression",
                    "true/false: may this run become a demo?",
                    placeholder="score >= 0.5",
                ),
                A(
                    "feedback",
                    "expression",
                    "Text for optimizers that reflect on failures.",
                    placeholder='if score then "correct" else "wrong"',
                    addressed=True,
                ),
            ),
        ),
        BlockSpec(
            "optimize",
            "A program and the steps that tune it.",
            "optimize router_v1 { program = router; metric = right; train = tickets.train; step … }",
            "block",
            items=("doc", "step", "gate"),
            attributes=(
                A(
                    "program",
                    "reference",
                    "The module or program to tune, another block's result, or a program out of a file.",
                    required=True,
                    refers=("module", "program", "optimize"),
                    placeholder="router",
                ),
                A(
                    "metric",
                    "reference",
                    "What decides which program is better.",
                    required=True,
                    refers=("metric",),
                    placeholder="right",
                ),
                A("train", "rows", "Rows that demos are made from.", required=True, placeholder="rows.train"),
                A("val", "rows", "Rows that candidates are compared on.", placeholder="rows.val"),
                A(
                    "lm",
                    "reference",
                    "Model of the modules that name none.",
                    refers=("lm",),
                    placeholder="mini",
                ),
                A(
                    "lms",
                    "references",
                    "Models among which the steps choose for each module that names none, in the place of `lm`; the first is "
                    "the one to start on.",
                    refers=("lm",),
                    placeholder="[mini, large]",
                ),
                A(
                    "prompt_lm",
                    "reference",
                    "Model that writes instructions.",
                    refers=("lm",),
                    placeholder="mini",
                ),
                A(
                    "teacher_lm",
                    "reference",
                    "Model of the teacher's modules that name none.",
                    refers=("lm",),
                    placeholder="large",
                ),
                A("seed", "integer", "Seed of every random draw.", default=0, placeholder="9"),
                ON_ERROR,
                A(
                    "scoring",
                    "choice",
                    "The rows of `val` on which the program is scored before and after the steps: as many as tell which one is "
                    "better, all, or none but those that a step needs.",
                    default="enough",
                    choices=("none", "enough", "all"),
                    placeholder='"none"',
                ),
                A(
                    "compat",
                    "choice",
                    '`"dspy"` runs the steps on DSPy 3.4.1\'s schedule, splits and random draws.',
                    choices=("dspy",),
                    placeholder='"dspy"',
                ),
                A(
                    "tune",
                    "expression",
                    "The predictors and tools that the steps may change, by address; all of them unless said.",
                    placeholder="[router]",
                ),
                A(
                    "freeze",
                    "expression",
                    "Predictors and tools that no step changes, by address.",
                    placeholder="[router]",
                ),
                A(
                    "emit",
                    "expression",
                    "The step whose program is written; the last one unless said.",
                    placeholder="demos",
                ),
                A(
                    "minimize",
                    "choice",
                    "What an answer is to take as little of as it may: of all programs that were scored, the result is the "
                    "cheapest one that is certain to reach the block's `gate`.",
                    choices=("usd", "tokens"),
                    placeholder='"usd"',
                ),
                A(
                    "keep",
                    "integer",
                    "Candidates that the artifact holds besides its program, for an application to choose from: of those that no "
                    "other beats in both score and cost.",
                    default=0,
                    minimum=0,
                    maximum=20,
                    placeholder="5",
                ),
            ),
            sections=(BUDGET,),
        ),
        BlockSpec(
            "eval",
            "Scores a program on rows and sets the exit code by its gates.",
            "eval ship { program = router_v1; metric = right; data = tickets.test; gate score >= 0.8 }",
            "block",
            items=("doc", "gate"),
            attributes=(
                A(
                    "program",
                    "reference",
                    "What is scored.",
                    required=True,
                    refers=("module", "program", "optimize"),
                    placeholder="router",
                ),
                A(
                    "baseline",
                    "reference",
                    "What it is compared with.",
                    refers=("module", "program", "optimize"),
                    placeholder="router",
                ),
                A(
                    "metric",
                    "reference",
                    "How outputs are scored.",
                    required=True,
                    refers=("metric",),
                    placeholder="right",
                ),
                A("data", "rows", "Rows to score on.", required=True, placeholder="rows.test"),
                ON_ERROR,
            ),
            sections=(EVAL_BUDGET,),
        ),
        BlockSpec(
            "test",
            "An example that a program must answer in a given way.",
            'test lost_card { program = router; given text = "My card is gone"; expect intent == '
            '"card_lost" }',
            "block",
            items=("doc", "given", "expect"),
            attributes=(
                A(
                    "program",
                    "reference",
                    "What is tested.",
                    required=True,
                    refers=("module", "program", "optimize"),
                    placeholder="router",
                ),
            ),
        ),
    )
}


ROUND = BlockSpec(
    "repeat",
    "Rounds that improve what stands behind `from`, so many at most.",
    "let final = repeat 3 from draft { until …; let draft = … }",
    "block",
    items=("let", "until", "assert", "suggest"),
)
"""The block of a repetition, which is no declaration."""


def holders(item: ItemKind) -> tuple[str, ...]:
    """The kinds of declaration that `item` may stand in."""
    return tuple(spec.keyword for spec in BLOCKS.values() if item in spec.items)
