// A command that runs until it ends or is cancelled. Knows nothing of VS Code.

import { spawn } from "node:child_process";

const PATIENCE = 10_000; // milliseconds that a cancelled command has, to write down what it has
const KEPT = 1_000_000; // characters of each stream

export interface Told {
  /** Standard output: the result. */
  result: string;
  /** Standard error: how it went. */
  progress: string;
}

export interface Ended extends Told {
  /** The exit code; none where it could not be started or was ended by a signal. */
  code: number | null;
  cancelled: boolean;
  /** Why it could not be started. */
  problem?: string;
}

export interface Running {
  ended: Promise<Ended>;
  cancel(): void;
}

/** Starts a command, without a shell. `told` is called whenever it says something, with all that it said. */
export function start(command: string, args: readonly string[], folder: string, told: (so_far: Told) => void): Running {
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1", PYTHONIOENCODING: "utf-8", COLUMNS: "120" },
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  const said: Told = { result: "", progress: "" };
  let cancelled = false;
  let impatient: NodeJS.Timeout | undefined;
  const hear = (stream: NodeJS.ReadableStream, name: keyof Told) => {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      said[name] = (said[name] + text).slice(-KEPT);
      told({ ...said });
    });
  };
  hear(child.stdout, "result");
  hear(child.stderr, "progress");
  const ended = new Promise<Ended>((resolve) => {
    child.on("error", (error) => resolve({ ...said, code: null, cancelled, problem: error.message }));
    child.on("close", (code) => resolve({ ...said, code, cancelled }));
  });
  void ended.then(() => clearTimeout(impatient));
  return {
    ended,
    cancel() {
      if (cancelled) return;
      cancelled = true;
      child.kill("SIGINT");
      impatient = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    },
  };
}

/** The last line that says something, for a place with room for one. */
export function lastLine(text: string): string {
  return text.trimEnd().split(/\r?\n/).pop()?.trim() ?? "";
}
