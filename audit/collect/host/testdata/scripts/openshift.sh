#!/bin/sh
set -euo pipefail
etcdctl member list || true
ETCD_INITIAL_CLUSTER=$(discover-etcd-initial-cluster --endpoints=${B})
export ETCD_INITIAL_CLUSTER
time while [ -n "$(ss -Htan '( sport = 2379 )')" ]; do
  sleep 1
done
export ETCD_NAME=${A}
exec nice -n -19 ionice -c2 -n0 etcd --client-cert-auth=false --listen-client-urls=https://${B}:2379,unixs://${A}:0 || mv /a /b
