//go:build failpoints

package durable

import (
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

var reached atomic.Int64

// failpoint kills the process, as kill -9 does, at the call whose number is in the
// environment. Each call stands before one change of the disk.
func failpoint() {
	if at, err := strconv.ParseInt(os.Getenv("ETCDSEC_FAILPOINT"), 10, 64); err == nil && reached.Add(1) == at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// write can be killed half-way too.
func write(f *os.File, data []byte) error {
	failpoint()
	if _, err := f.Write(data[:len(data)/2]); err != nil {
		return err
	}
	failpoint()
	_, err := f.Write(data[len(data)/2:])
	return err
}
