// The commands of code lenses and the palette. Each runs `dspc` on the file as it is saved, beside the server.

import { dirname } from "node:path";
import { type CodeLens, commands, ProgressLocation, Uri, window, workspace } from "vscode";
import { inputsOf, messages, outputs, type Part } from "./page";
import { show, update } from "./panel";
import { type Ended, lastLine, start, type Told } from "./processes";

interface Command {
  /** What is being done, for the progress. */
  doing: string;
  /** The arguments of `dspc`; none where the user gave up. */
  arguments(dspc: string, file: string, name: string | undefined): Promise<string[] | undefined> | string[];
  /** Whether it is about one declaration, and makes no sense without. */
  one?: boolean;
  parts?(result: string): Part[];
}

const COMMANDS: Record<string, Command> = {
  "dspc.check": { doing: "checking", arguments: (_, file) => ["check", file] },
  "dspc.plan": { doing: "planning", one: true, arguments: (_, file, name) => ["plan", file, ...given(name)] },
  "dspc.compile": { doing: "compiling", arguments: (_, file, name) => ["compile", file, ...given(name)] },
  "dspc.eval": { doing: "scoring", arguments: (_, file, name) => ["eval", file, ...given(name)] },
  "dspc.test": { doing: "testing", arguments: (_, file, name) => ["test", file, ...given(name)] },
  "dspc.run": { doing: "running", one: true, arguments: runArguments, parts: outputs },
  "dspc.showPrompt": {
    doing: "showing the prompt of",
    one: true,
    arguments: (_, file, name) => ["show", file, "--prompt", name ?? ""],
    parts: messages,
  },
};

/** What the server is told that this editor can run. */
export const NAMES = Object.keys(COMMANDS);

const OFTEN = 200; // milliseconds between two pictures of a command that runs

/** Carries out a command. `where` and `name` come from a code lens; without, the file that is open and a choice. */
export async function carryOut(id: string, dspc: string, where?: string, name?: string): Promise<void> {
  const command = COMMANDS[id];
  const uri = typeof where === "string" ? Uri.parse(where) : window.activeTextEditor?.document.uri;
  if (!command || !uri) return;
  const document = await workspace.openTextDocument(uri);
  if (uri.scheme !== "file" || document.languageId !== "dspec") {
    void window.showWarningMessage("dspec: open a .dspec file that is saved, then run the command again.");
    return;
  }
  if (document.isDirty && !(await document.save())) return;
  const chosen = typeof name === "string" ? name : command.one ? await choose(id, uri) : undefined;
  if (command.one && chosen === undefined) return;
  const args = await command.arguments(dspc, uri.fsPath, chosen);
  if (!args) return;
  const title = [`dspc ${args[0]}`, chosen ?? document.uri.path.split("/").pop()].join(" ");
  await run(command, title, dspc, args, uri.fsPath, chosen ?? "the file");
}

/** A declaration that the command is for, as the code lenses say. */
async function choose(id: string, uri: Uri): Promise<string | undefined> {
  const lenses = await commands.executeCommand<CodeLens[]>("vscode.executeCodeLensProvider", uri, 1000);
  const names = lenses.flatMap((one) => (one.command?.command === id ? [String(one.command.arguments?.[1])] : []));
  if (!names.length) void window.showInformationMessage("dspec: this file declares nothing that the command is for.");
  return names.length > 1 ? window.showQuickPick(names, { title: "Which one?" }) : names[0];
}

async function runArguments(dspc: string, file: string, name = ""): Promise<string[] | undefined> {
  const shown = await start(dspc, ["show", file, "--ir"], dirname(file), () => undefined).ended;
  const args = ["run", file, name, "--json"];
  for (const input of inputsOf(shown.result, name)) {
    const value = await window.showInputBox({
      title: `${name}: ${input.name}`,
      prompt: [input.about, input.optional ? "Empty: its default." : ""].filter(Boolean).join(". "),
      placeHolder: "a text as it is, other values as JSON, @path for an image, a recording or a file",
      ignoreFocusOut: true,
    });
    if (value === undefined) return undefined;
    if (value || !input.optional) args.push("--input", `${input.name}=${value}`);
  }
  return args;
}

async function run(
  command: Command,
  title: string,
  dspc: string,
  args: string[],
  file: string,
  what: string,
): Promise<void> {
  const begun = Date.now();
  const ended = await window.withProgress(
    { location: ProgressLocation.Notification, title: `${command.doing} ${what}`, cancellable: true },
    async (progress, token) => {
      let drawn = 0;
      show({ title, state: `${command.doing} …`, parts: [] });
      const running = start(dspc, args, dirname(file), (told: Told) => {
        progress.report({ message: lastLine(told.progress) });
        if (Date.now() - drawn < OFTEN) return;
        drawn = Date.now();
        update({ title, state: `${command.doing} …`, parts: [{ kind: "text", text: told.progress }] });
      });
      token.onCancellationRequested(() => running.cancel());
      return running.ended;
    },
  );
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  const result: Part[] = command.parts && ended.code === 0 ? command.parts(ended.result) : [text(ended.result)];
  const how: Part[] = ended.progress.trim() ? [text(ended.progress, ended.result.trim() ? "How it went" : undefined)] : [];
  show({ title, state: `${state(ended)}, after ${seconds} s`, parts: [...result, ...how] });
}

function text(said: string, title?: string): Part {
  return { kind: "text", text: said, title };
}

/** An exit code in words; `dspc --help` lists them. */
function state(ended: Ended): string {
  if (ended.problem) return `could not be started: ${ended.problem}`;
  if (ended.cancelled) return "cancelled; what was answered is kept";
  const words: Record<number, string> = {
    0: "done",
    1: "errors, or a gate or a test that failed",
    3: "the budget is spent; the best so far is kept",
    4: "a key, a model or a provider is missing",
    130: "interrupted",
  };
  return words[ended.code ?? -1] ?? `failed (${ended.code ?? "ended by a signal"})`;
}

function given(name: string | undefined): string[] {
  return name === undefined ? [] : [name];
}
