# ruff: noqa: PTH123, T201
"""Questions over two passages, whose metric depends on the kind of question."""

import json
import random

import bm25s
import dspy
from dspy.evaluate import SemanticF1
from dspy.evaluate.metrics import answer_exact_match, f1_score

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", max_tokens=600))
large = dspy.LM("openai/gpt-4o", temperature=0.0, max_tokens=600)

with open("passages.jsonl") as file:
    passages = [json.loads(line)["text"] for line in file]
index = bm25s.BM25()
index.index(bm25s.tokenize(passages, stopwords="en"))


def search(query: str) -> list[str]:
    """Passages that fit the query, the best first."""
    found, _ = index.retrieve(bm25s.tokenize(query, stopwords="en"), k=2)
    return [passages[place] for place in found[0]]


hop = dspy.ReAct("question -> answer, evidence: list[str]", tools=[search], max_iters=4)

with open("rows.jsonl") as file:
    rows = [dspy.Example(**json.loads(line)).with_inputs("question") for line in file]
random.Random(5).shuffle(rows)
train, val, test = rows[:4], rows[4:8], rows[8:]

semantic = SemanticF1()


def graded(gold, pred, trace=None):
    evidence = ", ".join(pred.evidence)
    named = sum(title in evidence for title in gold.titles) / len(gold.titles)
    if gold.kind == "comparison":
        score = float(answer_exact_match(gold, pred))
    elif f1_score(pred.answer, gold.answer) == 1.0:
        score = 0.7 + 0.3 * named
    else:
        with dspy.context(lm=large):
            same = semantic(
                dspy.Example(question=gold.question, response=gold.answer),
                dspy.Prediction(response=pred.answer),
            )
        score = 0.7 * same + 0.3 * named
    return score >= 0.7 if trace is not None else score


tuner = dspy.MIPROv2(metric=graded, auto=None, num_candidates=2, prompt_model=large, num_threads=8)
better = tuner.compile(
    hop,
    trainset=train,
    valset=val,
    num_trials=3,
    max_bootstrapped_demos=1,
    max_labeled_demos=2,
    minibatch=False,
)
evaluate = dspy.Evaluate(devset=test, metric=graded, num_threads=8, display_progress=True)
print(evaluate(hop), evaluate(better))
better.save("hop.json")
