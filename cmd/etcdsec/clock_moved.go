//go:build testclock

package main

import (
	"os"
	"strconv"
	"time"
)

// now returns the current time plus the days in ETCDSEC_TEST_DAYS. Only the tests build this clock.
func now() time.Time {
	days, _ := strconv.Atoi(os.Getenv("ETCDSEC_TEST_DAYS")) // 0 if it is not set
	return time.Now().AddDate(0, 0, days)
}
