package firstgc

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// After the first collection the collector runs as often as it always does.
func TestDelay(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	if !delay() {
		t.Fatal("did not delay the first collection")
	}
	if got := debug.SetGCPercent(400); got != 400 {
		t.Fatalf("before the first collection: %d %%, want 400", got)
	}
	percent := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); runtime.Gosched() {
		runtime.GC()
		if percent = debug.SetGCPercent(400); percent == 100 {
			return
		}
	}
	t.Errorf("after a collection: %d %%, want 100", percent)
}

func TestDelayLeavesGOGC(t *testing.T) {
	t.Setenv("GOGC", "100")
	if delay() {
		t.Error("changed what the environment asks for")
	}
}
