package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkStart times `etcdsec version` and a program that does nothing, in the same turns.
// What is reported is the median of each, the quotient of the two, which is to be at most 10,
// and the size of the binary, which is to be at most 45 MB.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	binary, empty := filepath.Join(dir, "etcdsec"), filepath.Join(dir, "empty")
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, build := range [][]string{{binary, "."}, {empty, source}} {
		command := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", build[0], build[1])
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := command.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	start := func(argv ...string) time.Duration {
		begun := time.Now()
		if out, err := exec.CommandContext(b.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return time.Since(begun)
	}
	const turns = 100
	var ours, nothing []time.Duration
	for b.Loop() {
		for range turns {
			nothing = append(nothing, start(empty))
			ours = append(ours, start(binary, "version"))
		}
	}
	slices.Sort(ours)
	slices.Sort(nothing)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	a, e := ours[len(ours)/2], nothing[len(nothing)/2]
	info, err := os.Stat(binary)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(ms(a), "etcdsec-ms")
	b.ReportMetric(ms(e), "empty-ms")
	b.ReportMetric(ms(a)/ms(e), "quotient")
	b.ReportMetric(float64(info.Size())/1e6, "MB")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}
