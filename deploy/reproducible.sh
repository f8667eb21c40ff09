#!/usr/bin/env bash
# Builds the programs of the last commit twice, in two folders and with two build caches,
# and compares the bytes; and once more for arm64, where nothing is run. With PLATFORMS
# ("linux/amd64 linux/arm64") both are compared for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PROGRAMS=(./cmd/order-srv ./cmd/inventory-srv ./cmd/orderctl)
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

# As the Makefile and the Dockerfile do.
export CGO_ENABLED=0 GOFLAGS=-trimpath

# build FOLDER PLATFORM: a clone of its own, as somebody else would have it.
build() {
  local clone=$SCRATCH/$1/src
  [[ -d $clone ]] || git clone -q . "$clone"
  (cd "$clone" && GOOS=${2%/*} GOARCH=${2#*/} go build -o "$SCRATCH/$1/$2/" "${PROGRAMS[@]}")
  (cd "$SCRATCH/$1/$2" && sha256sum *)
}

commit=$(git rev-parse --short=12 HEAD)
for platform in ${PLATFORMS:-$(go env GOOS)/$(go env GOARCH)}; do
  first=$(build here "$platform")
  second=$(GOCACHE=$SCRATCH/cache build there "$platform")
  printf '%s %s\n%s\n' "$commit" "$platform" "$first"
  if [[ $first != "$second" ]]; then
    printf 'the second build differs:\n%s\n' "$second" >&2
    exit 1
  fi
done
for program in "$SCRATCH"/here/*/*/*; do
  [[ $(go version -m "$program") == *"vcs.revision=$commit"* ]] || { echo "$program does not know its commit" >&2; exit 1; }
done
build here linux/arm64 >/dev/null
echo "the same bytes twice; linux/arm64 is built, too"
