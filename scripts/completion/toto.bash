# Completion of toto for bash.
_toto()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local _toto_forecast_options _toto_inspect_options _toto_devices_options _toto_verify_options
    local _toto_eval_lsf_options _toto_eval_backtest_options
    _toto_forecast_options='-m --model -d --device --dtype -H --horizon -n --samples --samples-per-batch --no-kv-cache --decode-block --quantiles --extrapolate --levels --point --context --fill --layout --id --time --target --past --known --future --drop --group -f --format -o --output --samples-out --seed --on-error --threads --memory --dry-run -q --quiet -v --verbose -h --help'
    _toto_inspect_options='-h --help'
    _toto_devices_options='-f --format -v --verbose -h --help'
    _toto_verify_options='-m --model -d --device --dtype --golden --threads -f --format -q --quiet -v --verbose -h --help'
    _toto_eval_lsf_options='--data -H --horizon --context --stride --split --season -m --model -d --device --dtype -n --samples --samples-per-batch --no-kv-cache --decode-block --group --seed --threads --memory -f --format -o --output --progress -q --quiet -v --verbose -h --help'
    _toto_eval_backtest_options='-H --horizon --windows --step --season --quantiles --levels --extrapolate --point --metrics --context --fill --layout --id --time --target --drop --group --on-error --past --known -m --model -d --device --dtype -n --samples --samples-per-batch --no-kv-cache --decode-block --seed --threads --memory -f --format -o --output --progress -q --quiet -v --verbose -h --help'

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'forecast inspect devices verify eval help --help --version' -- "$current")
        return
    fi
    case $command in
        help)
            local topics='forecast inspect devices verify eval'
            [ "$COMP_CWORD" -eq 2 ] || topics=''
            [ "$previous" != eval ] || topics='lsf backtest'
            mapfile -t COMPREPLY < <(compgen -W "$topics" -- "$current")
            return
            ;;
        inspect)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$_toto_inspect_options" -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -W builtin -f -- "$current")
            fi
            return
            ;;
    esac
    if [ "$command" = eval ] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'lsf backtest --help' -- "$current")
        return
    fi
    local words='' options=$_toto_forecast_options
    case $command in
        devices) options=$_toto_devices_options ;;
        verify) options=$_toto_verify_options ;;
        eval)
            options=$_toto_eval_lsf_options
            [ "${COMP_WORDS[2]}" != backtest ] || options=$_toto_eval_backtest_options
            ;;
    esac
    case $command:$previous in
        verify:-d | verify:--device) words='all auto cpu gpu' ;;
        verify:--dtype) words='all f32 f16 bf16' ;;
        eval:-f | eval:--format) words='table csv json md' ;;
        eval:--progress) words='auto always never' ;;
        eval:-m | eval:--model) words="builtin naive seasonal-naive drift mean $(compgen -f -- "$current")" ;;
        devices:-f | devices:--format | verify:-f | verify:--format) words='table json' ;;
    esac
    [ "$previous" != --metrics ] || words='mae mse rmse smape mase rmsse wql coverage'
    [ -n "$words" ] || case $previous in
        -d | --device) words='auto cpu gpu' ;;
        --dtype) words='auto f32 f16 bf16' ;;
        --point) words='median mean' ;;
        --fill) words='none ffill linear' ;;
        --layout) words='auto wide long' ;;
        --group) words='all none' ;;
        -f | --format) words='csv' ;;
        --on-error) words='fail skip null' ;;
    esac
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    elif [[ $previous == -m || $previous == --model ]]; then
        mapfile -t COMPREPLY < <(compgen -W builtin -f -- "$current")
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}
complete -o filenames -F _toto toto
