#!/bin/sh
# Say exactly what is missing on this machine and how to get it.   need.sh python|node|test|java
set -e
has() { command -v "$1" >/dev/null 2>&1; }

may_mount() {
  probe=$(mktemp -d)
  mount -t tmpfs tmpfs "$probe" 2>/dev/null && umount "$probe"
  found=$?
  rmdir "$probe"
  return $found
}

case "$1" in
python)
  for name in python3.11 python3; do
    if has $name && $name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      if ! $name -c 'import venv, ensurepip' 2>/dev/null; then
        echo "Python 3.11 is here, but its venv module is not. On Debian: apt-get install python3.11-venv" >&2
        exit 1
      fi
      [ "$2" = "--print" ] && echo $name
      exit 0
    fi
  done
  echo "Tocsin needs Python 3.11, found: $(python3 --version 2>/dev/null || echo none). On Debian 12: apt-get install python3 python3-venv" >&2
  exit 1
  ;;
node)
  if ! has node || ! has npm; then
    echo "Building the console needs Node 20 or newer with npm; $(has node && echo npm || echo node) was not found. See nodejs.org, or on Debian: apt-get install nodejs npm" >&2
    exit 1
  fi
  major=$(node -p 'process.versions.node.split(".")[0]')
  if [ "$major" -lt 20 ]; then
    echo "Building the console needs Node 20 or newer, found $(node --version)." >&2
    exit 1
  fi
  ;;
test)
  missing=""
  has chromium || missing="$missing chromium"
  has mosquitto || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
  has mosquitto_pub || missing="$missing mosquitto-clients"
  has promtool || missing="$missing prometheus"
  has mkfs.xfs || [ -x /sbin/mkfs.xfs ] || [ -x /usr/sbin/mkfs.xfs ] || missing="$missing xfsprogs"
  has strace || missing="$missing strace"
  has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
  if [ -z "$missing" ]; then
    :
  elif [ "$(id -u)" = 0 ] && has apt-get; then
    echo "Installing what the tests talk to:$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  else
    echo "The tests need these system packages, which are missing:$missing" >&2
    echo "As root: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  may_mount || {
    echo "Tests that fill disks and cut their power mount file systems of their own; this $(id -un 2>/dev/null || id -u) may not mount any." >&2
    echo "Run 'make test' as root (in a container: with --privileged), or all but those: .venv/bin/python -m pytest -m 'not root and not soak and not spark'" >&2
    exit 1
  }
  ;;
java)
  has java && exit 0
  if [ "$(id -u)" = 0 ] && has apt-get; then
    echo "Installing Java 17, which Spark runs on"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null
  else
    echo "Spark needs Java 17 or newer, and there is no 'java'. As root: apt-get install --no-install-recommends openjdk-17-jre-headless" >&2
    exit 1
  fi
  ;;
*)
  echo "usage: need.sh python [--print] | node | test | java" >&2
  exit 2
  ;;
esac
