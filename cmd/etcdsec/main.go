// Command etcdsec makes the etcd behind a Kubernetes control plane secure, and proves that it is.
package main

import (
	"context"
	"os"

	_ "github.com/etcdsec/etcdsec/internal/firstgc" // keeps a garbage collection out of the start
	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/leash"
	"github.com/etcdsec/etcdsec/internal/stop"
)

// version is set by the linker; a plain `go build` or `go install` reads the module's build information instead.
var version string

func main() {
	os.Exit(mainStatus())
}

// mainStatus runs the command and returns its exit status. main calls os.Exit, so deferred calls
// must be here.
func mainStatus() int {
	if len(os.Args) > 1 && os.Args[1] == leash.Argument {
		return supervise(os.Args[2:])
	}
	ctx, end := stop.Context(context.Background(), os.Stdin, os.Stdout, os.Stderr)
	defer end()
	kubeapi.DiscardLogs() // client-go would write to stderr by itself
	return run(ctx, &app{stdin: stop.NewInput(ctx, os.Stdin), stdout: os.Stdout, stderr: os.Stderr, now: now}, os.Args[1:])
}

// supervisor returns the command line of the process that runs the programs an operator names.
// It is the file that runs now, even if another was put in its place.
func supervisor() []string { return []string{"/proc/self/exe", leash.Argument} }

// supervise runs one of those programs. The process that waits for it says how that went.
func supervise(args []string) int {
	if leash.Supervise(args) != nil {
		return statusFailed
	}
	return statusDone
}
