#!/bin/bash
# Runs an app whose job inhibits suspend beside a real system bus with a real logind, which see no more of the machine than a
# namespace with its own /run. Says what logind lists while the job runs, and when that is gone after the job's
# end and after the app was killed. Needs root. Exits with 3 where these are not there.
# Call as: logind.sh APP
set -euo pipefail
logind=/lib/systemd/systemd-logind
[[ $(id -u) == 0 && -x $logind ]] || exit 3
if [[ -z ${LEGWORK_INNER:-} ]]; then
  LEGWORK_INNER=1 exec unshare -m -p -f --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/lock /run/systemd/{system,inhibit,seats,sessions,users}
dbus-daemon --system --fork 2>/dev/null
unset DBUS_SYSTEM_BUS_ADDRESS
list() {
  busctl --system call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListInhibitors
}
is_held() { list | grep -q '"copying"'; }
$logind >/dev/null 2>&1 &
for _ in $(seq 50); do list >/dev/null 2>&1 && break; sleep .1; done
echo "at first: $(list)"
DBUS_SESSION_BUS_ADDRESS=$(dbus-daemon --session --fork --print-address 2>/dev/null)
export DBUS_SESSION_BUS_ADDRESS

# Starts the app, and waits until its inhibitor is there.
start() {
  "$1" id=org.example.App surfaces=inhibit steps=50 ms="$2" </dev/null >/dev/null 2>&1 &
  app=$!
  for _ in $(seq 200); do is_held && break; sleep .02; done
  is_held
}
# Waits until it is gone.
gone() {
  local begin=$EPOCHREALTIME
  for _ in $(seq 200); do is_held || break; sleep .01; done
  ! is_held
  echo "$1: gone after $(((${EPOCHREALTIME/./} - ${begin/./}) / 1000)) ms"
}

start "$1" 3000
echo "while a job runs: $(list)"
for fd in /proc/"$app"/fd/*; do
  readlink "$fd" | grep -q /run/systemd/inhibit && sed -n 's/^flags:/its flags:/p' "/proc/$app/fdinfo/${fd##*/}"
done
# Of all other processes none has it but logind.
for other in /proc/[0-9]*; do
  [[ $other == "/proc/$app" ]] && continue
  ls -l "$other/fd" 2>/dev/null | grep -q 'inhibit/.*\.ref' && echo "also in: $(cat "$other/comm")"
done
sleep 3
gone "the job has ended"
wait "$app" || true
start "$1" 60000
kill -9 "$app"
gone "the app was killed"
echo "done"
