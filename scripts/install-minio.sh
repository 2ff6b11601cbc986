#!/bin/sh
# Build the MinIO server that the storage tests run against, from its published Go module.
#
# The result is ${HOMEFIRE_CACHE:-~/.cache/homefire}/bin/minio; a binary of the wanted version that is
# there already is left alone. Needs Go 1.24 or newer and a Go module proxy. Built as a dependency of a
# throw-away module, because the `replace` lines of MinIO's own go.mod stop a plain `go install`.
set -eu

# The last state of the project before it was archived. Raise it here, nowhere else.
VERSION="${HOMEFIRE_MINIO_VERSION:-v0.0.0-20260212201848-7aac2a2c5b7c}"

cache="${HOMEFIRE_CACHE:-${HOME:?HOME is not set; set HOMEFIRE_CACHE}/.cache/homefire}"
binary="$cache/bin/minio"
stamp="$binary.version"

if [ -x "$binary" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$VERSION" ]; then
    echo "minio $VERSION is already in $binary"
    exit 0
fi
command -v go >/dev/null || {
    echo "install-minio: Go is needed to build MinIO, and is not on the PATH" >&2
    exit 1
}

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"
go mod init throwaway >/dev/null 2>&1
go get "github.com/minio/minio@$VERSION"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$work/minio" github.com/minio/minio

mkdir -p "$cache/bin"
# a name in the same folder first, so that no half binary is ever found under the final one
cp "$work/minio" "$binary.new"
chmod 755 "$binary.new"
mv -f "$binary.new" "$binary"
echo "$VERSION" >"$stamp"
echo "built minio $VERSION into $binary"
