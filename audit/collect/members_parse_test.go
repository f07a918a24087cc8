package collect

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/etcdsec/etcdsec/audit"
)

const metricsPage = `# HELP etcd_network_active_peers The current number of active peer connections.
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="91bc3c398fb3c146"} 1
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="fd422379fda50e48"} 0
etcd_server_leader_changes_seen_total 3
etcd_server_quota_backend_bytes 2.147483648e+09
process_start_time_seconds 1.76352e+09
`

func TestMemberMetrics(t *testing.T) {
	whole := &audit.MemberMetrics{
		Values: map[string]float64{
			audit.LeaderChangesMetric: 3, audit.QuotaMetric: 1 << 31, audit.StartTimeMetric: 1763520000,
		},
		ActivePeers: map[uint64]bool{0x91bc3c398fb3c146: true, 0xfd422379fda50e48: false},
	}
	with := func(change func(m *audit.MemberMetrics)) *audit.MemberMetrics {
		m := memberMetrics([]byte(metricsPage))
		change(m)
		return m
	}
	none := &audit.MemberMetrics{Values: map[string]float64{}, ActivePeers: map[uint64]bool{}}
	for name, c := range map[string]struct {
		page string
		want *audit.MemberMetrics
	}{
		"whole":   {metricsPage, whole},
		"nothing": {"", none},
		"garbage": {"\x00\xff\n{\n etcd\n", none},
		"a number cut off": {strings.TrimSuffix(metricsPage, "52e+09\n"), with(func(m *audit.MemberMetrics) {
			delete(m.Values, audit.StartTimeMetric)
		})},
		"a value twice": {metricsPage + "etcd_server_leader_changes_seen_total 9\n", with(func(m *audit.MemberMetrics) {
			delete(m.Values, audit.LeaderChangesMetric)
		})},
		"not a number": {strings.Replace(metricsPage, "_total 3", "_total NaN", 1), with(func(m *audit.MemberMetrics) {
			delete(m.Values, audit.LeaderChangesMetric)
		})},
		"endless":   {"process_start_time_seconds " + strings.Repeat("1", 4096) + "\n", none},
		"a comment": {"#process_start_time_seconds 5\n# process_start_time_seconds 5\n", none},
		"labels":    {`etcd_network_active_peers{Remote="1"} 1` + "\n" + `etcd_network_active_peers{Local="1",Remote="x"} 1` + "\n", none},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, memberMetrics([]byte(c.page))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzMemberMetrics(f *testing.F) {
	seeds := []string{metricsPage, "", "process_start_time_seconds 1e400\n", strings.Repeat("etcd_network_active_peers{,Remote=\"1\"} 1\n", 3)}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		m := memberMetrics(page)
		if len(m.ActivePeers) > maxMembers {
			t.Errorf("%d peers", len(m.ActivePeers))
		}
		for name, value := range m.Values {
			if math.IsNaN(value) || math.IsInf(value, 0) || !strings.Contains(string(page), name) {
				t.Errorf("%s %v", name, value)
			}
		}
	})
}

// emptyDatabase returns a bbolt database without a bucket.
func emptyDatabase(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSnapshots(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	dir, whole := t.TempDir(), emptyDatabase(t)
	write := func(name string, data []byte, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if s := Snapshots(t.Context(), dir, time.Hour); s.Reason != "" || len(s.Files) != 0 {
		t.Errorf("an empty folder: %+v", s)
	}
	write("a.db", whole, 3*time.Hour)
	write("b.db", whole, 2*time.Hour)
	write("c.db", []byte("no space left on device"), time.Hour)
	write("d.db.part", whole, 0)
	write("c.db.sha256", []byte("0123"), 0)
	if err := os.Mkdir(filepath.Join(dir, "e.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "f.db")); err != nil {
		t.Fatal(err)
	}
	want := &audit.Snapshots{Dir: dir, MaxAge: time.Hour, Files: []audit.Snapshot{
		{Name: "c.db", Modified: now.Add(-time.Hour), Fault: "not a bbolt database"},
		{Name: "b.db", Modified: now.Add(-2 * time.Hour)},
	}}
	if diff := cmp.Diff(want, Snapshots(t.Context(), dir, time.Hour)); diff != "" {
		t.Error(diff)
	}
	// k3s and RKE2 give no extension, or pack; kOps packs into a folder for each.
	packed := func(name string) []byte {
		var b bytes.Buffer
		packer := gzip.NewWriter(&b)
		to, w := io.Writer(packer), io.Closer(packer)
		if strings.HasSuffix(name, ".zip") {
			archive := zip.NewWriter(&b)
			w = archive
			var err error
			if to, err = archive.Create("etcd-snapshot-cp-0-1764000000"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := to.Write(whole); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	newest := func(name, fault string, unread bool) {
		t.Helper()
		s := Snapshots(t.Context(), dir, time.Hour)
		if s.Reason != "" || len(s.Files) == 0 || s.Files[0].Name != name || !strings.HasPrefix(s.Files[0].Fault, fault) || fault == "" && s.Files[0].Fault != "" || s.Files[0].Unread != unread {
			t.Errorf("%s is not the newest: %+v", name, s)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "2026-11-01T00:00:00Z-000001"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"etcd-snapshot-cp-0-1764000000", "etcd-snapshot-cp-0-1764000001.zip", "x.gz", "2026-11-01T00:00:00Z-000001/etcd.backup.gz"} {
		data := packed(name)
		if i == 0 {
			data = whole
		}
		write(name, data, 50*time.Minute-time.Duration(i)*time.Minute)
		newest(name, "", false)
	}
	write("cut.gz", packed("cut.gz")[:40], 40*time.Minute)
	newest("cut.gz", "damaged or cut off", false)
	write("cut.zip", packed("cut.zip")[:60], 39*time.Minute)
	newest("cut.zip", "damaged or cut off", false)
	write("etcd-snapshot-cp-0-1764000009", whole[:len(whole)-4096], 38*time.Minute)
	newest("etcd-snapshot-cp-0-1764000009", "cut off", false)
	write("x.db.zst", []byte("(\xb5/\xfd"), 37*time.Minute)
	newest("x.db.zst", "", true)
	if s := Snapshots(t.Context(), filepath.Join(dir, "none"), time.Hour); !strings.Contains(s.Reason, "no such file") {
		t.Errorf("got %+v", s)
	}
}
