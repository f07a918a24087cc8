package audit_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// The table and the snapshots that the operator names are the ones that are judged by.
func TestAuditRunMembers(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	client, _, _ := etcdtest.Plain(t, etcdtest.V3_6, "--data-dir="+data)
	table := filepath.Join(dir, "advisories.json")
	clitest.WriteFile(t, table, []byte(`{
  "as_of": "2027-01-01",
  "branches": [{"name": "3.6", "from": "3.6.0", "before": "3.7.0", "end_of_life": "2026-12-31"}],
  "advisories": [{"id": "CVE-1", "scope": "rbac", "summary": "s", "source": "https://example.com/1", "ranges": [{"introduced": "3.6.0", "fixed": "3.6.18"}]}]
}`))
	// A copy of the running member's database is a snapshot without a checksum.
	database, err := os.ReadFile(filepath.Join(data, "member", "snap", "db"))
	if err != nil {
		t.Fatal(err)
	}
	snapshot := filepath.Join(dir, "snapshots", "a.db")
	if err := os.Mkdir(filepath.Dir(snapshot), 0o700); err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, snapshot, database)

	for _, c := range []struct {
		name string
		age  time.Duration // of the snapshot
		args []string
		want map[string]audit.Verdict // what is otherwise than without the flags
	}{
		{name: "neither"},
		{name: "both", args: []string{"--advisories", table, "--snapshot-dir", filepath.Dir(snapshot)},
			want: map[string]audit.Verdict{"version-vulnerable": audit.Fail, "version-eol": audit.Fail, "snapshot-age": audit.Pass}},
		{name: "an old snapshot", age: 25 * time.Hour, args: []string{"--snapshot-dir", filepath.Dir(snapshot)},
			want: map[string]audit.Verdict{"snapshot-age": audit.Fail}},
		{name: "old enough", age: 25 * time.Hour, args: []string{"--snapshot-dir", filepath.Dir(snapshot), "--snapshot-max-age", "26h"},
			want: map[string]audit.Verdict{"snapshot-age": audit.Pass}},
	} {
		t.Run(c.name, func(t *testing.T) {
			modified := time.Now().Add(-c.age)
			if err := os.Chtimes(snapshot, modified, modified); err != nil {
				t.Fatal(err)
			}
			_, stdout, stderr := clitest.Run(t, slices.Concat([]string{"audit", "run", "--timeout", "1m", client, "-o", "json"}, c.args)...)
			var report audit.Report
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatalf("%v: %s", err, stderr)
			}
			seen := 0
			for _, r := range report.Results {
				want := map[string]audit.Verdict{"version-vulnerable": audit.Pass, "version-eol": audit.Pass, "snapshot-age": audit.Skip}[r.CheckID]
				if want == "" {
					continue
				}
				seen++
				if special, found := c.want[r.CheckID]; found {
					want = special
				}
				if r.Verdict != want {
					t.Errorf("%s: %s, want %s: %s", r.CheckID, r.Verdict, want, r.Evidence)
				}
			}
			if seen != 3 {
				t.Errorf("%d results of 3", seen)
			}
		})
	}
}
