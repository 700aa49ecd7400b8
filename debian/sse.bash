# Completes sse's commands, flags and their values, as its own --help tells them.
_sse() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} help
    COMPREPLY=()
    if [[ $cur == = ]]; then
        cur=
    elif [[ $flag == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    help=$("$1" --help 2>/dev/null) || return
    case $flag in
    --log) mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' -- "$cur") ;;
    --fsync) mapfile -t COMPREPLY < <(compgen -W 'never interval always' -- "$cur") ;;
    --anonymous) mapfile -t COMPREPLY < <(compgen -W 'publish subscribe publish,subscribe none' -- "$cur") ;;
    *)
        if grep -q -- " $flag FILE " <<<"$help"; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        elif [[ $flag == -* ]] && grep -qE -- " $flag(, --[a-z-]+)? [A-Z]+ " <<<"$help"; then
            return # a value of which any will do
        elif [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '(^|[ ,])--?[a-zA-Z][a-z-]*' <<<"$help" |
                tr -d ' ,' | sort -u)" -- "$cur")
        elif [[ $COMP_CWORD -eq 1 ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^       sse COMMAND[^:]*: \([^;]*\).*/\1/p' <<<"$help" |
                tr ',' ' ')" -- "$cur")
        fi
        ;;
    esac
}
complete -F _sse sse
