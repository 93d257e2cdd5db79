"""KNNFewShot is one run for both: DSPy compiles nothing, so that there is no schedule to follow.

DSPy bootstraps an input's neighbours anew for every request. Which rows are neighbours, in which order they
show bootstrapped demos, and which rows fill them up are the same here. Two things can differ: the labels that
the teacher is shown, which DSPy draws from the neighbours of the request, and which here are those of the row's
own neighbours; and the order of the rows that fill up, which DSPy shuffles.
"""

from __future__ import annotations

from ..knn_few_shot import SPEC, run
from .faithful import Faithful

FAITHFUL = Faithful(run, SPEC.calls)
