#!/bin/bash
# Makes memory short for SECONDS seconds: a program reads a file again and again that does not fit into the memory that
# its cgroup has. Needs root and the memory controller, of version 1 or 2. Exits with 3 where these are not there.
# Call as: memory-pressure.sh SECONDS
set -euo pipefail
[[ $(id -u) == 0 ]] || exit 3
limit=memory.limit_in_bytes
parent=$(findmnt -nro TARGET,OPTIONS -t cgroup | awk '$2 ~ /(^|,)memory(,|$)/ { print $1; exit }')
if [[ -z $parent ]]; then
  limit=memory.max
  parent=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
  grep -qw memory "$parent/cgroup.subtree_control" 2>/dev/null || exit 3
fi
group=$parent/legwork-pressure-$$ file=$(mktemp)
trap 'wait; rm -f "$file"; sleep .2; rmdir "$group"' EXIT
mkdir "$group"
echo $((24 << 20)) >"$group/$limit"
(
  echo "$BASHPID" >"$group/cgroup.procs"
  # Written inside, so that its pages are counted there.
  dd if=/dev/zero of="$file" bs=1M count=128 conv=fsync status=none
  for _ in 1 2 3; do timeout "$1" bash -c 'while :; do cat "$0" >/dev/null; done' "$file" & done
  wait
) || true
