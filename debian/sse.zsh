#compdef sse
# Completes sse's commands, flags and their values, as its own --help tells them.
local line text value
local -a specs commands
for line in ${(f)"$(_call_program flags $words[1] --help 2>/dev/null)"}; do
    if [[ $line == '       sse COMMAND'*': '* ]]; then
        commands=(${(s:, :)${line#*: }%%;*})
    elif [[ $line =~ '^  (-[a-zA-Z], |    )--([a-z-]+)( [A-Z]+)?  *(.*)$' ]]; then
        text=${${match[4]//\[/\(}//\]/\)}
        value=
        case $match[2] in
        log) value=':level:(error warn info debug)' ;;
        fsync) value=':when:(never interval always)' ;;
        anonymous) value=':what:(publish subscribe publish,subscribe none)' ;;
        *) [[ -z $match[3] ]] || value=":${match[3]# }: " ;;
        esac
        [[ $match[3] != ' FILE' ]] || value=':file:_files'
        specs+=("*--$match[2]${value:+=}[${text//:/\\:}]$value")
        [[ -z ${match[1]// } ]] || specs+=("*${match[1]%, }[${text//:/\\:}]$value")
    fi
done
_arguments $specs "1:command:($commands)"
