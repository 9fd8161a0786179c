#!/bin/sh
# Install this checkout (or a wheel of it) as a version of its own beside earlier ones, and the units; `make install` calls it. Safe to repeat.
#   install.sh PYTHON [WHEEL]     (environment: PREFIX, DESTDIR, UNITDIR, BINDIR, KEEP, EXTRAS)
set -eu
umask 022

python=$1
wheel=${2:-}
root=${DESTDIR:-}
prefix=${PREFIX:-/opt/notifier}
units=${UNITDIR:-/usr/local/lib/systemd/system}
bin=${BINDIR:-/usr/local/bin}
keep=${KEEP:-3}
# An upgrade keeps what was asked for before: without it a daemon that needs it would not start.
extras=${EXTRAS-$(cat "$root$prefix/current/share/notifier/extras" 2>/dev/null || true)}
source=$(cd "$(dirname "$0")/.." && pwd)
etc=/etc/notifier

fail() {
    echo "install: $*" >&2
    exit 1
}

say() { echo "install: $*"; }

check() {
    "${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "notifier needs Python 3.11 or newer; name one: make install PYTHON=/usr/bin/python3.11"
    case $prefix in
        / | /usr | /usr/local | /opt | *[!A-Za-z0-9._/-]* | */) fail "PREFIX=$prefix has to be a folder of its own, such as /opt/notifier" ;;
        /*) ;;
        *) fail "PREFIX=$prefix has to be absolute" ;;
    esac
    case $extras in *[!a-z,]*) fail "EXTRAS=$extras has to be names from pyproject.toml with commas between, such as otel" ;; esac
    case $keep in '' | *[!0-9]* | 0) fail "KEEP=$keep has to be a number of at least 1" ;; esac
    if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
        fail "writing to $prefix and /etc needs root: sudo make install (or give DESTDIR)"
    fi
    if [ -n "$root" ]; then
        mkdir -p "$root"
        root=$(cd "$root" && pwd)
        etc=$root/etc/notifier
        return
    fi
    # Services see neither homes nor /tmp, so a Python that lives there would not start.
    interpreter=$("$python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
    case $interpreter in
        /home/* | /root/* | /run/user/* | /tmp/*)
            fail "services cannot see $interpreter; name a Python of the system: make install PYTHON=/usr/bin/python3" ;;
    esac
    systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    if [ -n "$systemd" ] && [ "$systemd" -lt 251 ]; then
        say "systemd $systemd cannot load a folder of credentials (251 can): clear LoadCredential in a drop-in and use Vault or /etc/notifier/environment"
    fi
}

build_wheel() {
    if [ -n "$wheel" ]; then return; fi
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    "$python" -m venv "$build/venv" || fail "$python cannot make virtual environments (Debian, Ubuntu: apt install python3-venv)"
    "$build/venv/bin/pip" --disable-pip-version-check wheel --quiet --no-deps --wheel-dir "$build" "$source"
    wheel=$(echo "$build"/*.whl)
}

# The version's name carries a digest of all that it installs: the same is not installed twice, and nothing else ever over it.
name_version() {
    number=$(basename "$wheel" | cut -d- -f2)
    files=$(cd "$source" && find systemd docs -type f | LC_ALL=C sort)
    version=$number-$({ cat "$wheel"; (cd "$source" && echo "$files" | while read -r file; do cat "$file"; done); printf %s "$extras"; } | sha256sum | cut -c1-8)
    home=$prefix/versions/$version
}

install_version() {
    if [ -e "$root$home/.complete" ]; then
        say "version $version is there already"
        return
    fi
    say "installing version $version"
    rm -rf "$root$home"
    mkdir -p "$root$prefix/versions"
    "$python" -m venv "$root$home"
    "$root$home/bin/pip" --disable-pip-version-check install --quiet "$wheel${extras:+[$extras]}"
    if [ -n "$root" ]; then
        # Scripts name the interpreter where it will be, not where it was put together.
        grep -rlI "$root$prefix" "$root$home/bin" "$root$home/pyvenv.cfg" | xargs -r sed -i "s|$root$prefix|$prefix|g"
    fi
    share=$root$home/share/notifier
    mkdir -p "$share/systemd"
    cp -R "$source/docs" "$share/docs"
    echo "$extras" >"$share/extras"
    for unit in "$source"/systemd/notifier*; do
        sed "s|/opt/notifier|$prefix|g" "$unit" >"$share/systemd/$(basename "$unit")"
    done
    touch "$root$home/.complete"
}

# A unit that is none of ours any more was changed by the operator and stays.
install_units() {
    mkdir -p "$root$units"
    for fresh in "$root$home"/share/notifier/systemd/*; do
        unit=$(basename "$fresh")
        target=$root$units/$unit
        ours=no
        for known in "$root$prefix"/versions/*/share/notifier/systemd/"$unit"; do
            if [ -e "$target" ] && cmp -s "$known" "$target"; then ours=yes; fi
        done
        if [ -e "$target" ] && [ $ours = no ]; then
            install -m 644 "$fresh" "$target.new"
            say "kept $target, which was changed; the new one is $target.new (a drop-in survives: systemctl edit $unit)"
        else
            install -m 644 "$fresh" "$target"
            rm -f "$target.new"
        fi
    done
}

install_settings() {
    install -d -m 755 "$etc"
    install -d -m 700 "$etc/credentials"
    [ -e "$etc/notifier.toml" ] || install -m 644 "$source/packaging/etc/notifier.toml" "$etc/notifier.toml"
    [ -e "$etc/environment" ] || install -m 600 "$source/packaging/etc/environment" "$etc/environment"
}

install_commands() {
    install -m 755 "$source/packaging/switch.sh" "$root$prefix/switch"
    target=$root$bin/notifier
    mkdir -p "$root$bin"
    if [ -e "$target" ] && ! grep -q "settings of this machine's service" "$target"; then
        say "kept $target, which is not from here; the command with the service's settings is $prefix/notifier"
        target=$root$prefix/notifier
    fi
    sed "s|/opt/notifier|$prefix|g" "$source/packaging/notifier.sh" >"$target.new"
    chmod 755 "$target.new"
    mv -f "$target.new" "$target"
}

# Renaming a link is one step: there is no moment without a current version.
make_current() {
    ln -sfn "versions/$version" "$root$prefix/current.new"
    mv -Tf "$root$prefix/current.new" "$root$prefix/current"
    touch "$root$home"
}

remove_old_versions() {
    # shellcheck disable=SC2012 # names are version numbers
    ls -t "$root$prefix/versions" | tail -n "+$((keep + 1))" | while read -r old; do
        say "removing version $old (KEEP=$keep)"
        rm -rf "$root$prefix/versions/$old"
    done
}

check
build_wheel
name_version
install_version
install_units
install_settings
install_commands
make_current
remove_old_versions
if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
say "version $version is current in $prefix; next: share/notifier/docs/how-to/install.md there, or docs/how-to/install.md here"
