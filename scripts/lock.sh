#!/bin/sh
# Pin every requirement with hashes, in a form that names no package index.
set -e
cd "$(dirname "$0")/../requirements"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet pip-tools==7.6.2
for name in build core postgres spark swift test bench peers-bytewax peers-pathway peers-flink peers-spark peers-chdb peers-statsforecast; do
  "$tools/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options -o "$name.lock" "$name.in"
  echo "requirements/$name.lock: $(grep -c '==' "$name.lock") packages"
done
