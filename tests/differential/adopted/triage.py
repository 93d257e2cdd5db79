"""Tickets and who takes care of them: one predictor, in one line."""

import dspy

triage = dspy.Predict(
    "ticket: str, history: list[str] -> team: Literal['billing', 'tech', 'other'], urgent: bool, hours: float"
)
