package audit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A member that is in the database of a real 3.5 alone is a member again after the upgrade to 3.6. The
// audit finds it before, and finds nothing once a 3.5 that repairs the database has run.
func TestAuditZombie(t *testing.T) {
	t.Parallel()
	const (
		zombie = uint64(0x77edd50ec79a221a)
		name   = "77edd50ec79a221a"
	)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	ports := etcdtest.FreePorts(t, 2)
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	start := func(version, dataDir string) *etcdtest.Member {
		t.Helper()
		return etcdtest.Run(t, etcdtest.Config{Name: "m0", Version: version, HealthURL: client + "/health", LogPath: filepath.Join(dir, "log"), Args: []string{
			"--name=m0", "--data-dir=" + dataDir, "--initial-cluster=m0=" + peer,
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		}})[0]
	}
	census := func(path string) audit.Result {
		t.Helper()
		_, stdout, stderr := clitest.Run(t, "audit", "census", "--snapshot", path, "-o", "json")
		if stdout == "" {
			t.Fatal(stderr)
		}
		return clitest.ResultOf(t, stdout, "member-zombie")
	}
	isFound := func(r audit.Result) bool { return r.Verdict == audit.Fail && slices.Equal(r.Codes, []string{name}) }
	// database copies the data dir's database into a folder of snapshots.
	snapshots := filepath.Join(dir, "snapshots")
	save := func(from string) {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(from, "member/snap/db"))
		if err != nil {
			t.Fatal(err)
		}
		clitest.WriteFileBelow(t, filepath.Join(snapshots, "a.db"), string(content))
	}
	running := func() (report string, r audit.Result) {
		t.Helper()
		_, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--snapshot-dir", snapshots, client, "-o", "json")
		if stdout == "" {
			t.Fatal(stderr)
		}
		return stdout, clitest.ResultOf(t, stdout, "member-zombie")
	}

	old := start(etcdtest.V3_5, data)
	save(data)
	if _, r := running(); r.Verdict != audit.Pass {
		t.Errorf("3.5 without a zombie: %s %s", r.Verdict, r.Evidence)
	}
	old.Kill()
	if r := census(data); r.Verdict != audit.Pass {
		t.Errorf("a data dir without a zombie: %s %s", r.Verdict, r.Evidence)
	}

	addToDatabase(t, filepath.Join(data, "member/snap/db"), zombie)
	if r := census(data); !isFound(r) || !strings.Contains(r.Evidence, "https://node3:2380") {
		t.Errorf("a data dir with a zombie: %s %s", r.Verdict, r.Evidence)
	}
	save(data)
	repaired, upgraded := filepath.Join(dir, "repaired"), filepath.Join(dir, "upgraded")
	for _, to := range []string{repaired, upgraded} {
		if err := os.CopyFS(to, os.DirFS(data)); err != nil {
			t.Fatal(err)
		}
		for _, folder := range []string{to, filepath.Join(to, "member"), filepath.Join(to, "member/snap"), filepath.Join(to, "member/wal")} {
			if err := os.Chmod(folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}

	// A 3.5 from 3.5.26 on removes it at its start. The snapshot is of before.
	member := start(etcdtest.V3_5, repaired)
	if _, r := running(); !isFound(r) {
		t.Errorf("the snapshot with a zombie: %s %s", r.Verdict, r.Evidence)
	}
	member.Kill()
	if r := census(repaired); r.Verdict != audit.Pass {
		t.Errorf("a repaired data dir: %s %s", r.Verdict, r.Evidence)
	}

	// In 3.6 it is back.
	start(etcdtest.V3_6, upgraded)
	if listed := memberIDs(t, client); !slices.Contains(listed, zombie) {
		t.Errorf("3.6 lists %x", listed)
	}
	if _, r := running(); !isFound(r) {
		t.Errorf("3.6 with a zombie: %s %s", r.Verdict, r.Evidence)
	}
}

// addToDatabase adds a member to the bucket of members, as etcd writes it.
func addToDatabase(t *testing.T, path string, id uint64) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"id": id, "peerURLs": []string{"https://node3:2380"}, "name": "node3", "clientURLs": []string{"https://node3:2379"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("members")).Put(fmt.Appendf(nil, "%x", id), value)
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func memberIDs(t *testing.T, endpoint string) []uint64 {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: time.Minute, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	list, err := client.MemberList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint64
	for _, m := range list.Members {
		ids = append(ids, m.ID)
	}
	return ids
}
