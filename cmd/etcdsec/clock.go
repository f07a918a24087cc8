//go:build !testclock

package main

import "time"

// now is the clock of the command. Nothing in the environment moves it.
func now() time.Time { return time.Now() }
