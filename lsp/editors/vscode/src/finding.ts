// Where the command `dspc` is. A bare name is never handed to the system: some systems look for it in the folder they
// are in, which may be a workspace that nobody trusts. Knows nothing of VS Code.

import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

export interface Places {
  /** The setting; empty where it is not set. */
  setting: string;
  /** The first folder of the workspace. */
  folder?: string;
  /** Whether what lies in the workspace may be run. */
  trusted: boolean;
  /** As in the environment. */
  path: string;
  windows: boolean;
}

/** The whole path of `dspc`, or why there is none. */
export function findDspc(places: Places): { command: string } | { problem: string } {
  const name = places.windows ? "dspc.exe" : "dspc";
  if (places.setting) {
    const command = places.setting
      .replace(/^~(?=[\\/])/, homedir())
      .replaceAll("${workspaceFolder}", places.folder ?? "");
    if (!isAbsolute(command)) return { problem: `The setting dspc.path must be a whole path; it is "${command}".` };
    return runs(command) ? { command } : { problem: `The setting dspc.path names no program: "${command}".` };
  }
  const folders = places.path.split(delimiter).filter((one) => isAbsolute(one));
  if (places.trusted && places.folder) {
    folders.unshift(join(places.folder, ".venv", places.windows ? "Scripts" : "bin"));
  }
  const command = folders.map((one) => join(one, name)).find(runs);
  return command ? { command } : { problem: "The command dspc was found neither in .venv nor on the PATH." };
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
