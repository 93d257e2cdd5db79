"""Running programs: their graphs, their predictors, and demos chosen per input."""
