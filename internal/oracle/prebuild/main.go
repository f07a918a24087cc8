// Command prebuild builds every program that the tests start. So people see how long that takes, and it
// does not count against the deadlines of the tests.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, module := range oracle.Modules() {
		if _, err := oracle.Binary(ctx, module, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "prebuild: error:", err)
			os.Exit(1)
		}
	}
}
