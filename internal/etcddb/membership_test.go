package etcddb

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

func TestReadMembership(t *testing.T) {
	const one, two = `{"id":1,"peerURLs":["https://a:2380"],"name":"a"}`, `{"peerURLs":null}`
	for name, c := range map[string]struct {
		buckets map[string]map[string]string
		want    Membership
	}{
		"none":                 {nil, Membership{}},
		"two":                  {map[string]map[string]string{"members": {"2": two, "1": one}}, Membership{Members: []Member{{ID: 1, Name: "a", PeerURLs: []string{"https://a:2380"}}, {ID: 2}}}},
		"removed":              {map[string]map[string]string{"members_removed": {"77edd50ec79a221a": "removed"}}, Membership{Removed: []uint64{0x77edd50ec79a221a}}},
		"raft":                 {map[string]map[string]string{"meta": {"confState": `{"voters":[10276657743932975437],"learners":[2],"auto_leave":false}`, "consistent_index": "x"}}, Membership{Raft: []uint64{10276657743932975437, 2}}},
		"raft without members": {map[string]map[string]string{"meta": {"confState": "{}"}}, Membership{}},
		"no ID":                {map[string]map[string]string{"members": {"x": one}}, Membership{Fault: "no member ID"}},
		"no JSON":              {map[string]map[string]string{"members": {"1": "{"}}, Membership{Members: []Member{{ID: 1}}, Fault: "member 1 in it is not JSON"}},
		"another type":         {map[string]map[string]string{"meta": {"confState": `{"voters":"x"}`}}, Membership{Fault: "the raft configuration"}},
		"too long":             {map[string]map[string]string{"members": {"1": `{"name":"` + strings.Repeat("a", maxMemberLength) + `"}`}}, Membership{Members: []Member{{ID: 1}}, Fault: "member 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(t.Context(), databaseWith(t, c.buckets))
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.ReadMembership(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.Fault, c.want.Fault) || (got.Fault == "") != (c.want.Fault == "") {
				t.Errorf("fault %q, want %q in it", got.Fault, c.want.Fault)
			}
			got.Fault, c.want.Fault = "", ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// databaseWith returns a database of etcd with the given elements of its buckets.
func databaseWith(t *testing.T, buckets map[string]map[string]string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("key"))
		for name, elements := range buckets {
			b, createErr := tx.CreateBucketIfNotExists([]byte(name))
			if createErr != nil {
				return createErr
			}
			for key, value := range elements {
				if err := b.Put([]byte(key), []byte(value)); err != nil {
					return err
				}
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f.Data
}
