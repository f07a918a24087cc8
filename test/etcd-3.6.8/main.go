// Command etcd is the etcd server of a release that is known to be vulnerable, built from
// its published module for tests of the auditor.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
