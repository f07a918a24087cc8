// Command etcdctl is the etcdctl of one exact release, built from its published module for
// benchmarks.
package main

import "go.etcd.io/etcd/etcdctl/v3/ctlv3"

func main() { ctlv3.MustStart() }
