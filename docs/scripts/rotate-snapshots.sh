#!/bin/sh
# Snapshot a machine, wait until the snapshot is done, then delete its oldest snapshots beyond KEEP.
#
#     rotate-snapshots.sh MACHINE KEEP
#
# The rule goes by the names that this script gives, which hold the time: others are never touched. Whatever fails
# ends it with an exit code that is not 0, and before anything is deleted. Needs jq.
set -eu

machine=${1:?usage: rotate-snapshots.sh MACHINE KEEP}
keep=${2:?usage: rotate-snapshots.sh MACHINE KEEP}
prefix=rotated-
call() { paperspace-storage-mcp call "$@"; }

case $keep in '' | *[!0-9]* | 0*) echo "KEEP: expected a number from 1" >&2; exit 2 ;; esac

made=$(call create_snapshot machineId="$machine" name="$prefix$(date -u +%Y%m%dT%H%M%SZ)" waitSeconds=40)
state=$(printf %s "$made" | jq -r '.event.state // "done"')
if [ "$state" != done ]; then
    echo "the snapshot is not done but $state: nothing is deleted" >&2
    exit 1
fi

names='' after=''
while :; do
    page=$(call list_snapshots machineId="$machine" limit=100 ${after:+after="$after"})
    names="$names
$(printf %s "$page" | jq -r --arg p "$prefix" '.items[] | select(.name | startswith($p)) | "\(.name) \(.id)"')"
    after=$(printf %s "$page" | jq -r '.nextPage // empty')
    [ -n "$after" ] || break
done

# Newest first, for the names sort by time; without those that are kept.
printf '%s\n' "$names" | sed '/^$/d' | sort -r | tail -n "+$((keep + 1))" | while read -r name id; do
    call delete_snapshot --allow-destructive id="$id" confirm="$name" waitSeconds=40 >/dev/null
    echo "deleted $name ($id)" >&2
done
