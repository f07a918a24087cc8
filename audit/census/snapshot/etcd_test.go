package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// marker is in every value of these tests, and may be in nothing that is told.
const marker = "NEVER-TELL-THIS"

// release is an etcd to test with. A program is one that was not built here.
type release struct{ version, program string }

// releases are those that are built here, and the distribution's 3.4 where it is installed.
func releases(t *testing.T) []release {
	t.Helper()
	var all []release
	if path, version := etcdtest.Packaged(t, "3.4"); path != "" {
		all = append(all, release{version, path})
	} else {
		t.Log("no etcd 3.4 is installed (apt-get install etcd-server); the three later releases are tested")
	}
	for _, version := range etcdtest.Versions() {
		all = append(all, release{version: version})
	}
	return all
}

// server is one real member.
type server struct {
	client *clientv3.Client
	member *etcdtest.Member
	url    string
	dir    string
}

func start(t testing.TB, r release, args ...string) *server {
	t.Helper()
	ports := etcdtest.FreePorts(t, 2)
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	s := &server{url: client, dir: filepath.Join(t.TempDir(), "data")}
	s.member = etcdtest.Run(t, etcdtest.Config{
		Name: "one", Version: r.version, Program: r.program, HealthURL: client + "/health",
		Args: append([]string{
			"--name=one", "--data-dir=" + s.dir, "--initial-cluster=one=" + peer,
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		}, args...),
	})[0]
	var err error
	if s.client, err = clientv3.New(clientv3.Config{Endpoints: []string{client}, DialTimeout: time.Minute, Logger: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.Close() }) // its member is gone by then
	return s
}

func (s *server) put(t testing.TB, key, value string) {
	t.Helper()
	if _, err := s.client.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func (s *server) remove(t testing.TB, key string) {
	t.Helper()
	if _, err := s.client.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func (s *server) compact(t testing.TB) {
	t.Helper()
	got, err := s.client.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Compact(t.Context(), got.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
}

func (s *server) defragment(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := s.client.Defragment(ctx, s.url); err != nil {
		t.Fatal(err)
	}
}

// snapshot saves what `etcdctl snapshot save` does: what the member sends, which ends with the digest.
func (s *server) snapshot(t testing.TB) string {
	t.Helper()
	r, err := s.client.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "snapshot.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *server) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s.member.Stop(ctx)
}

func plaintext(kind string, size int) string {
	return "k8s\x00\n\x0c\n\x02v1\x12\x06" + kind + marker + strings.Repeat("p", size)
}

func sealed(key string, size int) string {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	const nonce = 24
	b := []byte("k8s:enc:secretbox:v1:" + key + ":")
	for i := range size + 40 {
		if i == nonce {
			b = append(b, marker...) // ciphertext: what comes before it is random, or it would be the name of a key
		}
		b = append(b, byte(random.Uint32()))
	}
	return string(b)
}

func secret(i int) string { return fmt.Sprintf("/registry/secrets/default/s%04d", i) }

func options() Options { return Options{Layout: census.DefaultLayout()} }

func mustCensus(t testing.TB, path string) *audit.Census {
	t.Helper()
	c, err := Census(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(told, []byte(marker)) {
		t.Fatal("a value is in the report")
	}
	return &c
}

// short is a resource of a census on one line.
func short(c []audit.ResourceCensus, resource string) string {
	for _, r := range c {
		if r.Resource != resource {
			continue
		}
		line := fmt.Sprintf("%d: plain %d", r.Objects, r.Plaintext)
		for _, w := range r.Writers {
			line += fmt.Sprintf(", %s %s %d", w.Provider, w.Key, w.Objects)
		}
		return line
	}
	return "none"
}

// The whole life of a store, in every release: plaintext, a key, another key, deletions,
// compaction, defragmentation; and at each point what a snapshot still holds.
func TestReleases(t *testing.T) {
	t.Parallel()
	for _, r := range releases(t) {
		t.Run(r.version, func(t *testing.T) {
			t.Parallel()
			testRelease(t, start(t, r), r.version)
		})
	}
}

func testRelease(t *testing.T, s *server, version string) {
	t.Helper()
	const n = 200
	empty := mustCensus(t, s.snapshot(t))
	if empty.Objects != 0 || !empty.Complete || empty.Revision != 1 || !empty.Snapshot.Intact() {
		t.Errorf("of an empty store: %+v %+v", empty, empty.Snapshot)
	}
	for i := range n {
		s.put(t, secret(i), plaintext("Secret", 1000))
	}
	for i := range n {
		s.put(t, secret(i), sealed("old", 1000))
	}
	for i := range n / 2 {
		s.put(t, secret(i), sealed("new", 1000))
	}
	for i := range 10 {
		s.remove(t, secret(i))
	}
	s.put(t, "/registry/configmaps/kube-system/c", plaintext("ConfigMap", 10))
	s.put(t, "/registry/stable.example.com/crontabs/a/b", `{"apiVersion":"stable.example.com/v1","kind":"CronTab","x":"`+marker+`"}`)
	s.put(t, "/registry/secrets/big/big", sealed("new", 1400<<10))
	s.put(t, "/elsewhere", marker)
	revision := int64(1 + 2*n + n/2 + 10 + 4)
	want := fmt.Sprintf("%d: plain 0, secretbox new %d, secretbox old %d", n-10+1, n/2-10+1, n/2)
	written := n*2 + n/2 - (n - 10)

	before := s.snapshot(t)
	c := mustCensus(t, before)
	compareWithBbolt(t, before, c)
	if got := short(c.Resources, "secrets"); got != want || !c.Complete || !c.Snapshot.Intact() {
		t.Errorf("secrets %q, want %q; complete %v (%s), %+v", got, want, c.Complete, c.Reason, c.Snapshot)
	}
	if c.Revision != revision || c.Outside != 1 || c.Objects != n-10+3 || c.Snapshot.CompactRevision != 0 {
		t.Errorf("revision %d, want %d; %d outside, %d objects, compacted %d", c.Revision, revision, c.Outside, c.Objects, c.Snapshot.CompactRevision)
	}
	if got := short(c.Resources, "crontabs.stable.example.com"); got != "1: plain 1" {
		t.Errorf("custom resources: %q", got)
	}
	older := c.Residue.Revisions
	if older.Values != int64(written) || older.Plaintext != n || len(older.PlaintextObjects) == 0 || older.PlaintextObjects[0][:8] != "secrets " {
		t.Errorf("older revisions: %d of %d, %d plaintext, %q", older.Values, written, older.Plaintext, older.PlaintextObjects)
	}
	minor := version[:len("3.4")]
	storage := map[string]string{"3.4": "", "3.5": "", "3.6": "3.6.0", "3.7": "3.7.0"}[minor] // etcd has written it since 3.6
	if got := c.Snapshot; got.StorageVersion != storage || got.ClusterVersion != minor+".0" {
		t.Errorf("storage version %q and cluster version %q of etcd %s", got.StorageVersion, got.ClusterVersion, version)
	}

	s.compact(t)
	compacted := s.snapshot(t)
	c = mustCensus(t, compacted)
	compareWithBbolt(t, compacted, c)
	if got := short(c.Resources, "secrets"); got != want || c.Residue.Revisions.Values != 0 || c.Revision != revision || c.Snapshot.CompactRevision != revision {
		t.Errorf("after compaction: %q, %d older revisions, revision %d compacted %d", got, c.Residue.Revisions.Values, c.Revision, c.Snapshot.CompactRevision)
	}
	free := c.Residue.FreePages
	if free.Plaintext < n/10 || !strings.Contains(fmt.Sprint(free.PlaintextObjects), "secrets default/s") || short(free.Resources, "secrets") == "none" {
		t.Errorf("after compaction the free pages have %d plaintext values of %d, %q", free.Plaintext, free.Values, free.PlaintextObjects)
	}

	s.defragment(t)
	defragmented := s.snapshot(t)
	c = mustCensus(t, defragmented)
	compareWithBbolt(t, defragmented, c)
	if got := short(c.Resources, "secrets"); got != want || c.Residue.FreePages.Plaintext != 0 {
		t.Errorf("after defragmentation: %q, and %d plaintext values in %d free pages", got, c.Residue.FreePages.Plaintext, c.Snapshot.FreePages)
	}

	if _, err := Census(t.Context(), s.dir, options()); !errors.Is(err, ErrInUse) {
		t.Errorf("the data dir of a running member: %v", err)
	}
	s.stop(t)
	stopped := listing(t, s.dir)
	c = mustCensus(t, s.dir)
	if got := short(c.Resources, "secrets"); got != want || c.Snapshot.Digest != audit.DigestAbsent || c.Snapshot.Intact() || !c.Complete {
		t.Errorf("of the data dir: %q, %+v", got, c.Snapshot)
	}
	if got := short(c.Residue.WAL.Resources, "secrets"); got != fmt.Sprintf("%d: plain %d, secretbox new %d, secretbox old %d", n*2+n/2+1, n, n/2+1, n) {
		t.Errorf("the write-ahead log: %q", got)
	}
	if after := listing(t, s.dir); after != stopped {
		t.Errorf("files of the data dir:\n%s\nafter the census:\n%s", stopped, after)
	}
	if c.Residue.OldFiles.Values != 0 {
		t.Errorf("old files: %+v", c.Residue.OldFiles)
	}
	// What a leader sends to a member that lags behind, and what a killed defragmentation leaves.
	for _, name := range []string{"0000000000000abc.snap.db", "db.tmp.123456"} {
		if err := os.Link(before, filepath.Join(s.dir, "member", "snap", name)); err != nil {
			t.Fatal(err)
		}
	}
	left := mustCensus(t, filepath.Join(s.dir, "member")).Residue.OldFiles
	if left.Plaintext < 2*n || short(left.Resources, "secrets") == "none" {
		t.Errorf("old files: %d values, %d in plaintext", left.Values, left.Plaintext)
	}
	if again := mustCensus(t, filepath.Join(s.dir, "member", "snap", "db")); again.Residue.WAL.Scanned != 0 || short(again.Resources, "secrets") != want {
		t.Errorf("of the database alone: %+v", again.Residue.WAL)
	}
}

// A snapshot that is taken while the member defragments is whole.
func TestSnapshotOfADefragmentingMember(t *testing.T) {
	t.Parallel()
	s := start(t, release{version: etcdtest.V3_6})
	const n = 2000
	for from := 0; from < n; from += 100 {
		var puts []clientv3.Op
		for i := from; i < from+100; i++ {
			puts = append(puts, clientv3.OpPut(secret(i), plaintext("Secret", 4000)))
		}
		if _, err := s.client.Txn(t.Context()).Then(puts...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for rounds := 0; err == nil; rounds++ {
			select {
			case <-stop:
				if rounds == 0 {
					err = errors.New("nothing was defragmented")
				}
				done <- err
				return
			default:
			}
			_, err = s.client.Defragment(t.Context(), s.url)
		}
		done <- err
	}()
	for range 10 {
		c := mustCensus(t, s.snapshot(t))
		if got := short(c.Resources, "secrets"); !c.Snapshot.Intact() || got != fmt.Sprintf("%d: plain %d", n, n) {
			t.Errorf("%q, %+v", got, c.Snapshot)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// listing is every file of a folder with its time and its content.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	if err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v %d", path, info.ModTime(), info.Size())
		if !entry.IsDir() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		lines = append(lines, line)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// compareWithBbolt reads the same file with bbolt: as many revisions, and as many free pages.
func compareWithBbolt(t *testing.T, path string, c *audit.Census) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(copied, 0o400, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	revisions := int64(0)
	if err := db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("key")).ForEach(func(_, _ []byte) error {
			revisions++
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	stats := db.Stats()
	if revisions != c.Snapshot.Revisions || int64(stats.FreePageN+stats.PendingPageN) != c.Snapshot.FreePages {
		t.Errorf("bbolt has %d revisions and %d free pages; the census has %d and %d",
			revisions, stats.FreePageN+stats.PendingPageN, c.Snapshot.Revisions, c.Snapshot.FreePages)
	}
}
