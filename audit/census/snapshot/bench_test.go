package snapshot

import (
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/internal/etcddb"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

var (
	benchKeys = flag.Int("snapshot.keys", 100_000, "how many keys of 1 KiB the snapshot of the benchmarks has")
	benchFile = flag.String("snapshot.file", "", "a snapshot to measure in place of one that is made")
)

// benchSnapshot is one of a real member with keys of 1 KiB that a key has encrypted, and
// the free pages of as many that were plaintext.
func benchSnapshot(b *testing.B) string {
	b.Helper()
	if *benchFile != "" {
		return *benchFile
	}
	s := start(b, release{version: etcdtest.V3_6}, "--quota-backend-bytes=8589934592")
	const batch = 100
	fill := func(value func() string) {
		for from := 0; from < *benchKeys; from += batch {
			var puts []clientv3.Op
			for i := from; i < min(from+batch, *benchKeys); i++ {
				puts = append(puts, clientv3.OpPut(fmt.Sprintf("/registry/secrets/ns-%03d/secret-%07d", i%200, i), value()))
			}
			if _, err := s.client.Txn(b.Context()).Then(puts...).Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	fill(func() string { return plaintext("Secret", 1000) })
	s.compact(b)
	fill(func() string { return sealed("key-"+strconv.Itoa(rand.IntN(3)), 950) })
	s.compact(b)
	return s.snapshot(b)
}

// BenchmarkSnapshot measures on one file, in one run: plain iteration with bbolt, which
// touches every revision and none of its values; the same as etcd opens it, which finds the
// free pages; with a checksum of each value; the program of etcd
// that makes one, which is a process of its own; the census of the current revision; the
// same with the digest; all with the residue.
func BenchmarkSnapshot(b *testing.B) {
	path := benchSnapshot(b)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	iterate := func(b *testing.B, freelist bool, take func(k, v []byte)) {
		b.Helper()
		b.SetBytes(info.Size())
		before := processorTime(b)
		for b.Loop() {
			db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true, PreLoadFreelist: freelist})
			if err != nil {
				b.Fatal(err)
			}
			if err := db.View(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("key")).ForEach(func(k, v []byte) error {
					take(k, v)
					return nil
				})
			}); err != nil {
				b.Fatal(err)
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((processorTime(b)-before)/float64(b.N), "cpu-ms/op")
	}
	b.Run("bbolt", func(b *testing.B) {
		n := 0
		iterate(b, false, func(k, v []byte) { n += len(k) + len(v) })
	})
	b.Run("bbolt+freelist", func(b *testing.B) {
		n := 0
		iterate(b, true, func(k, v []byte) { n += len(k) + len(v) })
	})
	b.Run("bbolt+values", func(b *testing.B) {
		sum := crc32.NewIEEE() // what `etcdutl snapshot status` makes of each
		iterate(b, false, func(k, v []byte) {
			_, _ = sum.Write(k)
			_, _ = sum.Write(v)
		})
	})
	b.Run("etcdutl", func(b *testing.B) {
		program, err := oracle.Binary(b.Context(), "etcdutl", os.Stderr)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(info.Size())
		used := 0.0
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), program, "snapshot", "status", path)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			used += float64(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()) / 1e6
		}
		b.ReportMetric(used/float64(b.N), "cpu-ms/op")
	})
	census := func(name string, digest, residue bool) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(info.Size())
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				var err error
				o := options()
				o.WithoutResidue, o.WithoutDigest = !residue, !digest
				c, err := Census(context.Background(), path, o)
				if err != nil || c.Objects == 0 {
					b.Fatal(err, c)
				}
			}
			b.ReportMetric((processorTime(b)-before)/float64(b.N), "cpu-ms/op")
			b.ReportMetric(anonymous(b), "anon-MiB")
		})
	}
	census("census", false, false)
	census("census+digest", true, false)
	census("census+digest+residue", true, true)
	b.Run("scan", func(b *testing.B) {
		m, err := etcddb.OpenFile(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		b.SetBytes(info.Size())
		found := 0
		for b.Loop() {
			found = 0
			if _, err := scan(b.Context(), bytesOf{data: m.Data, pageSize: 4096}, func(trace) { found++ }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(found), "values")
	})
}

// processorTime is what this process has used, in milliseconds. On a machine that does
// something else at the same time it says more than the clock.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

// anonymous is the memory of this process that no file is behind.
func anonymous(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	return 0
}
