"""What is offered where: one line per case, `$0` is the cursor.

`+name` must be offered, `-name` must not, `=` lists everything that is offered, in order. A case's text
stands behind the declarations of `FILE`, or replaces the block of the same kind and name in it.
"""

import os
from pathlib import Path

import pytest
from dspec_writer import broken_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler.check import query
from dspec.compiler.check.analysis import analyse
from dspec.grammar import tokenize
from dspec.grammar.tree import KEYWORDS
from dspec.lsp.features.completion import Completions, complete

FILE = """\
dspec 1
lm mini { model = "embedded/icl"; default = true }
lm big { model = "embedded/icl" }
type Intent = "refund" | "bug \\"x\\"" | "other"
record Line { "One line."; field sku: str "stock number"; field kind: Intent; field ok: bool }
signature Route {
  "Decide the intent."
  input text: str
  input hint: Intent? = "other"
  output intent: Intent
  output lines: list[Line]
}
module router = Predict(Route)
module thinker = ChainOfThought(sig(question -> answer, sure: bool))
program Flow(text: str, n: int = 3) -> (intent: Intent, note: str) {
  let r = router(text = text)
  return intent = r.intent, note = "x"
}
dataset rows {
  "All tickets."
  source = csv("data/rows.csv")
  input text: str
  field intent: Intent
  split { train = 50%; val = 50%; seed = 3 }
}
metric right(gold: rows, pred: router) { score = gold.intent == pred.intent }
optimize tuned {
  program = router; metric = right; train = rows.train; val = rows.val
  step first = LabeledFewShot(k = 4)
}
"""

AGENT = """\
extern find(query: str) -> str { "Finds."; source = http("https://tools.example/find") }
module agent = ReAct(sig(text -> intent: Intent), tools = [find])
"""
ALL_LEFT = "= train val lm lms prompt_lm teacher_lm seed on_error scoring compat tune freeze emit minimize keep budget step gate"


def offered(text: str) -> tuple[Completions, str]:
    """What is offered at `$0`, and the text before the cursor."""
    offset = text.index("$0")
    text = text.replace("$0", "")
    analysis = analyse(Path("/nowhere/main.dspec"), text=text, probe=False)
    return complete(analysis, offset), text[:offset]


def labels(text: str) -> list[str]:
    return [suggestion.label for suggestion in offered(text)[0].suggestions]


CASES = [
    ("program Inner(text: str) -> (note: str) {\n  let a = $0\n  return note = text\n}\n"
     "program Outer(text: str) -> (note: str) {\n  let a = Inner(text = text)\n  return note = a.note\n}\n"
     "program Other(text: str) -> (note: str) {\n  return note = text\n}", "+Other -Outer -Inner"),
    # Branches, lists of calls, repetitions
    ("program Flow(text: str) -> (note: str) {\n  let all = [thinker(question = text) for i in range(2)]\n"
     "  let a = all[0].$0\n  return note = a\n}", "+answer +sure +reasoning -text"),
    ("program Flow(text: str) -> (note: str) {\n  let all = [thinker(question = text) for i in range(2)]\n"
     "  let a = [one.$0 for one in all]\n  return note = a[0]\n}", "+answer +sure -text"),
    ("program Flow(text: str) -> (note: str) {\n  let every = [$0 for i in range(2)]\n  return note = text\n}",
     "+thinker +router +i +text -every"),
    ("program Flow(text: str) -> (note: str) {\n  let a = if true then $0 else none\n  return note = text\n}",
     "+thinker +router +text -a"),
    ("program Flow(text: str) -> (note: str) {\n  let a = $0\n  return note = text\n}", "+repeat +thinker"),
    ("program Flow(text: str) -> (note: str) {\n  let a = thinker(question = text)\n"
     "  let b = repeat 2 from $0 { let a = thinker(question = a.answer) }\n  return note = b.answer\n}",
     "= text a"),
    ("program Flow(text: str) -> (note: str) {\n  let a = thinker(question = text)\n"
     "  let b = repeat 2 $0\n  return note = text\n}", "= from"),
    ("program Flow(text: str) -> (note: str) {\n  let a = thinker(question = text)\n"
     "  let b = repeat 2 from a {\n    $0\n    let a = thinker(question = a.answer)\n  }\n  return note = b.answer\n}",
     "= let until assert suggest"),
    ("program Flow(text: str) -> (note: str) {\n  let a = thinker(question = text)\n"
     "  let b = repeat 2 from a {\n    let a = thinker(question = a.answer)\n    until a.$0\n  }\n"
     "  return note = b.answer\n}", "+answer +sure -text"),
    ("program Flow(text: str) -> (note: str) {\n  let a = thinker(question = text)\n"
     "  let b = repeat 2 from a {\n    let a = thinker(question = a.answer)\n  }\n  return note = b.$0\n}",
     "+answer +sure -text"),
    # Declarations
    ("$0", "+lm +signature +optimize -dspec"),
    ("op$0", "+optimize"),
    (" op$0", "="),
    ("lm $0", "="),
    ("lm x$0", "="),
    ("# lm $0", "="),
    ('import "x.dspec" $0', "= as"),
    ('import "$0', "="),
    # Blocks
    ("lm x { $0 }", "+model +price +train -doc -input"),
    ('lm x { model = "a/b"; $0 }', "-model +temperature +price"),
    ('lm x { $0; model = "a/b" }', "-model +temperature"),
    ("lm x {\n  te$0", "+temperature +model"),
    ("lm x {\n  price { $0 } }", "= input output"),
    ("lm x {\n  pr$0 { input = 1 } }", "price headers extra -model"),
    ("lm x {\n  pr$0 = 1 }", "+model -price"),
    ("lm x {\n  price { input = 1.0; $0 } }", "= output"),
    ("lm x { price { input = 1; output = 2 }; $0", "-price +model"),
    ("signature S { $0", "= fixed max_retries demo input output assert suggest"),
    ("signature S { demo { a = 1 }; $0", "+demo +input"),
    ("signature S { de$0 { }", "demo input output assert suggest -fixed"),
    ("signature S extends Route { demo { $0", "= text intent lines hint"),
    ('signature S extends Route { demo { text = "a"; $0 } }', "= intent lines hint"),
    ('signature S extends Route { demo { text = "a" }\n  demo {\n    $0\n  }\n}', "= text intent lines hint"),
    ("signature S extends Route { demo { in$0 = 3 } }", "= text intent lines hint"),
    ("signature S extends Route { demo { intent = $0", '= "refund" "bug \\"x\\"" "other"'),
    ('signature S extends Route { demo { intent = "$0" } }', '= refund bug\\ \\"x\\" other'),
    ("signature S extends Route { demo { text = $0", "="),
    ("signature S extends Route { demo { lines = [Line($0", "= sku kind ok"),
    ("signature S extends Route { demo { lines = [$0", "= Line"),
    ("signature S extends Route { demo { lines = [$0(ok = true)] } }", "= Line"),
    ("signature S extends Route { demo { lines = [Line(kind = $0", '= "refund" "bug \\"x\\"" "other"'),
    ("signature S extends Route { demo { lines = [Line(ok = $0", "= true false"),
    ("program P(line: Line) -> (n: str) { return n = line.sku }\ntest t { program = P; given line = Line($0", "= sku kind ok"),
    ("record R { $0", "= field assert suggest"),
    ("dataset d { $0", "= source split input field"),
    ("dataset d { split { $0", "= train val test seed stratify"),
    ("dataset d { split { train = 10; $0 } }", "= val test seed stratify"),
    ("program P(a: str) { $0", "= let assert suggest return"),
    ("metric m(gold: rows, pred: router) { $0", "= score accept feedback let"),
    ("metric m(gold: rows, pred: router) { score = $0", "+right -m -rows -router +gold +pred +f1 +semantic_f1"),
    ("metric m(gold: rows, pred: router) { score = right($0", "+gold +pred"),
    ("metric m(gold: rows, pred: router) { let overlap = 1.0; score = $0", "+overlap +gold"),
    ("metric m(gold: rows, pred: router) { let overlap = $0", "+gold +right -overlap"),
    ("metric m(gold: rows, pred: router) { score = true; feedback $0", "= for"),
    ("metric m(gold: rows, pred: router) { score = true; feedback for $0", "= router"),
    ("metric m(gold: rows, pred: router) { score = true; feedback for router = $0", "+gold +score"),
    (AGENT + "metric m(gold: rows, pred: agent) { score = true; feedback for $0",
     "= agent.react agent.extract find"),
    (AGENT + "metric m(gold: rows, pred: agent) { score = $0", "+find +right -agent"),
    ("metric m(gold: rows, pred: router) = len([k for k, v in $0", "+gold +pred"),
    ("program P(d: dict[str, Line]) -> (n: int) { return n = len([v.$0 for k, v in d]) }", "= sku kind ok"),
    ("program P(d: dict[str, Line]) -> (n: int) { return n = len([$0 for k, v in d]) }", "+k +v +d"),
    ("eval e { $0", "= program metric data baseline on_error budget gate"),
    ("test t { $0", "= program given expect"),
    ("optimize o { program = router\n $0\n metric = right\n}", ALL_LEFT),
    ("optimize o { budget { $0 } }", "= usd calls tokens minutes"),
    ("optimize o { budget { usd = 1; }\n $0", "-budget +step"),
    ("dataset d { input x: str }\n$0", "+metric -source"),
    # Attribute values
    ("lm x { parse = $0 }", '= "lenient" "strict"'),
    ('lm x { parse = "$0 }', "= lenient strict"),
    ('lm x { parse = "st$0" }', "= lenient strict"),
    ("lm x { default = $0 }", "= true false"),
    ("lm x { fallback = [$0] }", "= mini big"),
    ("lm x { fallback = [mini, $0", "+big"),
    ("optimize o { lms = [mini, $0", "+big"),
    ("lm x { api_key = $0 }", "= env"),
    ("lm x { temperature = $0 }", "="),
    ("lm x { model = $0 }", "="),
    ("optimize o { program = $0 }", "= router thinker Flow tuned"),
    ("optimize o {\n  program = ro$0\n  metric = right\n}", "+router -mini"),
    ("optimize o { metric = $0 }", "= right"),
    ("optimize o { lm = $0 }", "= mini big"),
    ("optimize o { train = $0 }", "= rows.train rows.val rows"),
    ("optimize o { train = rows.$0 }", "= train val"),
    ("eval e { data = rows.tr$0 }", "= train val"),
    ("optimize o { train = mini.$0 }", "="),
    ("optimize o { seed = $0 }", "="),
    ("optimize o { step a = LabeledFewShot(); emit = $0 }", "= a"),
    ("dataset d { source = $0 }", "= csv jsonl json parquet recorded huggingface python"),
    ("dataset d { input x: str; field y: str; split { stratify = $0 } }", "= x y"),
    # Types
    ("signature S { input a: $0 }", "+str +Intent +Line +list +image +history -router -Route"),
    ("signature S { output a: $0 }", "+str -image -audio -file -history"),
    ("signature S { input a: list[$0 }", "+str +image -history"),
    ("signature S { input a: dict[str, $0", "+str -image -history"),
    ("record R { field a: $0 }", "+str -image -history"),
    ("program P(a: $0) -> (b: str) { }", "+str +image +history"),
    ("program P(a: str) -> (b: $0) { }", "+str -image"),
    ("module m = Predict(sig(a: $0 -> b))", "+str +image"),
    ("module m = Predict(sig(a -> b: $0))", "+str -image"),
    ("extern x(a: $0) -> str = python(\"m:f\")", "+str -image"),
    ("type T = $0", "+str +image"),
    ("signature S { input a: list[$0 }", "+str +Intent"),
    ("signature S { input a: dict[str, $0", "+int"),
    ("signature S {\n  output a: I$0\n}", "+Intent"),
    ("signature S { input $0 }", "="),
    ("signature S { input a: str $0 }", "="),
    ("signature S { input a: Intent = $0 }", '= "refund" "bug \\"x\\"" "other"'),
    ("signature S { input a: bool = $0 }", "= true false"),
    ("type T = $0", "+Intent +str -T"),
    ('type T = "a" | $0', "="),
    ("signature S { input a: dict[$0", "+str +Intent"),
    ("program P(a: $0", "+str +Intent"),
    ("program P(a: str) -> (b: $0", "+str"),
    ("extern f(a: str) -> $0", "+str"),
    ("extern f(a: str) -> str = $0", "+bm25"),
    ("module m = Predict(sig(a: $0", "+str +Intent"),
    # Modules
    ("module m = $0", "= Predict ChainOfThought ReAct ProgramOfThought CodeAct RLM MultiChainComparison BestOfN Refine Majority python"),
    ("module m = Pr$0", "+Predict"),
    ("module m = Predict($0", "= Route sig"),
    ("module m = Predict($0)", "= Route sig"),
    ("module m = Predict(Route, $0)", "lm temperature max_tokens -tools"),
    ("module m = ReAct(Route, tools = [$0])", "= router thinker Flow"),
    ('module m = python("own:f", $0)', "= Route sig"),
    ('module m = python("own:f", Route, $0)', "= uses max_calls timeout max_result max_parallel"),
    ('module m = python("own:f", Route, uses = [$0])', "= router thinker Flow"),
    ("module m = python($0)", "= function uses max_calls timeout max_result max_parallel"),
    ("module m = Predict(Route, lm = $0)", "= mini big"),
    ("module m = Predict(Route, lm = mini, $0)", "temperature top_p -lm"),
    # Metrics
    ("metric m($0", "= gold"),
    ("metric m(gold: rows, $0", "= pred"),
    ("metric m(gold: $0", "= rows"),
    ("metric m(gold: rows, pred: $0", "= router thinker Flow tuned"),
    ("metric m(gold: rows, pred: router) = $0", "+gold +pred +exact_match +if -score -router"),
    ("metric m(gold: rows, pred: router) = gold.$0", "= text intent"),
    # Judges
    ("metric m(gold: rows, pred: router) = sem$0", "+semantic_f1 +f1"),
    ("program P(text: str) -> (note: str) { let x = $0 }", "-semantic_f1 -llm_judge"),
    ("metric m(gold: rows, pred: router) = semantic_f1($0", "+gold +pred +judge +question -mini"),
    ("metric m(gold: rows, pred: router) = semantic_f1(gold.text, pred.intent, judge = $0)", "= mini big"),
    ("metric m(gold: rows, pred: router) = llm_judge(judge = mini, $0)", "+criteria +gold -judge"),
    ("metric m(gold: rows, pred: router) { score = min(llm_judge()); feedback = $0 }", "+reason +score"),
    ("metric m(gold: rows, pred: router) { score = f1(); feedback = $0 }", "-reason +score"),
    ('metric m(gold: rows, pred: router) = llm_judge("x", big, reply = pred.$0)', "= intent lines"),
    ("metric m(gold: rows, pred: router) { score = gold.$0 }", "= text intent"),
    ("metric m(gold: rows, pred: router) { score = gold.intent == pred.$0\n}", "= intent lines"),
    ("metric m(gold: rows, pred: thinker) { score = pred.$0 }", "= reasoning answer sure"),
    ("module own = Predict(sig(reasoning -> answer))\nmetric m(gold: rows, pred: own) = pred.$0", "= answer"),
    ("module own = ChainOfThought(sig(reasoning -> answer))\nmetric m(gold: rows, pred: own) = pred.$0", "= answer"),
    ("metric m(gold: rows, pred: router) { score = if gold.intent == $0", '+"refund" +pred'),
    ("metric m(gold: rows, pred: router) { score = if true then pred.$0\n}", "= intent lines"),
    ("metric m(gold: rows, pred: router) { score = len(pred.lines[0].$0", "= sku kind ok"),
    ("metric m(gold: rows, pred: router) { score = (pred).lines[0].$0", "= sku kind ok"),
    ('metric m(gold: rows, pred: router) { score = "refund" == $0', "+gold +pred"),
    ("metric m(gold: rows, pred: Flow) { score = pred.$0 }", "= intent note"),
    ("metric m(gold: rows, pred: tuned) { score = pred.$0 }", "= intent lines"),
    ("metric m(gold: rows, pred: router) { score = pred.lines[0].$0 }", "= sku kind ok"),
    ("metric m(gold: rows, pred: router) { score = pred.intent.$0 }", "="),
    ("metric m(gold: rows, pred: router) { score = pred.lines[0].kind == $0 }", '+"refund" +pred'),
    ("metric m(gold: rows, pred: router) { score = gold.intent == $0 }", '+"refund" +"other" +pred'),
    ('metric m(gold: rows, pred: router) { score = gold.intent == "$0', '= refund bug\\ \\"x\\" other'),
    ('metric m(gold: rows, pred: router) { score = gold.intent != "re$0" }', "+refund"),
    ("metric m(gold: rows, pred: router) { score = gold.intent in [$0] }", '+"refund"'),
    ('metric m(gold: rows, pred: router) { score = f1("$0', "="),
    ("metric m(gold: rows, pred: thinker) { score = pred.sure == $0 }", "+true +false"),
    ("metric m(gold: rows, pred: router) { score = [$0 for l in pred.lines] }", "+l +pred"),
    ("metric m(gold: rows, pred: router) { score = all([l.$0 for l in pred.lines]) }", "= sku kind ok"),
    ("metric m(gold: rows, pred: router) { score = gold.intent $0 }", "= and or in not\\ in"),
    ("metric m(gold: rows, pred: router) { score = if gold.intent $0 }", "+then +else +and"),
    ("metric m(gold: rows, pred: router) {\n  score = if true\n    $0 1.0 else 0.0\n}", "+then +feedback"),
    ("metric m(gold: rows, pred: router) {\n  score = if true then 1.0\n    $0\n}", "+else -then +feedback"),
    ("metric m(gold: rows, pred: router) {\n  score = if true then 1.0 else 0.0\n  $0\n}", "-else -then +feedback"),
    ("metric m(gold: rows, pred: router) { score = 1.0; accept = $0 }", "+score +gold"),
    ("metric m(gold: rows, pred: router) { score = close($0", "+gold +close"),
    ("metric m(gold: rows, pred: router) { score = true # gold.$0", "="),
    ("metric m(gold: rows, pred: router) { score = 0.$0", "="),
    # Programs
    ("program P(q: str) -> (intent: Intent) { let a = $0", "+q +router +Flow +len -P -Route"),
    ("program P(q: str) { let $0", "="),
    ("program P(q: str) { let a = router($0", "+text +hint +q"),
    ("program P(q: str) { let a = router(text = q, $0", "+hint -text +q"),
    ("program P(q: str) { let a = router(hint = $0", '+"refund" +q'),
    ('program P(q: str) { let a = router(hint = "$0', "+refund"),
    ("program P(q: str) { let a = router(text = q)\n  let b = a.$0\n}", "= intent lines"),
    ("program P(q: str) { let a = router(text = q)\n let b = a.lines[0]\n let c = b.$0\n}", "= sku kind ok"),
    ("program P(q: str) { let a = b.$0; let b = router(text = q) }", "="),
    ("program P(q: str) { let a = router(text = q)\n  assert $0\n}", "+a +q +router +len"),
    ("program P(q: str) -> (intent: Intent, n: int) { return $0 }", "+intent +n +q +router"),
    ("program P(q: str) -> (intent: Intent, n: int) { return intent = q, $0 }", "+n +q -intent"),
    ("program P(q: str) -> (intent: Intent, n: int) { return n = $0 }", "+q +len"),
    ("program P(q: str) {\n  let a = router(text = q\n  let b = $0\n}", "+router +q"),
    ("program P(q: str) { let one = router(text = q)\n let z = (one).$0\n}", "= intent lines"),
    ("program P(q: str) { let a = [l.sku for l in router(text = q).lines]\n let b = a[0] + $0", "+a +q"),
    ("program P(q: str) { let a = ro$0uter(text = q) }", "+router +len -q"),
    ("program P(q: str) { let a = router(te$0xt = q) }", "= text hint"),
    ("program P(q: str) { let a = router(q, $0) }", "+hint +q -text"),
    ("program P(q: str) { let a = router(($0)) }", "+q -text"),
    ("program P(q: str) -> (intent: Intent) { return ($0).intent }", "+q -intent"),
    # Signatures and records
    ("signature S { input a: str; output b: Line; assert $0", "+a +b +len"),
    ("signature S { input a: str; output b: Line; assert b.$0", "= sku kind ok"),
    ("signature S { input a: str; output b: str; assert len(b) < 3 $0", "+else +and"),
    ("record R { field a: Intent; assert a == $0", '+"other"'),
    # Optimize
    ("optimize o { step $0", "+LabeledFewShot +BootstrapFewShot"),
    ("optimize o { step x = $0", "+LabeledFewShot +BootstrapFewShotWithRandomSearch -router"),
    ("optimize o {\n  step x = Boot$0\n}", "+BootstrapFewShot"),
    ("optimize o { step x = LabeledFewShot($0", "= k sample student compat tune freeze"),
    ("optimize o { step x = LabeledFewShot(k = 3, $0)", "= sample student compat tune freeze"),
    ("optimize o { step x = LabeledFewShot($0, k = 3) }", "= sample student compat tune freeze"),
    ("optimize o { step LabeledFewShot($0", "= k sample student compat tune freeze"),
    ("optimize o {\n step x = BootstrapFewShot(\n max_rounds = 1,\n $0\n )\n}", "+teacher -max_rounds"),
    ("optimize o { step a = X(); step b = BootstrapFewShot(teacher = $0", "= a router thinker Flow tuned"),
    ("optimize o { step x = LabeledFewShot(sample = $0", "= true false"),
    ("optimize o { step x = BootstrapFewShot(metric_threshold = $0", "= none"),
    ("optimize o { step x = Nonsense($0", "="),
    ("optimize o { step x = MIPROv2(auto = $0", '= "light" "medium" "heavy" none'),
    ('optimize o { step x = MIPROv2(auto = "$0', "= light medium heavy"),
    ('optimize o { step x = MIPROv2(search = "r$0")', "+racing"),
    ('optimize o { step x = MIPROv2(auto = none, compat = $0', '= "dspy" none'),
    ("optimize o { step x = KNNFewShot(vectorizer = $0", '= "ngrams" mini big'),
    ("optimize o { step x = BootstrapFewShot(freeze = [router], $0)", "-tune -freeze +teacher"),
    ("optimize o { program = Flow; step x = BootstrapFewShot(freeze = [$0", "= router"),
    ("optimize o { program = Flow; step x = BootstrapFewShot(freeze = [router, $0])", "="),
    ("optimize o { program = thinker; step x = BootstrapFewShot(tune = [$0", "= thinker"),
    ("optimize o { program = router; freeze = [$0] }", "= router"),
    (AGENT + "optimize o { program = agent; step x = GEPA(freeze = [$0", "= agent.react agent.extract find agent"),
    (AGENT + "optimize o { program = agent; step x = GEPA(freeze = [find, $0",
     "= agent.react agent.extract agent"),
    (AGENT + "optimize o { program = agent; tune = [$0]; step x = COPRO() }",
     "= agent.react agent.extract find agent"),
    # What writes no descriptions is offered no tools.
    (AGENT + "optimize o { program = agent; step x = LabeledFewShot(freeze = [$0",
     "= agent.react agent.extract agent"),
    ("optimize o { program = router; tune = $0 }", "="),
    # Ensembles, and optimizers inside another one
    ("optimize o { step a = BootstrapRS(); step v = Ensemble($0", "+a +router +Flow +reduce +size -student"),
    ("optimize o { step a = BootstrapRS(); step v = Ensemble([a, $0", "= a router thinker Flow tuned"),
    ("optimize o { step a = BootstrapRS(); step v = Ensemble(a.$0", "= candidates"),
    ("optimize o { step a = LabeledFewShot(); step v = Ensemble(a.$0", "="),
    ("optimize o { step a = BootstrapRS(); step v = Ensemble(a.candidates.$0", "= top"),
    ("optimize o { step a = BootstrapRS(); step v = Ensemble([router, a.candidates.$0])", "= top"),
    ("optimize o { step a = BootstrapRS(); step v = Ensemble(a.candidates.top($0", "="),
    ("optimize o { step v = Ensemble([router]); step w = Ensemble([$0", "= router thinker Flow tuned"),
    ("optimize o { program = router; step v = Ensemble([router], reduce = $0", "+majority +first +none +Flow -mean"),
    ("optimize o { program = router; step v = Ensemble([router], reduce = majority($0", "= intent lines"),
    ("optimize o { program = router; step v = Ensemble([router], reduce = mean($0", "="),
    ("optimize o { step b = BetterTogether(p = $0", "+MIPROv2 -Ensemble -BetterTogether"),
    ("optimize o { step b = BetterTogether(p = MIPROv2($0", "+auto +teacher -student -compat -tune"),
    ("optimize o { step b = BetterTogether(p = MIPROv2(auto = $0", '= "light" "medium" "heavy" none'),
    # Eval and test
    ("eval e { program = router; baseline = thinker; gate $0", "+score +baseline -len"),
    ("eval e { program = router; baseline = thinker; gate score > baseline.$0", "= score"),
    ("test t { program = router; given $0", "= text hint"),
    ("test t { program = router; given hint = $0", '= "refund" "bug \\"x\\"" "other"'),
    ("test t { program = router; expect $0", "+intent +lines"),
    ("test t { program = router; expect intent == $0", '+"refund"'),
]  # fmt: skip


def split(expected: str) -> list[str]:
    """Words of an expectation; `\\ ` is a blank within one, and so are blanks between quotes."""
    words, current, quoted, escaped = [], "", False, False
    for character in expected:
        if escaped:
            current += character if character == " " else f"\\{character}"
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == " " and not quoted:
            words.append(current)
            current = ""
        else:
            quoted ^= character == '"'
            current += character
    return [word for word in (*words, current) if word]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_what_is_offered(text: str, expected: str) -> None:
    found = labels(FILE + text)
    assert len(found) == len(set(found))
    if expected.startswith("="):
        assert found == split(expected[1:])
        return
    for wanted in split(expected):
        assert (wanted[1:] in found) == wanted.startswith("+"), (wanted, found)


EXAMPLES = [
    path
    for path in sorted((Path(__file__).resolve().parents[2] / "examples").glob("*/[!.]*.dspec"))
    if "\noptimize " in (text := path.read_text(encoding="utf-8")) and "\nimport " not in text
]
"""Whole ones that need no other file: here a text has no folder."""
DECLARING = {*KEYWORDS, "input", "output", "field", "for", "let", "step"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_word_of_an_example_is_offered_in_its_place(path: Path) -> None:
    """Take a word that is no new name out of a correct file: completion offers to put it back."""
    text = path.read_text(encoding="utf-8")
    tokens = [token for token in tokenize(text) if token.kind not in ("space", "newline", "comment")]
    tried = 0
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        new = before.text in DECLARING and not (before.text == "step" and after.text == "(")
        line = text[: token.start]
        new = new or line.rfind("sig(") > line.rfind(")")  # a field of a signature in place
        if token.kind != "name" or new or after.text == ":":
            continue
        tried += 1
        found = labels(f"{text[: token.start]}$0{text[token.end :]}")
        assert token.text in found, (token, text[token.start - 40 : token.start], found)
    assert tried > 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_text_that_ends_anywhere_completes_without_an_error(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for end in range(0, len(text), 11):
        found, before = offered(f"{text[:end]}$0")
        assert 0 <= found.start <= len(before)
        assert "\n" not in before[found.start :] or before[found.start :].count('"""')


@settings(max_examples=1_000 if os.environ.get("DSPEC_DEEP") else 25)
@given(broken_texts, st.floats(0, 1))
def test_broken_text_completes_anywhere(text: str, where: float) -> None:
    offset = int(len(text) * where)
    analysis = analyse(Path("/nowhere/main.dspec"), text=text, probe=False)
    found = complete(analysis, offset)
    assert found.start <= offset
    view = query.view_at(analysis, offset)
    assert view is None or not view.session.crashes


def test_promised_outputs_come_first_in_a_return() -> None:
    text = FILE + "program P(q: str) -> (intent: Intent, n: int) { return "
    assert labels(f"{text}$0 }}")[:2] == ["intent", "n"]
    assert labels(f"{text}q, $0 }}")[0] == "n"


@pytest.mark.parametrize(
    ("before", "inserted"),
    [
        ('FILE metric m(gold: rows, pred: router) { score = gold.intent == "re$0\n}', 'refund"'),
        ('FILE metric m(gold: rows, pred: router) { score = gold.intent == "re$0" }', "refund"),
        ("FILE metric m(gold: rows, pred: router) { score = gold.intent == $0 }", '"refund"'),
        ("optimize o {\n  se$0\n}", "seed = "),
        ("optimize o {\n  se$0 = 3\n}", "seed"),
        ("optimize o { step a = LabeledFewShot($0", "k = "),
        ("lm$0", "lm "),
    ],
)
def test_what_is_inserted(before: str, inserted: str) -> None:
    found, _ = offered(before.replace("FILE ", FILE))
    assert inserted in [suggestion.insert or suggestion.label for suggestion in found.suggestions]


def test_only_the_word_before_the_cursor_is_replaced() -> None:
    found, before = offered(FILE + "metric m(gold: rows, pred: router) { score = gold.int$0ent }")
    assert before[found.start :] == "int"


def test_names_behind_an_import_come_with_its_alias(tmp_path: Path) -> None:
    (tmp_path / "lib.dspec").write_text(FILE, encoding="utf-8")
    cases = {
        "module m = Predict($0": ["lib.Route", "sig"],
        "module m = Predict(lib.$0": ["Route"],
        "optimize o { train = $0 }": ["lib.rows.train", "lib.rows.val", "lib.rows"],
        "optimize o { train = lib.$0 }": ["rows"],
        "optimize o { train = lib.rows.$0 }": ["train", "val"],
        "metric m(gold: lib.rows, pred: lib.router) { score = gold.$0 }": ["text", "intent"],
        "metric m(gold: lib.rows, pred: lib.router) { score = pred.lines[0].$0 }": ["sku", "kind", "ok"],
        "program P(a: str) { let x = lib.$0 }": ["router", "thinker", "Flow", "Line"],
        "program P(a: str) { let x = lib.router(text = a)\n let y = x.$0 }": ["intent", "lines"],
        "signature S { input a: lib.$0 }": ["Intent", "Line"],
    }
    for case, expected in cases.items():
        text = f'dspec 1\nimport "lib.dspec" as lib\n{case}'
        offset = text.index("$0")
        analysis = analyse(tmp_path / "main.dspec", text=text.replace("$0", ""), probe=False)
        assert [each.label for each in complete(analysis, offset).suggestions] == expected, case


def test_every_suggestion_of_the_tables_explains_itself() -> None:
    for place in ("lm x { $0", "optimize o { $0", "optimize o { step a = BootstrapFewShot($0", "$0"):
        for suggestion in offered(FILE + place)[0].suggestions:
            assert suggestion.doc, (place, suggestion)


def test_circular_names_end() -> None:
    circles = "optimize a { program = b }\noptimize b { program = a }\ntype T = U\ntype U = T\n"
    text = circles + "record R { field t: T; field r: R; assert t == $0"
    assert '"' not in "".join(labels(text))
    assert labels(circles + "metric m(gold: rows, pred: a) { score = pred.$0 }") == []
