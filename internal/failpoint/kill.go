//go:build failpoints

// Package failpoint marks the places at which the crash tests kill the process.
package failpoint

import (
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

// Enabled reports whether this is a build with the tag failpoints.
const Enabled = true

// reached counts the places that the process came by.
var reached atomic.Int64

// Here kills the process, as kill -9 does, when it is the call whose number, counted from 1, is in
// ETCDSEC_FAILPOINT. Without that variable it does nothing.
func Here() {
	if at, err := strconv.ParseInt(os.Getenv("ETCDSEC_FAILPOINT"), 10, 64); err == nil && reached.Add(1) == at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
