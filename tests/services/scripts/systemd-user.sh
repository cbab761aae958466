#!/bin/bash
# Runs "$@" beside a real `systemd --user`, without systemd as process 1, and ends everything after that.
#
# Needs root, the packages systemd and dbus-user-session, and a cgroup v2 hierarchy. Exits with 77 where that is missing.
# The manager sits in a cgroup of its own, which is the root of the hierarchy for all in here.
set -euo pipefail
if [[ -z ${INNER:-} ]]; then
  missing() { echo "no systemd --user here: $*" >&2; exit 77; }
  v2=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
  [[ $(id -u) == 0 ]] || missing "this is not root"
  [[ -n $v2 ]] || missing "there is no cgroup v2 hierarchy"
  command -v systemctl >/dev/null && [[ -x /lib/systemd/systemd ]] || missing "systemd is not installed"
  [[ -e /usr/lib/systemd/user/dbus.socket ]] || missing "dbus-user-session is not installed"
  group=$v2/legwork-test-$$
  mkdir "$group" || missing "no cgroup can be made"
  trap 'echo 1 >"$group/cgroup.kill" || true
        for _ in $(seq 50); do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break; sleep .05; done' EXIT
  INNER=1 GROUP=$group bash -c 'echo $$ >"$GROUP/cgroup.procs"; exec unshare -m -C bash "$0" "$@"' "$0" "$@"
  exit
fi
mount --make-rprivate /
mount --bind "$GROUP" /sys/fs/cgroup
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir -p /run/systemd/system
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR
unset DBUS_SESSION_BUS_ADDRESS INNER GROUP
systemd --user --log-level=warning >"$XDG_RUNTIME_DIR/manager.log" 2>&1 &
manager=$!
trap 'systemctl --user exit 2>/dev/null || true; wait $manager 2>/dev/null || true; rm -rf "$XDG_RUNTIME_DIR"' EXIT
export DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus
# The manager starts the bus, and has its name there only after that.
owned() { busctl --user status org.freedesktop.systemd1 >/dev/null 2>&1; }
for _ in $(seq 200); do [[ -S $XDG_RUNTIME_DIR/bus ]] && owned && break; sleep .05; done
"$@"
