package audit_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A snapshot and the data dir of a real member, before and after it is damaged.
func TestAuditCensusOfASnapshot(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	address, _, member := etcdtest.Plain(t, etcdtest.V3_6, "--data-dir="+data)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: time.Minute, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	put := func(key, value string) {
		t.Helper()
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	const hidden = "NEVER-TELL-THIS-"
	put("/registry/secrets/default/s", "k8s\x00\n\x0c\n\x02v1\x12\x06Secret"+hidden)
	put("/registry/secrets/default/s", "k8s:enc:secretbox:v1:k-1:"+strings.Repeat(hidden, 5))
	path := filepath.Join(dir, "snapshot.db")
	saved := func() []byte {
		t.Helper()
		r, err := client.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}()
	clitest.WriteFile(t, path, saved)
	damaged := filepath.Join(dir, "damaged.db")
	clitest.WriteFile(t, damaged, saved[:len(saved)/2])

	running, stdout, stderr := clitest.Run(t, "audit", "census", "--snapshot", data)
	if running != 1 || stdout != "" || !strings.Contains(stderr, "a running etcd is writing to it") || !strings.Contains(stderr, "hint: etcdctl snapshot save") {
		t.Errorf("the data dir of a running member: exit status %d, %s%s", running, stdout, stderr)
	}
	member.Kill()

	cases := []struct {
		name   string
		args   []string
		status int
		want   map[string]audit.Verdict
	}{
		{"a snapshot", []string{path}, 3, map[string]audit.Verdict{"data-plaintext": audit.Pass, "snapshot-integrity": audit.Pass, "snapshot-plaintext": audit.Fail}},
		{"the right key", []string{path, "--key-name", "k-1"}, 3, map[string]audit.Verdict{"data-stale-key": audit.Pass, "data-unknown-key": audit.Pass}},
		{"another key", []string{path, "--key-name", "k-2"}, 3, map[string]audit.Verdict{"data-unknown-key": audit.Fail}},
		{"a data dir", []string{data}, 3, map[string]audit.Verdict{"data-residue": audit.Fail, "snapshot-integrity": audit.Skip}},
		{"damaged", []string{damaged}, 1, map[string]audit.Verdict{"snapshot-integrity": audit.Fail, "data-plaintext": audit.Unknown}},
		{"another prefix", []string{path, "--etcd-prefix", "/elsewhere"}, 1, map[string]audit.Verdict{"data-plaintext": audit.Unknown, "data-residue": audit.Unknown}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"audit", "census", "--snapshot"}, c.args...)
			status, stdout, stderr := clitest.Run(t, append(args, "-o", "json")...)
			textStatus, text, _ := clitest.Run(t, args...)
			if status != c.status || textStatus != c.status {
				t.Errorf("exit status %d, and %d as text, want %d: %s", status, textStatus, c.status, stderr)
			}
			if strings.Contains(stdout+stderr+text, hidden) {
				t.Error("a value was told")
			}
			var report struct {
				audit.Census
				audit.Report
			}
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatal(err)
			}
			if report.Snapshot == nil || report.Residue == nil || !strings.Contains(text, "BESIDE IT") {
				t.Errorf("the file is not in the report: %s", text)
			}
			seen := 0
			for _, r := range report.Results {
				want, asked := c.want[r.CheckID]
				if !asked {
					continue
				}
				seen++
				if r.Verdict != want {
					t.Errorf("%s: %s, want %s: %s", r.CheckID, r.Verdict, want, r.Evidence)
				}
			}
			if seen != len(c.want) {
				t.Errorf("%d results of %d", seen, len(c.want))
			}
		})
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(saved) {
		t.Errorf("the snapshot was changed: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("%d files, want data, damaged.db and snapshot.db: %v", len(entries), err)
	}
}
