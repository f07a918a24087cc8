// Command prebuild builds every etcd server that the tests start, so that the time this
// takes is seen before the tests and does not count against their deadlines.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, version := range append(etcdtest.Versions(), etcdtest.Vulnerable) {
		if _, err := etcdtest.Binary(ctx, version, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "prebuild: error:", err)
			os.Exit(1)
		}
	}
}
