# Completes sse's commands, flags and their values, as its own --help tells them.
complete -c sse -f
complete -c sse -n 'test (count (commandline -opc)) -eq 1' \
    -a "(sse --help | string replace -rf '^       sse COMMAND[^:]*: ' '' | string split ', ')"
sse --help | string match -r '^  (?:-[a-zA-Z], |    )--[a-z-]+ .*' | while read -l line
    set -l part (string match -r -- '^(?:-([a-zA-Z]), )?--([a-z-]+)( [A-Z]+)? +(.*)' (string trim $line))
    set -l options -l $part[3] -d $part[5]
    test -n "$part[2]"; and set -a options -s $part[2]
    switch "$part[3]$part[4]"
        case 'log *'
            set -a options -x -a 'error warn info debug'
        case 'fsync *'
            set -a options -x -a 'never interval always'
        case 'anonymous *'
            set -a options -x -a 'publish subscribe publish,subscribe'
        case '* FILE'
            set -a options -r -F
        case '* *'
            set -a options -x
    end
    complete -c sse $options
end
