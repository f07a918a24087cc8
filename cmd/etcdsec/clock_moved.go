//go:build testclock

package main

import (
	"os"
	"strconv"
	"time"
)

// now is the clock of the command that the tests build: it runs as many days ahead as
// ETCDSEC_TEST_DAYS says.
func now() time.Time {
	days, _ := strconv.Atoi(os.Getenv("ETCDSEC_TEST_DAYS")) // none is none
	return time.Now().AddDate(0, 0, days)
}
