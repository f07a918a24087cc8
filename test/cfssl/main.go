// Command cfssl is cfssl's own server, "cfssl serve", built from its published module as
// the CA of a site that has one already.
package main

import (
	"fmt"
	"os"

	"github.com/cloudflare/cfssl/cli"
	"github.com/cloudflare/cfssl/cli/serve"
)

func main() {
	if err := cli.Start(map[string]*cli.Command{"serve": serve.Command}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
