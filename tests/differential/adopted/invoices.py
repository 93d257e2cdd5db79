"""Records out of letters."""

from datetime import date
from enum import Enum

import dspy
from pydantic import BaseModel, Field


class Currency(Enum):
    EUR = "EUR"
    USD = "USD"


class Line(BaseModel):
    """One line of an invoice."""

    sku: str = Field(description="as it is printed")
    quantity: int = 1
    note: str | None = None


class Invoice(BaseModel):
    seller: str
    currency: Currency
    lines: list[Line]
    shares: dict[str, float]


class Extract(dspy.Signature):
    """Read the invoice."""

    letter: str = dspy.InputField(desc="the text, as it was scanned")
    received: date | None = dspy.InputField()
    invoice: Invoice = dspy.OutputField()
    sure: int = dspy.OutputField(desc="how sure", ge=0, le=10)


class Extraction(dspy.Module):
    def __init__(self):
        self.extract = dspy.ChainOfThought(Extract)
        self.check = dspy.Predict("letter, seller -> correct: bool")

    def forward(self, letter: str, received: date | None = None):
        found = self.extract(letter=letter, received=received)
        verdict = self.check(letter=letter, seller=found.invoice.seller)
        return dspy.Prediction(invoice=found.invoice, correct=verdict.correct, sure=found.sure)
