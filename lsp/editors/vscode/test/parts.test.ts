// What needs no editor: finding `dspc`, processes, the page. `npm test`.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findDspc } from "../src/finding";
import { html, inputsOf, messages, outputs } from "../src/page";
import { lastLine, start } from "../src/processes";

function program(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o755);
  return path;
}

test("dspc of the workspace is run only where the workspace is trusted", () => {
  const folder = mkdtempSync(join(tmpdir(), "dspec-"));
  const inside = program(folder, ".venv", "bin", "dspc");
  const outside = program(folder, "elsewhere", "dspc");
  const places = { setting: "", folder, path: join(folder, "elsewhere"), windows: false };
  assert.deepEqual(findDspc({ ...places, trusted: true }), { command: inside });
  assert.deepEqual(findDspc({ ...places, trusted: false }), { command: outside });
});

test("a relative entry of the PATH and a bare name are never taken", () => {
  const places = { setting: "", trusted: false, path: `.:bin`, windows: false };
  assert.ok("problem" in findDspc(places));
  assert.ok("problem" in findDspc({ ...places, setting: "dspc" }));
  assert.ok("problem" in findDspc({ ...places, setting: "/nowhere/dspc" }));
});

test("both streams are heard, and the exit code", async () => {
  const code = "console.log('result'); console.error('step 1\\nstep 2'); process.exitCode = 3";
  const ended = await start(process.execPath, ["-e", code], ".", () => undefined).ended;
  assert.deepEqual([ended.result, lastLine(ended.progress), ended.code], ["result\n", "step 2", 3]);
});

test("a cancelled command may say goodbye", async () => {
  const code = "process.on('SIGINT', () => { console.log('kept'); process.exit(130) }); console.error('on'); setInterval(() => 0, 1000)";
  const running = start(process.execPath, ["-e", code], ".", () => running.cancel());
  const ended = await running.ended;
  assert.deepEqual([ended.result, ended.code, ended.cancelled], ["kept\n", 130, true]);
});

test("a command that is not there is told of", async () => {
  assert.match((await start("/nowhere/dspc", [], ".", () => undefined).ended).problem ?? "", /ENOENT/);
});

test("nothing that a model wrote is read as a page", () => {
  const hostile = '<img src=x onerror=alert(1)>" \' & </pre><script>';
  const page = html({ title: hostile, state: hostile, parts: [{ kind: "text", text: hostile, title: hostile }] }, "n");
  assert.ok(!/<img|<script|<\/pre><s/.test(page));
  assert.match(page, /default-src 'none'; style-src 'nonce-n'/);
});

test("messages of a prompt, outputs of a run, inputs of a program", () => {
  assert.deepEqual(
    messages("── system\nRoute.\n── user\n<text>\n").slice(1).map((one) => one.title),
    ["system", "user"],
  );
  assert.deepEqual(outputs('{"intent": "refund", "n": 2}'), [
    { kind: "values", values: [["intent", "refund"], ["n", "2"]] },
  ]);
  const ir = JSON.stringify({ programs: { router: { inputs: [{ name: "text", description: "a mail", has_default: false }] } } });
  assert.deepEqual(inputsOf(ir, "router"), [{ name: "text", about: "a mail", optional: false }]);
  assert.deepEqual(inputsOf("error", "router"), []);
});
