//go:build !testclock

package main

import "time"

// now returns the current time. Nothing in the environment changes it.
func now() time.Time { return time.Now() }
