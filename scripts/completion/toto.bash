# Completion of toto for bash.
_toto()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local _toto_forecast_options _toto_inspect_options
    _toto_forecast_options='-m --model -d --device --dtype -H --horizon -n --samples --samples-per-batch --no-kv-cache --decode-block --quantiles --extrapolate --levels --point --context --fill --layout --id --time --target --past --known --future --drop --group -f --format -o --output --samples-out --seed --on-error --threads --memory --dry-run -q --quiet -v --verbose -h --help'
    _toto_inspect_options='-h --help'

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'forecast inspect help --help --version' -- "$current")
        return
    fi
    case $command in
        help)
            mapfile -t COMPREPLY < <(compgen -W 'forecast inspect' -- "$current")
            return
            ;;
        inspect)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$_toto_inspect_options" -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            return
            ;;
    esac
    local words=''
    case $previous in
        -d | --device) words='auto cpu' ;;
        --dtype) words='auto f32' ;;
        --point) words='median mean' ;;
        --fill) words='none ffill linear' ;;
        --layout) words='auto wide long' ;;
        --group) words='all none' ;;
        -f | --format) words='csv' ;;
        --on-error) words='fail skip null' ;;
    esac
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_toto_forecast_options" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}
complete -o filenames -F _toto toto
