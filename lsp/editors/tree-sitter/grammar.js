// The syntax of .dspec for editors that read it with tree-sitter, after `grammar/dspec.lark`.
//
// `src/scanner.c` says which line breaks end an item; everything else of a program that the checker can parse stands here.
// `tree-sitter generate` writes `src/parser.c`.

/// <reference types="tree-sitter-cli/dsl" />

// words: declarations
const KEYWORDS = ["extern", "type", "record", "lm", "signature", "module", "program", "dataset", "metric", "optimize", "eval", "test"];

const several = (rule, between = ",") => seq(rule, repeat(seq(between, rule)));
const listed = (rule) => seq(several(rule), optional(","));

module.exports = grammar({
  name: "dspec",
  externals: ($) => [$._separator, $.text],
  extras: ($) => [/\s/, /\uFEFF/, $.comment],
  word: ($) => $.identifier,
  supertypes: ($) => [$.declaration, $.item, $.type, $.expression],

  rules: {
    source_file: ($) => seq(repeat($._separator), optional(seq(several($.declaration, repeat1($._separator)), repeat($._separator)))),

    comment: () => token(/#[^\n\r]*/),
    identifier: () => /[\p{L}\p{Nl}_][\p{L}\p{N}\p{M}_]*/u,
    number: () => /[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]+)?/,
    percent: () => /[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]+)?%/,
    string: ($) => choice($.text, seq('"', repeat(choice($.escape, token.immediate(prec(1, /[^"\\\n]+/)))), token.immediate('"'))),
    escape: () => token.immediate(prec(1, /\\./)),

    declaration: ($) => choice($.version, $.import, $.type_alias, $.with_items, $.with_value),
    version: ($) => seq("dspec", $.number),
    import: ($) => seq("import", $.string, "as", field("name", $._name)),
    type_alias: ($) => seq("type", field("name", $._name), "=", several($._described_type, "|")),
    with_items: ($) => seq($._head, optional(seq("extends", field("base", $.address))), $.block),
    with_value: ($) => seq($._head, "=", field("value", $.expression)),
    _head: ($) =>
      seq(
        field("keyword", alias(choice(...KEYWORDS.filter((word) => word !== "type")), $.keyword)),
        field("name", $._name),
        optional($.parameters),
        optional(seq("->", field("returns", choice($.type, $.parameters)))),
      ),
    parameters: ($) => seq("(", optional(listed($.parameter)), ")"),
    parameter: ($) => seq(field("name", $._name), optional(seq(":", field("type", $.type))), optional(seq("=", field("default", $.expression)))),

    block: ($) => seq("{", repeat($._separator), optional(seq(several($.item, repeat1($._separator)), repeat($._separator))), "}"),
    item: ($) =>
      choice(
        $.doc, $.setting, $.setting_of, $.section, $.field, $.check, $.let, $.repeat, $.until, $.return, $.step, $.given, $.expect, $.gate,
      ),
    doc: ($) => $.string,
    setting: ($) => seq(field("name", $._item_name), "=", field("value", $.expression)),
    setting_of: ($) => seq(field("name", $._item_name), "for", $.address, "=", field("value", $.expression)),
    section: ($) => seq(field("name", $._item_name), $.block),
    field: ($) =>
      seq(
        field("role", choice("input", "output", "field")),
        field("name", $._name),
        optional(seq(":", field("type", $.type))),
        optional(seq("=", field("default", $.expression))),
        optional($.string),
      ),
    check: ($) => seq(choice("assert", "suggest"), $.expression, optional(seq("else", $.expression))),
    let: ($) => seq("let", field("name", $._name), "=", $.expression),
    repeat: ($) => seq("let", field("name", $._name), "=", "repeat", $.number, "from", several($._name), $.block),
    until: ($) => seq("until", $.expression),
    return: ($) => seq("return", several($._argument)),
    step: ($) => seq("step", optional(seq(field("name", $._name), "=")), $.expression),
    given: ($) => seq("given", field("name", $._name), "=", $.expression),
    expect: ($) => seq("expect", $.expression),
    gate: ($) => seq("gate", $.expression),
    address: ($) => several($._name, "."),

    type: ($) => choice($.union_type, $._single_type),
    union_type: ($) => seq($._single_type, repeat1(seq("|", $._single_type))),
    _single_type: ($) => choice($.named_type, $.generic_type, $.literal_type, $.optional_type),
    _described_type: ($) => seq($._single_type, optional(field("description", $.string))),
    named_type: ($) => choice(several($._name, "."), alias(choice("list", "dict", "tuple"), $.identifier)),
    generic_type: ($) => seq(field("name", alias(choice("list", "dict", "tuple"), $.generic)), "[", listed($.type), "]"),
    literal_type: ($) => choice($.string, $.number, seq("-", $.number)),
    optional_type: ($) => seq($._single_type, "?"),

    expression: ($) =>
      choice(
        $.conditional, $.binary, $.unary, $.attribute, $.index, $.call, $.number, $.percent, $.string, $.constant, $.parenthesised, $.list,
        $.comprehension, $.inline_signature, $.identifier,
      ),
    conditional: ($) => prec.right(1, seq("if", $.expression, "then", $.expression, "else", $.expression)),
    binary: ($) =>
      choice(
        ...[
          [2, "or"], [3, "and"],
          [5, choice("==", "!=", "<", "<=", ">", ">=", "in", seq("not", "in"))],
          [6, choice("+", "-")], [7, choice("*", "/")],
        ].map(([level, sign]) => prec.left(level, seq($.expression, field("operator", sign), $.expression))),
      ),
    unary: ($) => choice(prec(4, seq("not", $.expression)), prec(8, seq("-", $.expression))),
    attribute: ($) => prec(9, seq($.expression, ".", field("name", $._name))),
    index: ($) => prec(9, seq($.expression, "[", $.expression, "]")),
    call: ($) => prec(9, seq(field("callee", $.expression), "(", optional(listed($._argument)), ")")),
    _argument: ($) => choice($.expression, $.named_argument),
    named_argument: ($) => seq(field("name", $._name), "=", field("value", $.expression)),
    constant: () => choice("true", "false", "none"),
    parenthesised: ($) => seq("(", $.expression, ")"),
    list: ($) => seq("[", optional(listed($.expression)), "]"),
    comprehension: ($) => seq("[", $.expression, "for", several($._name), "in", $.expression, "]"),
    inline_signature: ($) => seq("sig", "(", optional(listed($.parameter)), "->", listed($.parameter), ")"),

    // A word with a form of its own is read as a name wherever that form cannot stand. Where both can, it is both.
    _name: ($) => $.identifier,
    _item_name: ($) => choice($.identifier, alias($._item_word, $.identifier)),
    _item_word: () =>
      // words: items
      choice(...["input", "output", "field", "assert", "suggest", "let", "until", "return", "step", "given", "expect", "gate"]),
  },
});
