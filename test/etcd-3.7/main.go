// Command etcd is the etcd server of one exact release, built from its published module
// for tests and for the demo.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
