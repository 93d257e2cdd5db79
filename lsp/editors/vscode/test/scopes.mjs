// The scopes of every character of the files that standard input names (JSON), as VS Code's own reader sees them.

import { readFileSync } from "node:fs";
import oniguruma from "vscode-oniguruma";
import textmate from "vscode-textmate";

const wasm = readFileSync(new URL("../node_modules/vscode-oniguruma/release/onig.wasm", import.meta.url));
await oniguruma.loadWASM(wasm);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () =>
    textmate.parseRawGrammar(
      readFileSync(new URL("../syntaxes/dspec.tmLanguage.json", import.meta.url), "utf8"),
      "dspec.tmLanguage.json",
    ),
});
const grammar = await registry.loadGrammar("source.dspec");

function scopes(text) {
  const shown = [];
  let stack = textmate.INITIAL;
  for (const line of text.split("\n")) {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, stack);
    stack = ruleStack;
    const found = [];
    for (const { startIndex, endIndex, scopes } of tokens) {
      for (let at = startIndex; at < Math.min(endIndex, line.length); at++) found.push(scopes.slice(1).join(" "));
    }
    shown.push(found);
  }
  return shown;
}

const texts = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(texts.map(scopes)));
