#!/bin/bash
args=(--name="${A%%.*}")
if [[ $1 == --* ]]; then args+=("$@"); else shift; fi
run() { local n=$1; exec etcd "${args[@]}" --data-dir="/data/$n" ${B:+--x=$B} "${@:2}"; }
. /etc/default/etcd
for i in 1 2; do case $i in 1) run a ;; *) ETCD_NAME=b run "$i" ;; esac; done
