// The panel beside the code: results of commands, one after the other in one place.

import { randomBytes } from "node:crypto";
import { ViewColumn, type WebviewPanel, window } from "vscode";
import { html, type Page } from "./page";

let panel: WebviewPanel | undefined;

export function show(page: Page): void {
  if (!panel) {
    panel = window.createWebviewPanel(
      "dspc.result",
      "dspec",
      { viewColumn: ViewColumn.Beside, preserveFocus: true },
      { enableScripts: false, enableForms: false, enableCommandUris: false, localResourceRoots: [] },
    );
    panel.onDidDispose(() => (panel = undefined));
  }
  panel.title = page.title;
  panel.webview.html = html(page, randomBytes(16).toString("hex"));
  if (!panel.visible) panel.reveal(undefined, true);
}

/** Shows again what runs, where the panel is still open. */
export function update(page: Page): void {
  if (panel) show(page);
}
