"""Values: checking and reading them, and evaluating expressions over them."""
