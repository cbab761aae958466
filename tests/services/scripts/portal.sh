#!/bin/bash
# Runs an app whose job inhibits suspend and says what it does beside the real xdg-desktop-portal, with a mock of a back
# end behind it, on a bus of their own. Exits with 3 where there is no xdg-desktop-portal.
# Call as: portal.sh APP MOCK
set -euo pipefail
portal=
for place in /usr/libexec /usr/lib /usr/lib/xdg-desktop-portal; do
  [[ -x $place/xdg-desktop-portal ]] && portal=$place/xdg-desktop-portal
done
[[ -n $portal ]] || exit 3
if [[ -z ${LEGWORK_INNER:-} ]]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  LEGWORK_INNER=$folder dbus-run-session -- bash "$0" "$@"
  exit
fi
folder=$LEGWORK_INNER
mkdir -p "$folder"/{run,home,data/applications}
chmod 700 "$folder/run"
export XDG_RUNTIME_DIR=$folder/run HOME=$folder/home XDG_DATA_HOME=$folder/data XDG_CURRENT_DESKTOP=test XDG_DESKTOP_PORTAL_DIR=$folder
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent
printf '[portal]\nDBusName=org.freedesktop.impl.portal.desktop.test\nInterfaces=%s\nUseIn=test\n' \
  'org.freedesktop.impl.portal.Inhibit;org.freedesktop.impl.portal.Background;org.freedesktop.impl.portal.Access' >"$folder/test.portal"
printf '[preferred]\ndefault=test\n' >"$folder/test-portals.conf"
printf '[Desktop Entry]\nType=Application\nName=Example\nExec=true\n' >"$folder/data/applications/org.example.App.desktop"
"$2" backend=ok < <(exec sleep 30 2>/dev/null) &
mock=$!
sleep .5
"$portal" -v >"$folder/log" 2>&1 &
front=$!
for _ in $(seq 100); do
  gdbus introspect --session --dest org.freedesktop.portal.Desktop --object-path /org/freedesktop/portal/desktop 2>/dev/null |
    grep -q portal.Inhibit && break
  sleep .1
done
"$1" id=org.example.App surfaces=inhibit,background steps=10 ms=2000 quit=true </dev/null
grep -E "registered|Registry|ackground" "$folder/log" | sed 's/^/log: /' || true
kill "$mock" "$front"
