#!/bin/sh
# Stop and remove what install.sh installed; settings and credentials stay unless PURGE=1.
#   uninstall.sh     (environment: PREFIX, DESTDIR, UNITDIR, BINDIR, PURGE)
set -eu

root=${DESTDIR:-}
prefix=${PREFIX:-/opt/notifier}
units=${UNITDIR:-/usr/local/lib/systemd/system}
bin=${BINDIR:-/usr/local/bin}

if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "uninstall: needs root: sudo make uninstall (or give DESTDIR)" >&2
    exit 1
fi

if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl disable --now --quiet notifier.service notifier-prune.timer 2>/dev/null || true
    systemctl list-units --all --plain --no-legend 'notifier@*' | cut -d' ' -f1 |
        xargs -r systemctl disable --now --quiet
fi

for unit in notifier.service notifier@.service notifier-migrate.service notifier-prune.service notifier-prune.timer; do
    rm -f "$root$units/$unit" "$root$units/$unit.new"
done
for command in "$root$bin/notifier" "$root$prefix/notifier"; do
    if [ -e "$command" ] && grep -q "settings of this machine's service" "$command"; then rm -f "$command"; fi
done
rm -rf "$root$prefix/versions"
rm -f "$root$prefix/current" "$root$prefix/switch"
[ ! -d "$root$prefix" ] || rmdir --ignore-fail-on-non-empty "$root$prefix"

if [ "${PURGE:-0}" = 1 ]; then
    rm -rf "$root/etc/notifier"
elif [ -d "$root/etc/notifier" ]; then
    echo "uninstall: kept $root/etc/notifier with settings and credentials (PURGE=1 removes it)"
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
