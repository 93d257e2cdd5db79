// The dspec extension: a language client, and commands that run `dspc`.
//
// In a workspace that is not trusted the server reads files and nothing is run: no lens, no command, and no `dspc` that
// lies in the workspace.

import { commands, type ExtensionContext, type LogOutputChannel, window, workspace } from "vscode";
import { LanguageClient } from "vscode-languageclient/node";
import { carryOut, NAMES } from "./commands";
import { findDspc } from "./finding";

let client: LanguageClient | undefined;
let changing: Promise<void> = Promise.resolve();

export async function activate(context: ExtensionContext): Promise<void> {
  const log = window.createOutputChannel("dspec", { log: true });
  const again = () => (changing = changing.then(() => restart(log)));
  context.subscriptions.push(
    log,
    workspace.onDidGrantWorkspaceTrust(again),
    workspace.onDidChangeConfiguration((event) => (event.affectsConfiguration("dspc.path") ? again() : undefined)),
    commands.registerCommand("dspc.restartServer", again),
    commands.registerCommand("dspc.showLog", () => log.show()),
    ...NAMES.map((id) => commands.registerCommand(id, (where?: string, name?: string) => command(id, where, name))),
  );
  await again();
}

export async function deactivate(): Promise<void> {
  await changing;
  await client?.stop();
}

async function restart(log: LogOutputChannel): Promise<void> {
  const before = client;
  client = undefined;
  await before?.dispose().catch((error: unknown) => log.warn(`the server did not stop: ${String(error)}`));
  const dspc = located();
  if (!dspc) return;
  log.info(`starting ${dspc} lsp`);
  client = new LanguageClient(
    "dspc",
    "dspec",
    { command: dspc, args: ["lsp"] },
    {
      documentSelector: [{ scheme: "file", language: "dspec" }],
      outputChannel: log,
      initializationOptions: { commands: workspace.isTrusted ? NAMES : [] },
      markdown: { isTrusted: false, supportHtml: false },
    },
  );
  await client.start().catch((error: unknown) => window.showErrorMessage(`dspec: ${dspc} lsp: ${String(error)}`));
}

/** The command `dspc`; where there is none, the user is told what to do. */
function located(): string | undefined {
  const found = findDspc({
    setting: workspace.getConfiguration("dspc").get<string>("path", ""),
    folder: workspace.workspaceFolders?.[0]?.uri.fsPath,
    trusted: workspace.isTrusted,
    path: process.env["PATH"] ?? "",
    windows: process.platform === "win32",
  });
  if ("command" in found) return found.command;
  void window.showErrorMessage(found.problem, "How to install it", "Open settings").then((answer) => {
    if (answer === "Open settings") return commands.executeCommand("workbench.action.openSettings", "dspc.path");
    if (answer) return commands.executeCommand("workbench.action.openWalkthrough", "dspec.dspec#start", false);
    return undefined;
  });
  return undefined;
}

async function command(id: string, where?: string, name?: string): Promise<void> {
  if (!workspace.isTrusted) {
    void window.showWarningMessage("dspec: the workspace is not trusted, so nothing of it is run.");
    return;
  }
  const dspc = located();
  if (dspc) await carryOut(id, dspc, where, name);
}
