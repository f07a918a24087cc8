// Command cfssl is the server of cfssl, "cfssl serve", built from its published module. Tests use it
// as the existing CA of a site.
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
