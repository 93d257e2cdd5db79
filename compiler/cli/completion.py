"""`dspc completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .completing import VARIABLE


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print the script that completes dspc in a shell.

    bash: eval "$(dspc completion bash)" in ~/.bashrc;
    zsh: eval "$(dspc completion zsh)" in ~/.zshrc, after compinit;
    fish: dspc completion fish > ~/.config/fish/completions/dspc.fish
    """
    typer.echo(_SCRIPTS[shell].replace("VARIABLE", VARIABLE).strip())


_SCRIPTS = {
    Shell.bash: """
_dspc_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" VARIABLE=complete_bash "$1" 2>/dev/null))
}
complete -o default -F _dspc_completion dspc
""",
    Shell.zsh: """
#compdef dspc
_dspc_completion() {
    local found
    found="$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" VARIABLE=complete_zsh "${words[1]}" 2>/dev/null)"
    if [[ -n "$found" ]]; then eval "$found"; else _files; fi
}
compdef _dspc_completion dspc
""",
    Shell.fish: """
function __dspc_complete
    set -lx VARIABLE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    set -l words (commandline -opc)
    $words[1] 2>/dev/null
end
complete --command dspc --arguments "(__dspc_complete)"
""",
}
