// Drives the extension in VS Code itself, as code-server in a headless Chromium, and takes screenshots.
//
// In the environment: TOOLS, a folder whose node_modules hold code-server and playwright-core; CHROMIUM, the browser;
// VSIX; DSPC; PROJECT, a folder with tickets.dspec, which says `Pedict` for `Predict`; OUT, a folder for screenshots.
// Prints what was seen, as JSON.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { TOOLS, CHROMIUM, VSIX, DSPC, PROJECT, OUT } = process.env;
const require = createRequire(join(TOOLS, "package.json"));
const { chromium } = require("playwright-core");

const home = mkdtempSync(join(tmpdir(), "dspec-code-"));
const environment = { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, ".config"), XDG_DATA_HOME: join(home, ".data") };
const settings = {
  "dspc.path": DSPC,
  "security.workspace.trust.startupPrompt": "always",
  "workbench.startupEditor": "none",
  "workbench.colorTheme": "Default Light Modern",
  "workbench.tips.enabled": false,
  "editor.minimap.enabled": false,
  "editor.fontSize": 13,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoCheckUpdates": false,
  "chat.commandCenter.enabled": false,
};
mkdirSync(join(home, "user", "User"), { recursive: true });
writeFileSync(join(home, "user", "User", "settings.json"), JSON.stringify(settings));

const folders = ["--user-data-dir", join(home, "user"), "--extensions-dir", join(home, "extensions")];
const entry = join(TOOLS, "node_modules", "code-server", "out", "node", "entry.js");
const code_server = (...args) => spawn(process.execPath, [entry, ...folders, ...args], { env: environment, stdio: "ignore" });

async function free_port() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

const seen = {};
let page;

/** Runs a command of the palette. */
async function command(title) {
  await page.keyboard.press("F1");
  await page.locator(".quick-input-widget input").fill(`>${title}`);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
  await page.keyboard.press("Enter");
}

async function open(name) {
  await page.keyboard.press("Control+p");
  await page.locator(".quick-input-widget input").fill(name);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".tab", { hasText: name }).waitFor();
}

async function go_to(line, column) {
  await page.keyboard.press("Control+g");
  await page.locator(".quick-input-widget input").fill(`:${line}:${column}`);
  await page.keyboard.press("Enter");
}

const picture = (name) => page.screenshot({ path: join(OUT, `${name}.png`) });
const lens = (title) => page.locator(".codelens-decoration a", { hasText: title }).first();

/** Clicks a lens until the panel has the title of its command. */
async function press(title, command) {
  for (let tries = 0; tries < 5; tries++) {
    await lens(title).click();
    const begun = page.locator(".tab", { hasText: command }).first();
    if (await begun.waitFor({ timeout: 20_000 }).then(() => true, () => false)) return;
  }
  throw new Error(`the lens "${title}" does nothing`);
}

/** The text of the panel, once it says `words`. */
async function panel(words) {
  for (let tries = 0; tries < 400; tries++) {
    for (const frame of page.frames()) {
      const text = await frame.locator("body").innerText({ timeout: 200 }).catch(() => "");
      if (frame !== page.mainFrame() && text.includes(words)) return text;
    }
    await page.waitForTimeout(100);
  }
  throw new Error(`the panel does not say "${words}"`);
}

async function visit(url, trust) {
  await page.goto(url);
  const question = page.locator(".monaco-dialog-box");
  await question.waitFor({ timeout: 90_000 });
  await question.locator("a.monaco-button", { hasText: trust ? "Yes" : "No" }).click();
  await question.waitFor({ state: "detached" });
}

/** What works where nothing is trusted, and what does not. */
async function untrusted(url) {
  await visit(url, false);
  await open("tickets.dspec");
  await page.locator(".squiggly-error").first().waitFor();
  await page.waitForTimeout(2000);
  seen.untrusted_lenses = await page.locator(".codelens-decoration a").allInnerTexts();
}

async function trusted(url) {
  await page.goto("about:blank");
  await visit(url, false).catch(() => undefined);
  await command("Workspaces: Manage Workspace Trust");
  await page.locator("a.monaco-button", { hasText: /^Trust$/ }).first().click();
  await command("View: Close All Editors");
  await open("tickets.dspec");
  await page.keyboard.press("Control+b");
  await go_to(38, 1);
  await lens("plan").waitFor();
  seen.lenses = await page.locator(".codelens-decoration a").allInnerTexts();

  // The misspelt word: what is said of it, and the fix.
  await go_to(24, 18);
  await page.locator(".squiggly-error").first().waitFor();
  await command("Show or Focus Hover");
  const hover = page.locator(".monaco-hover-content", { hasText: "did you mean" }).first();
  await hover.waitFor();
  await hover.getByText("Quick Fix").waitFor();
  seen.problem = await hover.innerText();
  await picture("problem");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+.");
  const fix = page.locator(".action-widget .monaco-list-row", { hasText: "Predict" }).first();
  await fix.waitFor();
  seen.fix = await fix.innerText();
  await page.keyboard.press("Enter");
  await page.locator(".squiggly-error").first().waitFor({ state: "detached" });
  await page.keyboard.press("Control+s");

  // Completion of columns in the metric.
  await go_to(35, 1);
  await page.keyboard.press("End");
  await page.keyboard.type("\naccept = gold.");
  await page.keyboard.press("Control+Space");
  const row = page.locator(".suggest-widget .monaco-list-row");
  await row.filter({ hasText: "intent" }).first().waitFor();
  seen.completions = await row.evaluateAll((rows) => rows.map((one) => one.getAttribute("aria-label")));
  await picture("completion");
  await page.keyboard.type("intent == pred.intent ");
  await page.locator(".squiggly-error").first().waitFor({ state: "detached" });
  await page.keyboard.press("Control+s");

  // What a compile would ask, then the compile itself, and the prompt.
  await go_to(39, 1);
  await press("plan", "dspc plan");
  seen.plan = await panel("in all");
  await picture("plan");
  await press("compile", "dspc compile");
  seen.compile = await panel("wrote compiled");
  await picture("compile");
  await go_to(24, 1);
  await press("prompt", "dspc show");
  seen.prompt = await panel("Decide which intent");
  await lens("run").click();
  await page.locator(".quick-input-widget", { hasText: "router: text" }).waitFor();
  await page.locator(".quick-input-widget input").fill("where is my parcel?");
  await page.keyboard.press("Enter");
  seen.run = await panel("done, after");
  await picture("run");
  await go_to(39, 1);
  await lens("plan").waitFor();
  seen.scored = await page.locator(".codelens-decoration").allInnerTexts();
  const frame = page.frames().find((one) => one.name() === "active-frame" || one.url().includes("fake.html"));
  seen.scripts = frame ? await frame.locator("script").count() : -1;
  const spans = await page.locator(".view-line span span").evaluateAll((all) => all.map((one) => one.className));
  seen.colours = new Set(spans).size;
}

const port = await free_port();
const install = code_server("--install-extension", VSIX);
await once(install, "exit");
const server = code_server("--bind-addr", `127.0.0.1:${port}`, "--auth", "none", "--disable-telemetry", "--disable-update-check");
let browser;
try {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 1000, height: 600 } });
  page.setDefaultTimeout(90_000);
  const url = `http://127.0.0.1:${port}/?folder=${PROJECT}`;
  for (let tries = 0; ; tries++) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) break;
    if (tries > 600) throw new Error("code-server does not answer");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await untrusted(url);
  await trusted(url);
} catch (error) {
  seen.error = String(error);
  await page?.screenshot({ path: join(OUT, "error.png") });
} finally {
  await browser?.close();
  server.kill();
}
process.stdout.write(JSON.stringify(seen));
