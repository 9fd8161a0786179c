#!/bin/sh
# notifier with the settings of this machine's service: sudo notifier …
set -eu
environment=/etc/notifier/environment

# The file is systemd's: values are literal, with or without quotes, and nothing is expanded.
if [ -r "$environment" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            [A-Za-z_]*=*)
                name=${line%%=*}
                value=${line#*=}
                case $value in
                    \"*\") value=${value#\"} value=${value%\"} ;;
                    \'*\') value=${value#\'} value=${value%\'} ;;
                esac
                export "$name=$value"
                ;;
        esac
    done <"$environment"
elif [ -e "$environment" ]; then
    echo "notifier: $environment is for root only: sudo notifier …" >&2
    exit 1
fi
if [ -f /etc/notifier/notifier.toml ]; then export NOTIFIER_CONFIG="${NOTIFIER_CONFIG:-/etc/notifier/notifier.toml}"; fi
if [ -r /etc/notifier/credentials ]; then export CREDENTIALS_DIRECTORY="${CREDENTIALS_DIRECTORY:-/etc/notifier/credentials}"; fi
if [ -n "${SUDO_USER:-}" ]; then export LOGNAME="$SUDO_USER"; fi # who replayed or discarded is a person, not root
exec /opt/notifier/current/bin/notifier "$@"
