# ruff: noqa: T201
"""Heart disease from thirteen measurements: a vote of few-shot programs."""

from typing import Literal

import dspy
from dspy.datasets import DataLoader
from dspy.evaluate import Evaluate
from dspy.teleprompt import BootstrapFewShotWithRandomSearch, Ensemble

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=500))


class Diagnose(dspy.Signature):
    """Decide whether the patient has heart disease."""

    age: int = dspy.InputField(desc="in years")
    sex: Literal["female", "male"] = dspy.InputField()
    chest_pain: Literal["typical angina", "atypical angina", "other pain", "none"] = dspy.InputField()
    pressure: int = dspy.InputField(desc="at rest, in mm Hg")
    cholesterol: int = dspy.InputField(desc="in mg/dl")
    sugar: bool = dspy.InputField(desc="whether above 120 mg/dl before breakfast")
    ecg: Literal["normal", "abnormal wave", "enlarged chamber"] = dspy.InputField()
    rate: int = dspy.InputField(desc="highest heart rate reached")
    angina: bool = dspy.InputField(desc="whether exercise brings it on")
    depression: float = dspy.InputField(desc="of the ST segment by exercise")
    slope: Literal["up", "flat", "down"] = dspy.InputField()
    vessels: int = dspy.InputField(desc="major vessels seen, 0 to 3")
    thal: Literal["normal", "fixed defect", "reversible defect"] = dspy.InputField()
    disease: bool = dspy.OutputField()


class Doctor(dspy.Module):
    def __init__(self):
        super().__init__()
        self.decide = dspy.ChainOfThought(Diagnose)

    def forward(self, **measured):
        return self.decide(**measured)


MEASURED = (
    "age",
    "sex",
    "chest_pain",
    "pressure",
    "cholesterol",
    "sugar",
    "ecg",
    "rate",
    "angina",
    "depression",
    "slope",
    "vessels",
    "thal",
)
rows = DataLoader().from_csv("rows.csv", fields=(*MEASURED, "disease"), input_keys=MEASURED)
parts = DataLoader().train_test_split(rows, train_size=0.7, random_state=3)
tuning, test = parts["train"], parts["test"]
cut = len(tuning) * 4 // 7
train, val = tuning[:cut], tuning[cut:]


def right(gold, pred, trace=None):
    return (str(gold.disease).lower() == "true") == pred.disease


def vote(predictions):
    yes = sum(prediction.disease for prediction in predictions)
    return dspy.Prediction(disease=2 * yes > len(predictions))


search = BootstrapFewShotWithRandomSearch(metric=right, max_bootstrapped_demos=3, num_candidate_programs=3)
found = search.compile(Doctor(), trainset=train, valset=val)
best = [candidate["program"] for candidate in found.candidate_programs[:3]]
doctor = Ensemble(reduce_fn=vote).compile(best)

evaluate = Evaluate(devset=test, metric=right, num_threads=8, display_progress=True)
print(evaluate(Doctor()), evaluate(doctor))
