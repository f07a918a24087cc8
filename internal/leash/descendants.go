package leash

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// endDescendants ends all descendants of this process with SIGTERM, and with SIGKILL if they ignore it.
// gone is closed when there are none.
func endDescendants(gone <-chan struct{}) {
	for _, pid := range descendants(os.Getpid()) {
		_ = unix.Kill(pid, unix.SIGTERM) // fails for one that has ended
	}
	select {
	case <-gone:
		return
	case <-time.After(gentleEnd):
	}
	// One that forks meanwhile is found in the next turn, wherever its parent has gone.
	const turn = 20 * time.Millisecond
	for range forcedEnd / turn {
		for _, pid := range descendants(os.Getpid()) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-gone:
			return
		case <-time.After(turn):
		}
	}
}

// descendants returns the children of a process, their children, and so on.
func descendants(ancestor int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // fails only for a bad pattern
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		if parent, is := parentOf(data); is {
			children[parent] = append(children[parent], pid)
		}
	}
	found := children[ancestor]
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// parentOf reads the parent from /proc/PID/stat (proc_pid_stat(5)): "PID (NAME) STATE PPID".
// NAME may hold anything, so it ends at the last parenthesis.
func parentOf(stat []byte) (int, bool) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}
