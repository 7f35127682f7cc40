"""`archdsl completion`: the script that completes command lines in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

EXAMPLES = ("archdsl completion bash", "archdsl completion zsh", "archdsl completion fish")

#: Bash splits words at = and :, so it hands over the whole line; the answer is what follows the last of these.
BASH = """\
_archdsl() {
    local IFS=$'\\n'
    COMPREPLY=($("$1" __complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    case "${#COMPREPLY[@]} ${COMPREPLY[0]}" in
        "1 "*[/=]) compopt -o nospace ;;
    esac
}
complete -F _archdsl archdsl
"""

ZSH = """\
#compdef archdsl
_archdsl() {
    local line text
    local -a whole open shown_whole shown_open
    for line in "${(@f)$("${words[1]}" __complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        text=${line/$'\\t'/  -- }
        line=${line%%$'\\t'*}
        case $line in
            *[/=]) open+=("$line") shown_open+=("$text") ;;
            *) whole+=("$line") shown_whole+=("$text") ;;
        esac
    done
    (( ${#whole} )) && compadd -V archdsl -l -d shown_whole -a whole
    (( ${#open} )) && compadd -V archdsl -l -S '' -d shown_open -a open
    (( ${#whole} + ${#open} ))
}
if [[ $funcstack[1] = _archdsl ]]; then
    _archdsl "$@"
else
    compdef _archdsl archdsl
fi
"""

FISH = """\
complete -c archdsl -f -a '(archdsl __complete fish (commandline -opc) (commandline -ct) 2>/dev/null)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script for shell completion.

    With it, the shell completes commands, options, networks of the zoo, run folders, models and parameters of the
    file, entries of the recipe, layers and codes. To have it in every shell:

    \b
      bash  add to ~/.bashrc:  eval "$(archdsl completion bash)"
      zsh   add to ~/.zshrc:   eval "$(archdsl completion zsh)"
      fish  archdsl completion fish > ~/.config/fish/completions/archdsl.fish
    """  # noqa: D301  \b is Click's mark for lines to keep
    print(SCRIPTS[shell], end="")
