#!/bin/sh
# Make another installed version the current one; daemons use it from their next start. Without a version: list them.
set -eu
cd "$(dirname "$0")"
# shellcheck disable=SC2012 # names are version numbers
versions=$(ls -t versions)

if [ $# -eq 0 ]; then
    current=$(readlink current)
    for version in $versions; do
        mark=' '
        [ "versions/$version" != "$current" ] || mark='*'
        echo "$mark $version"
    done
    exit
fi
if [ ! -e "versions/$1/.complete" ]; then
    echo "switch: there is no version $1; there are: $(echo "$versions" | tr '\n' ' ')" >&2
    exit 1
fi
ln -sfn "versions/$1" current.new
mv -Tf current.new current
touch "versions/$1"
echo "$1 is current; restart the daemons one after another"
