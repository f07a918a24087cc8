package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkBootstrap is `etcdsec bootstrap` for three members, three API servers and six
// clients: 17 certificates, every file synced. The process's start is not in it.
func BenchmarkBootstrap(b *testing.B) {
	dir := b.TempDir()
	spec := filepath.Join(dir, "cluster.yaml")
	more := `  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
    - {name: cp-1, addresses: [10.0.0.12]}
    - {name: cp-2, addresses: [10.0.0.13]}
  clients:
    - {name: backup, role: backup}
    - {name: monitoring, role: monitoring}
    - {name: root, role: root}
`
	if err := os.WriteFile(spec, []byte(faultSpec+more), 0o600); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, now: time.Now}
		if status := run(context.Background(), a, []string{"bootstrap", "-f", spec, filepath.Join(dir, fmt.Sprint(n))}); status != statusDone {
			b.Fatalf("status %d: %s", status, stderr.String())
		}
	}
}
