#!/bin/sh
# The engines that bench.hot, bench.archive and bench.forecast compare with, each in an environment of its own, installed by lock.
#   bench_peers.sh [bytewax pathway flink spark nodered chdb statsforecast]
# They go into .peers (or $BENCH_PEERS), some 4 GB in all. One that cannot be installed says why and the others go on; exit 1 when any failed.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
where=${BENCH_PEERS:-$root/.peers}
mkdir -p "$where"
has() { command -v "$1" >/dev/null 2>&1; }

need_java() {
  if has java && [ "$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)" -ge 17 ] 2>/dev/null; then return 0; fi
  if [ "$(id -u)" = 0 ] && has apt-get; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null && return 0
  fi
  echo "needs Java 17 or newer, found: $(java -version 2>&1 | head -n 1). As root: apt-get install openjdk-17-jre-headless" >&2
  return 1
}

python_peer() {
  lock=$root/requirements/peers-$1.lock
  python=$(sh "$root/scripts/need.sh" python --print) || return 1
  rm -rf "$where/$1"
  "$python" -m venv "$where/$1" || return 1
  "$where/$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$root/requirements/build.lock" &&
    "$where/$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r "$lock" && cp "$lock" "$where/$1/installed.lock"
}

nodered() {
  sh "$root/scripts/need.sh" node || return 1
  rm -rf "$where/nodered"
  mkdir -p "$where/nodered"
  cp "$root/bench/peers/nodered/package.json" "$root/bench/peers/nodered/package-lock.json" "$root/bench/peers/nodered/.npmrc" "$where/nodered/" &&
    (cd "$where/nodered" && npm ci --silent --no-audit --no-fund --ignore-scripts) && cp "$where/nodered/package-lock.json" "$where/nodered/installed.lock"
}

current() { # installed from the lock file as it is now, and nothing else is missing
  case "$1" in
  nodered) cmp -s "$root/bench/peers/nodered/package-lock.json" "$where/nodered/installed.lock" ;;
  flink | spark) has java && cmp -s "$root/requirements/peers-$1.lock" "$where/$1/installed.lock" ;;
  *) cmp -s "$root/requirements/peers-$1.lock" "$where/$1/installed.lock" ;;
  esac
}

install() {
  case "$1" in
  bytewax | pathway | chdb | statsforecast) python_peer "$1" ;;
  flink | spark) need_java && python_peer "$1" ;;
  nodered) nodered ;;
  esac
}

for name in "$@"; do
  case "$name" in bytewax | pathway | nodered | flink | spark | chdb | statsforecast) ;; *) echo "unknown peer $name; known: bytewax pathway nodered flink spark chdb statsforecast" >&2 && exit 2 ;; esac
done
failed=""
[ $# -gt 0 ] || set -- bytewax pathway nodered flink spark chdb statsforecast
for name in "$@"; do
  if current "$name"; then continue; fi
  echo "$name: installing ..."
  if install "$name" 2>"$where/$name.log"; then
    rm -f "$where/$name.why" "$where/$name.log"
    echo "$name: installed"
  else # the last line that is not a remark says most; bench.hot puts it into its table
    grep -v -i "^warning" "$where/$name.log" | grep . | tail -n 1 >"$where/$name.why" || true
    echo "$name: could not be installed: $(cat "$where/$name.why")" >&2
    failed="$failed $name"
  fi
done
[ -z "$failed" ]
