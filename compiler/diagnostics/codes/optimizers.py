"""DS06: optimizers and the chain they form."""

from __future__ import annotations

from .base import Code
from .snippets import DATA, METRIC, TICKETS, optimize

PLAIN = """\
program Echo(text: str) -> (topic: str) { return topic = lower(text) }
"""

OTHER = """\
module careful = ChainOfThought(Route)
"""

PIPELINE = (
    DATA
    + """\
module condense = Predict(sig(text -> gist))
module decide = Predict(sig(gist -> topic))
program Answer(text: str) -> (topic: str) {
  let short = condense(text = text)
  let last = decide(gist = short.gist)
  return topic = last.topic
}
metric right(gold: tickets, pred: Answer) = gold.topic == pred.topic
"""
)

FEW = {"tickets.csv": "text,topic\n" + "".join(f"message {n},billing\n" for n in range(40))}


def block(*lines: str) -> str:
    return METRIC + optimize(*lines)


def pipeline(*lines: str) -> str:
    return PIPELINE + optimize(*lines).replace("program = router", "program = Answer")


DS0601 = Code(
    "DS0601",
    "error",
    "unknown optimizer",
    "A step is a call of an optimizer by its name in DSPy, with options by name.",
    block("step demos = BootstrapFewshots()"),
    block("step demos = BootstrapFewShot()"),
    TICKETS,
)


DS0602 = Code(
    "DS0602",
    "error",
    "unknown option",
    "The optimizer has no option of this name. Options have the names that DSPy gives them.",
    block("step demos = BootstrapFewShot(max_bootstraped_demos = 4)"),
    block("step demos = BootstrapFewShot(max_bootstrapped_demos = 4)"),
    TICKETS,
)


DS0603 = Code(
    "DS0603",
    "error",
    "options that contradict each other",
    "Each option is fine by itself; together they leave nothing to do, or say two different things.",
    block("step s = BootstrapFewShotWithRandomSearch(num_candidate_programs = 2, restrict = [7])"),
    block("step s = BootstrapFewShotWithRandomSearch(num_candidate_programs = 8, restrict = [7])"),
    TICKETS,
)


DS0605 = Code(
    "DS0605",
    "warning",
    "fewer rows than asked for",
    "An option counts rows of train or of val, and there are not as many. The step uses all there are, "
    "which is less than the option says.",
    block("step demos = LabeledFewShot(k = 500)"),
    block("step demos = LabeledFewShot(k = 16)"),
    TICKETS,
)


DS0606 = Code(
    "DS0606",
    "warning",
    "no rows to choose by",
    "The step compares candidates. On the rows that their demos were made from, the candidate that "
    "remembers best "
    "wins, not the one that generalises best.",
    METRIC
    + "optimize v1 {\n  program = router; metric = right; train = tickets.train\n"
    + "  step s = BootstrapFewShotWithRandomSearch()\n}\n",
    block("step s = BootstrapFewShotWithRandomSearch()"),
    TICKETS,
)


DS0607 = Code(
    "DS0607",
    "hint",
    "small for this optimizer",
    "The optimizer pays off from more rows than there are; a simpler one gives about as much for "
    "fewer calls.",
    block("step s = BootstrapFewShotWithRandomSearch()"),
    block("step s = BootstrapFewShot()"),
    FEW,
)


DS0608 = Code(
    "DS0608",
    "hint",
    "rows shared out the wrong way round",
    "Optimizers that write instructions learn from few rows and need many to tell candidates apart: "
    "about 20 % train and 80 % val. GEPA is the other way round: it reflects on rows of train.",
    block("step s = COPRO(breadth = 3)").replace("val = 30%; test = 20%", "val = 20%; test = 30%"),
    block("step s = COPRO(breadth = 3)").replace("train = 50%; val = 30%", "train = 20%; val = 60%"),
    TICKETS,
)


DS0610 = Code(
    "DS0610",
    "warning",
    "work thrown away",
    "A step replaces what an earlier one made, so the earlier one was paid for nothing. Passing it as "
    "the teacher "
    "keeps its work.",
    block("step labels = LabeledFewShot(k = 8)", "step demos = BootstrapFewShot()"),
    block("step labels = LabeledFewShot(k = 8)", "step demos = BootstrapFewShot(teacher = labels)"),
    TICKETS,
)


DS0611 = Code(
    "DS0611",
    "error",
    "teacher that does not match",
    "Demos are made from the teacher's runs and given to the student's predictors, so the teacher calls "
    "the same modules, with the same inputs and outputs.",
    METRIC + OTHER + optimize("step demos = BootstrapFewShot(teacher = careful)"),
    METRIC + OTHER + optimize("step demos = BootstrapFewShot(teacher = router)"),
    TICKETS,
)


DS0615 = Code(
    "DS0615",
    "error",
    "nothing to tune",
    "The program calls no model, or the step may change none of its predictors, so there is no instruction "
    "and there are no demos to tune.",
    METRIC
    + PLAIN
    + optimize("step demos = BootstrapFewShot()").replace("program = router", "program = Echo"),
    METRIC + PLAIN + optimize("step demos = BootstrapFewShot()"),
    TICKETS,
)


DS0617 = Code(
    "DS0617",
    "error",
    "wrong kind of value for an option",
    "The option takes another kind of value.",
    block('step demos = BootstrapFewShot(max_rounds = "two")'),
    block("step demos = BootstrapFewShot(max_rounds = 2)"),
    TICKETS,
)


DS0618 = Code(
    "DS0618",
    "error",
    "not finished yet",
    "Steps run in the order they are written; a step can build on earlier ones only.",
    block("step demos = BootstrapFewShot(teacher = demos)"),
    block("step labels = LabeledFewShot(k = 8)", "step demos = BootstrapFewShot(teacher = labels)"),
    TICKETS,
)


DS0619 = Code(
    "DS0619",
    "error",
    "no step",
    "An optimize block without a step would write the program as it is.",
    block(),
    block("step demos = BootstrapFewShot()"),
    TICKETS,
)


DS0620 = Code(
    "DS0620",
    "error",
    "takes no teacher",
    "The optimizer makes its demos from labels alone and has no use for a teacher.",
    block("step first = BootstrapFewShot()", "step demos = LabeledFewShot(teacher = first)"),
    block("step first = LabeledFewShot()", "step demos = BootstrapFewShot(teacher = first)"),
    TICKETS,
)


DS0621 = Code(
    "DS0621",
    "warning",
    "step never used",
    "No later step starts from this one, and it is not the one that is written.",
    block("step a = LabeledFewShot()", "step b = BootstrapFewShot(student = router)"),
    block("step a = LabeledFewShot()", "step b = BootstrapFewShot(student = router, teacher = a)"),
    TICKETS,
)


DS0622 = Code(
    "DS0622",
    "error",
    "`emit` names no step",
    "`emit` says which step's program is written; without it, the last one's is.",
    block("step demos = BootstrapFewShot()", "emit = demo"),
    block("step demos = BootstrapFewShot()", "emit = demos"),
    TICKETS,
)


DS0623 = Code(
    "DS0623",
    "error",
    "an ensemble cannot be tuned",
    "An ensemble holds whole programs, and optimizers tune one program. Tune the members before they are "
    "put together; an ensemble can still teach.",
    block(
        "step search = BootstrapRS()",
        "step vote = Ensemble(search.candidates.top(3))",
        "step demos = BootstrapFewShot()",
    ),
    block(
        "step search = BootstrapRS()",
        "step vote = Ensemble(search.candidates.top(3))",
        "step demos = BootstrapFewShot(student = router, teacher = vote)",
    ),
    TICKETS,
)


DS0624 = Code(
    "DS0624",
    "error",
    "no candidates",
    "Only optimizers that search have candidates: programs that they scored on all of val, best first.",
    block(
        "step demos = BootstrapFewShot()",
        "step vote = Ensemble(demos.candidates.top(3))",
    ),
    block("step search = BootstrapRS()", "step vote = Ensemble(search.candidates.top(3))"),
    TICKETS,
)


DS0625 = Code(
    "DS0625",
    "warning",
    "an ensemble of one program",
    "An ensemble of one program costs what that program costs and answers as it does.",
    block("step demos = BootstrapFewShot()", "step vote = Ensemble(demos)"),
    block("step demos = BootstrapFewShot()", "step vote = Ensemble([demos, router])"),
    TICKETS,
)


DS0626 = Code(
    "DS0626",
    "error",
    "strategy that cannot run",
    "A strategy is names with `->` between them; the step is given an optimizer under each of them.",
    block('step both = BetterTogether(d = LabeledFewShot(), strategy = "d -> m")'),
    block('step both = BetterTogether(d = LabeledFewShot(), strategy = "d -> p")'),
    TICKETS,
)


DS0627 = Code(
    "DS0627",
    "error",
    "no output to reduce",
    "An ensemble makes one answer by one output of its members: any for `majority`, a float for `mean`.",
    block("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = mean(topic))"),
    block("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = majority(topic))"),
    TICKETS,
)


DS0632 = Code(
    "DS0632",
    "error",
    "two indexes in one program",
    "Demos that are chosen for each input come from an index, and a program has one. A step that makes an index "
    "cannot leave demos of an earlier one where they are.",
    pipeline("step near = KNNFewShot()", "step again = KNNFewShot(teacher = near, freeze = [decide])"),
    pipeline("step near = KNNFewShot()", "step again = KNNFewShot(teacher = near)"),
    TICKETS,
)


DS0631 = Code(
    "DS0631",
    "error",
    "reducer that does not fit",
    "A module or program that reduces an ensemble takes lists of the members' outputs under the outputs' "
    "names or their plurals, and the program's own inputs under theirs. Its outputs are the ensemble's, so it has all that "
    "the program has.",
    METRIC
    + "module pick = Predict(sig(text, topics: str -> topic))\n"
    + optimize("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = pick)"),
    METRIC
    + "module pick = Predict(sig(text, topics: list[str] -> topic))\n"
    + optimize("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = pick)"),
    TICKETS,
)


DS0630 = Code(
    "DS0630",
    "error",
    "no such predictor",
    "`tune` and `freeze` name predictors by their address, as `dspc show` prints them: a module's own "
    "name, and in a program the names of the modules that it calls.",
    block("step demos = BootstrapFewShot(tune = [rooter])"),
    block("step demos = BootstrapFewShot(tune = [router])"),
    TICKETS,
)


DS0629 = Code(
    "DS0629",
    "error",
    "no members",
    "An ensemble is made of programs: earlier steps, modules, programs, or the best of a search.",
    block("step vote = Ensemble(reduce = first)"),
    block("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = first)"),
    TICKETS,
)


DS0628 = Code(
    "DS0628",
    "error",
    "member with other inputs or outputs",
    "Members of an ensemble answer the same question: they take the inputs of the block's program and "
    "have its outputs, if need be among others.",
    METRIC
    + "module short = Predict(sig(text -> summary))\n"
    + optimize("step demos = BootstrapFewShot()", "step vote = Ensemble([demos, short])"),
    METRIC
    + "module short = ChainOfThought(sig(text -> topic))\n"
    + optimize("step demos = BootstrapFewShot()", "step vote = Ensemble([demos, short])"),
    TICKETS,
)
