//go:build race

package clitest

// raceEnabled reports whether the test, and so the binary, has the race detector.
const raceEnabled = true
