; Colours of .dspec. `python3.11 dev.py generate` writes the lists of words.

(identifier) @variable
(comment) @comment
(string) @string
(escape) @string.escape
(number) @number
(percent) @number
(constant) @constant.builtin

(keyword) @keyword
["dspec" "type"] @keyword
["import" "as"] @keyword.import
["extends" "repeat" "from" "sig"] @keyword
["if" "then" "else" "for"] @keyword.conditional
["and" "or" "not" "in"] @keyword.operator
; words: items
["input" "output" "field" "assert" "suggest" "let" "until" "return" "step" "given" "expect" "gate"] @keyword

(type_alias name: (identifier) @type)
(with_items name: (identifier) @function)
(with_value name: (identifier) @function)
(with_items keyword: (keyword) @keyword name: (identifier) @type
  (#any-of? @keyword "record" "signature"))
(named_type (identifier) @type)
(generic) @type.builtin
((named_type (identifier) @type.builtin)
  ; words: types
  (#any-of? @type.builtin "str" "int" "float" "bool" "date" "datetime" "any" "image" "audio" "file" "history" "list" "dict" "tuple"))

(setting name: (identifier) @property)
(setting_of name: (identifier) @property)
(section name: (identifier) @property)
(field name: (identifier) @property)
(attribute name: (identifier) @property)
(parameter name: (identifier) @variable.parameter)
(named_argument name: (identifier) @variable.parameter)

(call callee: (identifier) @function)
((call callee: (identifier) @function.builtin)
  ; words: functions
  (#any-of? @function.builtin "len" "lower" "upper" "strip" "str" "contains" "startswith" "endswith" "split" "join" "majority" "round" "abs" "min" "max" "sum" "mean" "any" "all" "unique" "first" "range" "matches" "regex" "normalize_text" "exact_match" "answer_exact_match" "answer_passage_match" "f1" "squad_normalize" "squad_exact_match" "squad_f1" "dpr_passage_match" "close" "reciprocal_rank" "precision_at" "recall_at" "ndcg" "number_in" "json_diff" "macro_f1" "weighted_f1" "balanced_accuracy" "worst_label" "percentile" "semantic_f1" "complete_and_grounded" "llm_judge"))
((call callee: (identifier) @function.builtin)
  ; words: sources
  (#any-of? @function.builtin "csv" "jsonl" "json" "parquet" "recorded" "huggingface" "python" "bm25" "embeddings" "colbert" "mcp" "http" "artifact"))
((call callee: (identifier) @constructor)
  ; words: strategies
  (#any-of? @constructor "Predict" "ChainOfThought" "ReAct" "ProgramOfThought" "CodeAct" "RLM" "MultiChainComparison" "BestOfN" "Refine" "Majority" "python"))
((call callee: (identifier) @constructor)
  ; words: optimizers
  (#any-of? @constructor "LabeledFewShot" "BootstrapFewShot" "BootstrapFewShotWithRandomSearch" "BootstrapFewShotWithOptuna" "COPRO" "MIPROv2" "GEPA" "SIMBA" "InferRules" "KNNFewShot" "Ensemble" "BetterTogether" "BootstrapFinetune" "GRPO" "Prune" "Auto" "BootstrapRS"))

["=" "->" "|" "?" "==" "!=" "<" "<=" ">" ">=" "+" "-" "*" "/"] @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
["," "." ":"] @punctuation.delimiter
