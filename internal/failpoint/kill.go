//go:build failpoints

// Package failpoint marks the places at which the crash tests kill the process.
package failpoint

import (
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
)

// Enabled reports whether this is a build with the tag failpoints.
const Enabled = true

// reached counts the calls of Here.
var reached atomic.Int64

// Here kills the process, as kill -9 does, when it is the call whose number, counted from 1, is in
// ETCDSEC_FAILPOINT. Where ETCDSEC_FAILPOINT_TRACE names a file, Here appends the name of the
// function that called it, a line for each call. Without these variables it does nothing.
func Here() {
	if path := os.Getenv("ETCDSEC_FAILPOINT_TRACE"); path != "" {
		trace(path)
	}
	if at, err := strconv.ParseInt(os.Getenv("ETCDSEC_FAILPOINT"), 10, 64); err == nil && reached.Add(1) == at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// trace panics if it cannot write: a test that sees too few places would test too little.
func trace(path string) {
	pc := make([]uintptr, 1)
	runtime.Callers(3, pc) // behind Callers, trace and Here
	caller, _ := runtime.CallersFrames(pc).Next()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := f.WriteString(caller.Function + "\n"); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}
