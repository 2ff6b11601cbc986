#!/bin/sh
# Installs the official Node SDKs that the integration tests use, into a cache outside the repository:
# ${HOMEFIRE_CACHE:-~/.cache/homefire}/node. Does nothing when the pinned versions are there.
# HOMEFIRE_NODE_CLIENTS=previous: the versions one major back, into node-previous beside it.
set -eu

manifest="$(cd "$(dirname "$0")/.." && pwd)/tests/integration/official/node/package.json"
folder="${HOMEFIRE_CACHE:-$HOME/.cache/homefire}/node"
if [ "${HOMEFIRE_NODE_CLIENTS:-}" = previous ]; then
    manifest="${manifest%.json}.previous.json"
    folder="$folder-previous"
fi

if [ -d "$folder/node_modules" ] && cmp -s "$manifest" "$folder/package.json"; then
    exit 0
fi
# Aside first: an install that is cut off must not look like a whole one, and over other versions npm leaves
# two copies of a package, which the SDK does not survive in a bundle.
rm -rf "$folder.new"
mkdir -p "$folder.new"
cp "$manifest" "$folder.new/package.json"
(cd "$folder.new" && npm install --no-audit --no-fund --no-package-lock --loglevel=error)
rm -rf "$folder"
mv "$folder.new" "$folder"
