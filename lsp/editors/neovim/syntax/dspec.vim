" Syntax of .dspec, for what the language server has not coloured. `python3.11 dev.py generate` writes the lists.
if exists('b:current_syntax')
  finish
endif

syntax case match
syntax sync minlines=200

syntax match dspecName /\<\h\w*\>/
syntax match dspecOperator /->\|[-=!<>]=\|[-+*/<>|?=:]/
syntax match dspecNumber /\<\d[0-9_]*\%(\.\d\+\)\?\%([eE][-+]\?\d\+\)\?%\?/
syntax match dspecProperty /\.\@1<=\h\w*/
syntax match dspecProperty /\h\w*\ze\s*=\%(=\)\@!/
syntax match dspecCall /\.\@1<!\<\h\w*\ze\s*(/

syntax match dspecConstant /\.\@1<!\<\%(true\|false\|none\)\>/
syntax match dspecReserved /\.\@1<!\<\%(and\|or\|not\|in\|if\|then\|else\|for\|sig\)\>/
syntax match dspecReserved /\<repeat\ze\s\+\d/
syntax match dspecReserved /\(\<repeat\s\+\d\+\s\+\)\@<=from\>/
syntax match dspecReserved /\<extends\ze\s\+\h/
syntax match dspecReserved /\("\s*\)\@<=as\>/

" words: types
syntax match dspecType /\v%(:|-\>|\|)@2<=\s*<%(str|int|float|bool|date|datetime|any|image|audio|file|history|list|dict|tuple)>/
" words: types
syntax match dspecType /\v%(\[|, )@2<=<%(str|int|float|bool|date|datetime|any|image|audio|file|history|list|dict|tuple)>\ze%(\]|\?|,|\[)/
syntax match dspecType /\<\%(list\|dict\|tuple\)\ze\s*\[/

" words: strategies
syntax match dspecStrategy /\v\.@1<!<%(Predict|ChainOfThought|ReAct|ProgramOfThought|CodeAct|RLM|MultiChainComparison|BestOfN|Refine|Majority|python)>\ze\s*\(/
" words: optimizers
syntax match dspecOptimizer /\v\.@1<!<%(LabeledFewShot|BootstrapFewShot|BootstrapFewShotWithRandomSearch|BootstrapFewShotWithOptuna|COPRO|MIPROv2|GEPA|SIMBA|InferRules|KNNFewShot|Ensemble|BetterTogether|BootstrapFinetune|GRPO|Prune|Auto|BootstrapRS)>\ze\s*\(/
" words: functions
syntax match dspecFunction /\v\.@1<!<%(len|lower|upper|strip|str|contains|startswith|endswith|split|join|majority|round|abs|min|max|sum|mean|any|all|unique|first|range|matches|regex|normalize_text|exact_match|answer_exact_match|answer_passage_match|f1|squad_normalize|squad_exact_match|squad_f1|dpr_passage_match|close|reciprocal_rank|precision_at|recall_at|ndcg|number_in|json_diff|macro_f1|weighted_f1|balanced_accuracy|worst_label|percentile|semantic_f1|complete_and_grounded|llm_judge)>\ze\s*\(/
" words: sources
syntax match dspecSource /\v\.@1<!<%(csv|jsonl|json|parquet|recorded|huggingface|python|bm25|embeddings|colbert|mcp|http|artifact)>\ze\s*\(/
syntax match dspecFunction /\v\.@1<!<%(env|column)>\ze\s*\(/

" words: items
syntax match dspecItem /\v%(%(^|[{;])\s*)@<=<%(input|output|field|assert|suggest|let|until|return|step|given|expect|gate)>%(\s*%(\=\=@!|\{))@!/
syntax match dspecProperty /\v%(%(^|[{;])\s*)@<=<\h\w*\ze\s*%(\=\=@!|\{)/
" words: declarations
syntax match dspecKeyword /\v^\s*<%(extern|type|record|lm|signature|module|program|dataset|metric|optimize|eval|test)>\ze\s+\h/ nextgroup=dspecDeclared skipwhite
syntax match dspecKeyword /^\s*\<\%(dspec\ze\s\+\d\|import\ze\s*"\)/
syntax match dspecDeclared /\h\w*/ contained

syntax match dspecEscape /\\\%(["\\ntr]\|u\x\{4}\)/ contained
syntax match dspecBadEscape /\\\%(["\\ntr]\|u\x\{4}\|$\)\@!./ contained
syntax match dspecString /"\%([^"\\]\|\\.\)*\%("\|\\\?$\)/ contains=dspecEscape,dspecBadEscape
" A complete header at the beginning of a line ends an open text, as in `grammar/tokens.py`.
" words: declarations
syntax region dspecText start=/"""/ skip=/\\./ end=/"""/ end=/\v\n%(<%(extern|type|record|lm|signature|module|program|dataset|metric|optimize|eval|test)>[ \t]+\h\w*[ \t]*[({=])@=/ contains=dspecEscape,dspecBadEscape keepend
syntax match dspecComment /#.*$/ contains=dspecTodo,@Spell
syntax keyword dspecTodo TODO FIXME XXX contained

highlight default link dspecKeyword Structure
highlight default link dspecDeclared Identifier
highlight default link dspecItem Statement
highlight default link dspecReserved Keyword
highlight default link dspecConstant Constant
highlight default link dspecProperty Identifier
highlight default link dspecType Type
highlight default link dspecStrategy Special
highlight default link dspecOptimizer Special
highlight default link dspecFunction Function
highlight default link dspecSource Function
highlight default link dspecCall Function
highlight default link dspecNumber Number
highlight default link dspecString String
highlight default link dspecText String
highlight default link dspecEscape SpecialChar
highlight default link dspecBadEscape Error
highlight default link dspecOperator Operator
highlight default link dspecComment Comment
highlight default link dspecTodo Todo

let b:current_syntax = 'dspec'
