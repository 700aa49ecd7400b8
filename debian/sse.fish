# Completes sse's commands, flags and their values, as its own --help tells them.
complete -c sse -f
complete -c sse -n 'test (count (commandline -opc)) -eq 1' \
    -a "(sse --help | string replace -rf '^       sse COMMAND[^:]*: ([^;]*).*' '\$1' | string split ', ')"
sse --help | string match -r '^  (?:-[a-zA-Z], |    )--[a-z-]+ .*' | while read -l line
    set -l name (string match -rg -- '--([a-z-]+)' $line)[1]
    set -l letter (string match -rg -- '^  -([a-zA-Z]),' $line)
    set -l value (string match -rg -- '--[a-z-]+ ([A-Z]+)  ' $line)
    set -l text (string replace -r -- '^.*?--[a-z-]+( [A-Z]+)? +' '' $line)
    set -l options
    test -n "$letter"; and set -a options -s $letter
    switch "$name $value"
        case 'log *'
            set -a options -x -a 'error warn info debug'
        case 'fsync *'
            set -a options -x -a 'never interval always'
        case 'anonymous *'
            set -a options -x -a 'publish subscribe publish,subscribe none'
        case '* FILE'
            set -a options -r -F
        case '* ?*'
            set -a options -x
    end
    complete -c sse -l $name -d $text $options
end
