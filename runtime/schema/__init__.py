"""The program model: types, expressions, programs and ensembles, and nothing that acts."""
