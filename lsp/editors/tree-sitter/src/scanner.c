// The two things that a context-free grammar cannot say well: which line breaks end an item, and where a text in three
// quotes ends that nobody closed. As in `grammar/lexemes.py` and `grammar/tokens.py`.

#include "tree_sitter/parser.h"

#include <string.h>
#include <wctype.h>

enum { SEPARATOR, TEXT };

void *tree_sitter_dspec_external_scanner_create(void) { return NULL; }
void tree_sitter_dspec_external_scanner_destroy(void *payload) {}
unsigned tree_sitter_dspec_external_scanner_serialize(void *payload, char *buffer) { return 0; }
void tree_sitter_dspec_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {}

static void skip(TSLexer *lexer) { lexer->advance(lexer, true); }
static void take(TSLexer *lexer) { lexer->advance(lexer, false); }

static bool is_word(int32_t c) { return c == '_' || iswalnum((wint_t)c); }

// Reads a word of at most 15 characters; of a longer one, the beginning.
static void read_word(TSLexer *lexer, char *word) {
  unsigned length = 0;
  while (is_word(lexer->lookahead)) {
    if (length < 15) word[length++] = lexer->lookahead < 128 ? (char)lexer->lookahead : '?';
    take(lexer);
  }
  word[length] = 0;
}

static bool is_one_of(const char *word, const char *const *words) {
  for (; *words; words++)
    if (!strcmp(word, *words)) return true;
  return false;
}

static const char *const CONTINUING[] = {"and", "or", "not", "in", "then", "else", "for", NULL};

// A line break, or `;`. A break does not count where the next line goes on with an operator.
static bool separator(TSLexer *lexer) {
  bool broken = false, ended = false;
  for (;;) {
    int32_t c = lexer->lookahead;
    if (c == '\n') {
      broken = true;
      if (ended) take(lexer); else skip(lexer);
    } else if (c == ';') {
      take(lexer);
      lexer->mark_end(lexer);
      lexer->result_symbol = SEPARATOR;
      return true;
    } else if (iswspace((wint_t)c) || c == 0xFEFF) {
      if (ended) take(lexer); else skip(lexer);
    } else if (c == '#' && broken) {
      // A comment between two items belongs to neither: the separator stands before it.
      if (!ended) lexer->mark_end(lexer);
      ended = true;
      while (lexer->lookahead != '\n' && !lexer->eof(lexer)) take(lexer);
    } else {
      break;
    }
  }
  if (!broken) return false;
  if (!ended) lexer->mark_end(lexer);
  lexer->result_symbol = SEPARATOR;
  if (lexer->eof(lexer)) return true;
  if (strchr("{)]=:,.|?+-*/<>!", (char)lexer->lookahead) && lexer->lookahead < 128) return false;
  if (is_word(lexer->lookahead)) {
    char word[16];
    read_word(lexer, word);
    return !is_one_of(word, CONTINUING);
  }
  return true;
}

static const char *const DECLARATIONS[] = {
    // words: declarations
    "extern", "type", "record", "lm", "signature", "module", "program", "dataset", "metric", "optimize", "eval", "test",
    NULL};

// Whether a complete header stands here, at the beginning of a line.
static bool header(TSLexer *lexer) {
  char word[16];
  read_word(lexer, word);
  bool declares = is_one_of(word, DECLARATIONS);
  if (!declares && strcmp(word, "import") && strcmp(word, "dspec")) return false;
  bool blank = false;
  for (; lexer->lookahead == ' ' || lexer->lookahead == '\t'; take(lexer)) blank = true;
  if (!strcmp(word, "import")) return lexer->lookahead == '"';
  if (!strcmp(word, "dspec")) return blank && lexer->lookahead >= '0' && lexer->lookahead <= '9';
  if (!blank || !is_word(lexer->lookahead)) return false;
  read_word(lexer, word);
  if (is_one_of(word, CONTINUING)) return false;
  while (lexer->lookahead == ' ' || lexer->lookahead == '\t') take(lexer);
  return lexer->lookahead == '(' || lexer->lookahead == '{' || lexer->lookahead == '=';
}

static bool text(TSLexer *lexer) {
  while (iswspace((wint_t)lexer->lookahead)) skip(lexer);
  for (int quotes = 0; quotes < 3; quotes++) {
    if (lexer->lookahead != '"') return false;
    take(lexer);
  }
  lexer->result_symbol = TEXT;
  for (;;) {
    lexer->mark_end(lexer);
    if (lexer->eof(lexer)) return true;
    if (lexer->lookahead == '\\') {
      take(lexer);
      if (!lexer->eof(lexer)) take(lexer);
    } else if (lexer->lookahead == '"') {
      take(lexer);
      if (lexer->lookahead != '"') continue;
      take(lexer);
      if (lexer->lookahead != '"') continue;
      take(lexer);
      lexer->mark_end(lexer);
      return true;
    } else if (lexer->lookahead == '\n') {
      take(lexer);
      if (header(lexer)) return true;
    } else {
      take(lexer);
    }
  }
}

bool tree_sitter_dspec_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
  if (valid[SEPARATOR] && valid[TEXT]) {
    // Both may stand here: a doc after an item. Blanks before decide.
    while (lexer->lookahead == ' ' || lexer->lookahead == '\t') skip(lexer);
    if (lexer->lookahead == '"') return text(lexer);
    return separator(lexer);
  }
  if (valid[SEPARATOR]) return separator(lexer);
  return valid[TEXT] && text(lexer);
}
