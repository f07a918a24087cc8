package leash

import (
	"fmt"
	"syscall"
	"time"
)

// Reason says how a program ended.
type Reason string

// The ways in which a program ends.
const (
	Well       Reason = "well"
	NotStarted Reason = "not-started"
	Exited     Reason = "exited"    // with a status that is not 0
	Signalled  Reason = "signalled" // by somebody else
	TimedOut   Reason = "timed-out"
	TooMuch    Reason = "too-much" // output
	Ended      Reason = "ended"    // because nobody waited for it any more
	Lost       Reason = "lost"     // its supervisor ended without a word
)

// Error means that a program did not succeed. The zero value is not used.
type Error struct {
	Reason Reason         `json:"reason"`
	Status int            `json:"status,omitempty"`
	Signal syscall.Signal `json:"signal,omitempty"`
	Limit  time.Duration  `json:"limit,omitempty"` // that it was ended at
	Most   int64          `json:"most,omitempty"`  // bytes that it may print
	Cause  string         `json:"cause,omitempty"` // why it did not start
}

func (e *Error) Error() string {
	switch e.Reason {
	case NotStarted:
		return "it cannot be started: " + e.Cause
	case Exited:
		return fmt.Sprintf("it ended with exit status %d", e.Status)
	case Signalled:
		return fmt.Sprintf("it was ended by a signal: %s", e.Signal)
	case TimedOut:
		return fmt.Sprintf("it did not end within %s, so it was stopped", e.Limit)
	case TooMuch:
		return fmt.Sprintf("it printed more than %d bytes, so it was stopped", e.Most)
	case Ended:
		return "it was stopped, because nobody waits for it any more"
	}
	return "it was lost: its supervisor ended before it did"
}
