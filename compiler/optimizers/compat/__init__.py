"""`compat = "dspy"`: the optimizers on DSPy 3.4.1's schedule, splits and random draws.

Each file here is a second `run` for an optimizer of the table, with its own cost formula: the default ones
differ in more than draws (what they compare, on which rows, in what order), so that one algorithm with two
sets of draws would be neither. Given a model whose answers depend on instruction, demos and inputs alone,
a faithful run ends with DSPy's demos, instructions, scores and winner; `tests/differential` compares the two.

DSPy's failures are not copied: what crashes there, or loses work without a word, does here what its
documentation promises. Each file says which.
"""
