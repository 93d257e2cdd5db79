// The page of the panel: text only. No script runs in it, nothing is loaded, and whatever a program or a model wrote is
// escaped. Knows nothing of VS Code.

export type Part = { title?: string } & (
  | { kind: "text"; text: string }
  | { kind: "values"; values: readonly (readonly [string, string])[] }
);

export interface Page {
  title: string;
  /** A line below the title. */
  state: string;
  parts: readonly Part[];
}

const STYLE = `
body { font-family: var(--vscode-font-family); color: var(--vscode-foreground); padding: 0 1.5em 2em; }
h1 { font-size: 1.3em; font-weight: 600; margin-bottom: 0; }
h2 { font-size: 1em; font-weight: 600; margin: 1.5em 0 0.5em; }
p { color: var(--vscode-descriptionForeground); margin-top: 0.3em; }
pre, td { font-family: var(--vscode-editor-font-family); font-size: var(--vscode-editor-font-size); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 1em; }
pre.wide { white-space: pre; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: 0.2em 1.5em 0.2em 0; white-space: pre-wrap; font-weight: normal; }
th { color: var(--vscode-descriptionForeground); }
`;

export function html(page: Page, nonce: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'">
<title>${escaped(page.title)}</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<h1>${escaped(page.title)}</h1>
<p>${escaped(page.state)}</p>
${page.parts.map(shown).join("\n")}
</body>
</html>`;
}

function shown(part: Part): string {
  const head = part.title ? `<h2>${escaped(part.title)}</h2>` : "";
  if (part.kind === "text") {
    return part.text.trim() ? head + part.text.trimEnd().split(/\n{2,}/).map(paragraph).join("") : "";
  }
  const rows = part.values.map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`);
  return `${head}<table>${rows.join("")}</table>`;
}

/** Prose is broken to the width of the panel; a table is scrolled. */
function paragraph(text: string): string {
  const columns = text.split("\n").filter((line) => /\S {2,}\S/.test(line)).length;
  return `<pre${columns > 1 ? ' class="wide"' : ""}>${escaped(text)}</pre>`;
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => ESCAPES[one] ?? one);
}

/** The messages of `dspc show --prompt`, each with who says it. */
export function messages(text: string): Part[] {
  const pieces = text.split(/^── (.*)$/m);
  const parts: Part[] = [{ kind: "text", text: pieces[0] ?? "" }];
  for (let at = 1; at + 1 < pieces.length; at += 2) {
    parts.push({ kind: "text", title: pieces[at], text: (pieces[at + 1] ?? "").replace(/^\n/, "") });
  }
  return parts;
}

/** The outputs of `dspc run --json`, by name; the text itself where it is no object. */
export function outputs(text: string): Part[] {
  const read = parsed(text);
  if (typeof read !== "object" || read === null || Array.isArray(read)) return [{ kind: "text", text }];
  const values = Object.entries(read).map(
    ([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value, null, 2)] as const,
  );
  return [{ kind: "values", values }];
}

export interface Input {
  name: string;
  about: string;
  optional: boolean;
}

/** What a program takes, as `dspc show --ir` tells it. */
export function inputsOf(ir: string, program: string): Input[] {
  const read = parsed(ir) as { programs?: Record<string, { inputs?: { [name: string]: unknown }[] }> } | undefined;
  const inputs = read?.programs?.[program]?.inputs ?? [];
  return inputs.map((one) => ({
    name: String(one["name"]),
    about: String(one["description"] ?? ""),
    optional: one["has_default"] === true,
  }));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
