"""KNNFewShot as near to DSPy's as an index can be that is made once.

DSPy compiles nothing: for every request it runs BootstrapFewShot on the neighbours, which takes up to `max_rounds` teacher runs
for each of them before the request's own call, and takes the metric along into the application. Here each row is bootstrapped
once, in the compile.

The same are: the text that is embedded; which rows are neighbours, and in which order; which labelled rows fill up, and in which
order they are drawn; that rows without a label are neighbours and show nothing. So all demos are the same where only labels
are shown (`max_bootstrapped_demos = 0`), and where the teacher is shown no labels (`max_labeled_demos = 0`).

Not the same is what a teacher writes that is shown labels, as it is by default: in DSPy those of the request's other neighbours,
in a drawn order, here those of the row's own neighbours, the nearest first. Its reasoning may be worded otherwise then, and a
row may pass here and not there. Nor are these: rows with equal inputs are one row of the index; of equally near rows the
earlier goes first, and in DSPy mostly the later; DSPy takes the dot product, and here it is the cosine of vectors with one byte a
number, which gives the same order for vectors of length 1, but for rows that are nearly as near as each other.
"""

from __future__ import annotations

from dspec.runtime.schema.program import Program

from ..base import Context, Options, StepResult
from ..knn_few_shot import SPEC, indexed
from .faithful import Faithful


async def run(student: Program, options: Options, context: Context) -> StepResult:
    return await indexed(student, options, context, fill="dspy")


FAITHFUL = Faithful(run, SPEC.calls)
