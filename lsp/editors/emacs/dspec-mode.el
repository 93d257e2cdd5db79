;;; dspec-mode.el --- Major mode for .dspec, with its language server  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: languages

;;; Commentary:

;; Colours, indentation, and `dspc lsp' by way of eglot: Emacs 29 brings eglot along, Emacs 28 has it as a package.
;; Code lenses are not shown by eglot; `dspec-plan', `dspec-compile', `dspec-eval', `dspec-test' and `dspec-run' do the
;; same.  `python3.11 dev.py generate' writes the lists of words.

;;; Code:

(require 'compile)

(defgroup dspec nil
  "Programs of language models in .dspec."
  :group 'languages)

(defcustom dspec-command "dspc"
  "The command dspc, or a path to it."
  :type 'string
  :risky t)

(defcustom dspec-indent-offset 2
  "Columns for each block."
  :type 'integer
  :safe #'integerp)

(defconst dspec--declarations
  ;; words: declarations
  '("extern" "type" "record" "lm" "signature" "module" "program" "dataset" "metric" "optimize" "eval" "test"))

(defconst dspec--items
  ;; words: items
  '("input" "output" "field" "assert" "suggest" "let" "until" "return" "step" "given" "expect" "gate"))

(defconst dspec--types
  ;; words: types
  '("str" "int" "float" "bool" "date" "datetime" "any" "image" "audio" "file" "history" "list" "dict" "tuple"))

(defconst dspec--strategies
  ;; words: strategies
  '("Predict" "ChainOfThought" "ReAct" "ProgramOfThought" "CodeAct" "RLM" "MultiChainComparison" "BestOfN" "Refine" "Majority" "python"))

(defconst dspec--optimizers
  ;; words: optimizers
  '("LabeledFewShot" "BootstrapFewShot" "BootstrapFewShotWithRandomSearch" "BootstrapFewShotWithOptuna" "COPRO" "MIPROv2" "GEPA" "SIMBA" "InferRules" "KNNFewShot" "Ensemble" "BetterTogether" "BootstrapFinetune" "GRPO" "Prune" "Auto" "BootstrapRS"))

(defconst dspec--functions
  ;; words: functions
  '("len" "lower" "upper" "strip" "str" "contains" "startswith" "endswith" "split" "join" "majority" "round" "abs" "min" "max" "sum" "mean" "any" "all" "unique" "first" "range" "matches" "regex" "normalize_text" "exact_match" "answer_exact_match" "answer_passage_match" "f1" "squad_normalize" "squad_exact_match" "squad_f1" "dpr_passage_match" "close" "reciprocal_rank" "precision_at" "recall_at" "ndcg" "number_in" "json_diff" "macro_f1" "weighted_f1" "balanced_accuracy" "worst_label" "percentile" "semantic_f1" "complete_and_grounded" "llm_judge"))

(defconst dspec--sources
  ;; words: sources
  '("csv" "jsonl" "json" "parquet" "recorded" "huggingface" "python" "bm25" "embeddings" "colbert" "mcp" "http" "artifact"))

(defconst dspec--name "[[:alpha:]_][[:alnum:]_]*")

(defun dspec--called (words)
  "A pattern of WORDS that are called, and do not belong to something else."
  (concat "\\(?:^\\|[^._[:alnum:]]\\)\\(" (regexp-opt words) "\\)[ \t]*("))

(defconst dspec--header
  (concat "^\\(?:" (regexp-opt dspec--declarations) "[ \t]+" dspec--name "[ \t]*[({=]"
          "\\|import[ \t]*\"\\|dspec[ \t]+[0-9]\\)")
  "What begins a declaration whatever stands before it.")

(defvar dspec-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?_ "w" table)
    (modify-syntax-entry ?\" "\"" table)
    (modify-syntax-entry ?\\ "\\" table)
    (modify-syntax-entry ?' "." table)
    (dolist (sign '(?= ?+ ?- ?* ?/ ?< ?> ?| ?? ?: ?, ?. ?% ?\;))
      (modify-syntax-entry sign "." table))
    table))

(defconst dspec--font-lock
  `((,(concat "^[ \t]*\\(" (regexp-opt dspec--declarations) "\\)[ \t]+\\(" dspec--name "\\)")
     (1 font-lock-keyword-face) (2 font-lock-function-name-face))
    ("^[ \t]*\\(dspec\\)[ \t]+[0-9]" 1 font-lock-keyword-face)
    ("^[ \t]*\\(import\\)[ \t]*\".*?\"[ \t]*\\(as\\)\\>" (1 font-lock-keyword-face) (2 font-lock-keyword-face))
    (,(concat "\\(?:^\\|[{;]\\)[ \t]*\\(" (regexp-opt dspec--items) "\\)\\>[ \t]*\\(?:[^={ \t]\\|==\\|$\\)")
     1 font-lock-keyword-face)
    ("\\(?:^\\|[^.]\\)\\_<\\(and\\|or\\|not\\|in\\|if\\|then\\|else\\|for\\|sig\\)\\_>" 1 font-lock-keyword-face)
    ("\\(?:^\\|[^.]\\)\\_<\\(true\\|false\\|none\\)\\_>" 1 font-lock-constant-face)
    ("\\_<\\(repeat\\)[ \t]+[0-9]+[ \t]+\\(from\\)\\_>" (1 font-lock-keyword-face) (2 font-lock-keyword-face))
    (,(concat "\\_<\\(extends\\)[ \t]+\\(" dspec--name "\\)") (1 font-lock-keyword-face) (2 font-lock-type-face))
    (,(concat "\\(?::\\|->\\||\\)[ \t]*\\_<\\(" (regexp-opt dspec--types) "\\)\\_>") 1 font-lock-type-face)
    (,(concat "[[,][ \t]*\\(" (regexp-opt dspec--types) "\\)[],?[]") 1 font-lock-type-face)
    (,(dspec--called dspec--strategies) 1 font-lock-type-face)
    (,(dspec--called dspec--optimizers) 1 font-lock-type-face)
    (,(dspec--called dspec--functions) 1 font-lock-builtin-face)
    (,(dspec--called dspec--sources) 1 font-lock-builtin-face)
    (,(dspec--called '("env" "column")) 1 font-lock-builtin-face)
    (,(concat "\\_<\\(" dspec--name "\\)[ \t]*=\\(?:[^=]\\|$\\)") 1 font-lock-variable-name-face)))

(defun dspec--propertize (start end)
  "Mark texts in three quotes, and strings left open, between START and END.
A string ends with its line, a text at a complete header."
  (goto-char start)
  (dspec--end-of-text (syntax-ppss) end)
  (while (search-forward "\"" end t)
    (let* ((quote (match-beginning 0))
           (state (save-excursion (syntax-ppss quote))))
      (cond
       ((or (nth 3 state) (nth 4 state)))
       ((looking-at "\"\"")
        (dspec--fence quote)
        (dspec--end-of-text (syntax-ppss (match-end 0)) end))
       ((looking-at "\\(?:[^\"\\\n]\\|\\\\.\\)*\"")
        (goto-char (match-end 0)))
       (t
        (dspec--fence quote)
        (goto-char (line-end-position))
        (unless (eobp) (dspec--fence (point))))))))

(defun dspec--fence (place)
  "The character at PLACE begins or ends a string."
  (put-text-property place (1+ place) 'syntax-table (string-to-syntax "|")))

(defun dspec--end-of-text (state end)
  "Go to where the text in three quotes ends that STATE is in, before END.
Mark the end.  Where STATE is in none, stay."
  (when (eq (nth 3 state) t)
    (goto-char (max (point) (min end (+ 3 (nth 8 state)))))
    (let ((case-fold-search nil) (ended nil))
      (while (and (not ended)
                  (re-search-forward (concat "\\\\\\(?:.\\|\n\\)\\|\"\"\"\\|\n\\(?:" dspec--header "\\)") end 'move))
        (let ((found (char-after (match-beginning 0))))
          (cond
           ((eq found ?\")
            (dspec--fence (1- (point)))
            (setq ended t))
           ((eq found ?\n)
            (dspec--fence (match-beginning 0))
            (goto-char (1+ (match-beginning 0)))
            (setq ended t))))))))

(defun dspec-indent-line ()
  "Indent a line by the brackets that are open before it.
What stands in a text is left alone."
  (interactive)
  (let* ((state (save-excursion (syntax-ppss (line-beginning-position))))
         (opened (nth 1 state))
         (closes (save-excursion (back-to-indentation) (looking-at "[])}]"))))
    (if (nth 3 state)
        'noindent
      (let ((column (if (not opened) 0
                      (save-excursion
                        (goto-char opened)
                        (+ (current-indentation) (if closes 0 dspec-indent-offset))))))
        (if (<= (current-column) (current-indentation))
            (indent-line-to column)
          (save-excursion (indent-line-to column)))))))

(defun dspec--run (command &rest arguments)
  "Run COMMAND of dspc on the file, with ARGUMENTS.
It can be watched and ended in a buffer of its own."
  (unless buffer-file-name (user-error "The buffer has no file"))
  (save-buffer)
  (compile (mapconcat #'shell-quote-argument
                      (append (list dspec-command command (file-local-name buffer-file-name)) arguments)
                      " ")))

(defun dspec-check () "Check the file." (interactive) (dspec--run "check"))
(defun dspec-compile () "Compile the file." (interactive) (dspec--run "compile"))
(defun dspec-eval () "Score what was compiled." (interactive) (dspec--run "eval"))
(defun dspec-test () "Run the tests of the file." (interactive) (dspec--run "test"))

(defun dspec-plan (name)
  "Say what a compile of the block NAME asks and costs."
  (interactive (list (dspec--read-name "optimize")))
  (dspec--run "plan" name))

(defun dspec-show-prompt (name)
  "Show the prompt of the module NAME."
  (interactive (list (dspec--read-name "module")))
  (dspec--run "show" "--prompt" name))

(defun dspec-run (name inputs)
  "Run the module or program NAME once.  INPUTS are `name=value'."
  (interactive
   (list (dspec--read-name "module\\|program")
         (let (inputs one)
           (while (not (string= "" (setq one (read-string "Input, as name=value (empty: run): "))))
             (push one inputs))
           (nreverse inputs))))
  (apply #'dspec--run "run" name (mapcan (lambda (one) (list "--input" one)) inputs)))

(defun dspec--read-name (kind)
  "Ask for the name of a declaration of KIND, a pattern."
  (let (names)
    (save-excursion
      (goto-char (point-min))
      (while (re-search-forward (concat "^\\(?:" kind "\\)[ \t]+\\(" dspec--name "\\)") nil t)
        (push (match-string-no-properties 1) names)))
    (if (cdr names) (completing-read "Which: " (nreverse names) nil t)
      (or (car names) (user-error "The file declares none")))))

;;;###autoload
(define-derived-mode dspec-mode prog-mode "dspec"
  "Programs of language models."
  (setq-local comment-start "# "
              comment-start-skip "#+[ \t]*"
              indent-tabs-mode nil
              indent-line-function #'dspec-indent-line
              electric-indent-chars (append "]})" electric-indent-chars)
              syntax-propertize-function #'dspec--propertize
              font-lock-defaults '(dspec--font-lock)
              imenu-generic-expression
              `((nil ,(concat "^" (regexp-opt dspec--declarations) "[ \t]+\\(" dspec--name "\\)") 1))))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.dspec\\'" . dspec-mode))

(with-eval-after-load 'eglot
  (defvar eglot-server-programs)
  (add-to-list 'eglot-server-programs `(dspec-mode . (,dspec-command "lsp"))))

(provide 'dspec-mode)
;;; dspec-mode.el ends here
