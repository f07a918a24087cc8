package pki_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// The process is killed before changes of the disk that a verb makes, and half-way through
// writes: no key is ever unreadable, no line of the ledger is lost, and the same command run
// again finishes the work and leaves nothing behind. `make test-e2e` does so at every point.
func TestKilledAtEveryChange(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of processes; not with -short")
	}
	t.Parallel()
	testKilled(t, clitest.SamplePoints)
}

func testKilled(t *testing.T, choose clitest.Points) {
	t.Helper()
	foreign := t.TempDir()
	makeK3s(t, foreign)
	cases := map[string]struct {
		prepare [][]string // command lines, run in the folder first
		verb    []string
		least   int    // points that there must be
		keys    string // a folder of keys beside the store, or empty
		hidden  bool   // no plain key of a root may be left anywhere
		days    int    // how far ahead the verb's clock is
	}{
		"issue":               {verb: []string{"pki", "issue", "-f", "cluster.yaml", "store"}, least: 100},
		"renew":               {prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}}, verb: []string{"pki", "renew", "store", "--all", "--new-key"}, least: 60},
		"replace issuing CAs": {prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}}, verb: []string{"pki", "renew", "store"}, least: 100, days: 250},
		"revoke":              {prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}, {"pki", "renew", "store", "backup", "--new-key"}}, verb: []string{"pki", "revoke", "store", "backup"}, least: 30},
		"csr":                 {verb: []string{"pki", "csr", "-f", "cluster.yaml", "etcd-0", "new"}, least: 20, keys: "new"},
		"sign": {
			prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}, {"pki", "csr", "-f", "cluster.yaml", "etcd-0", "new"}},
			verb:    []string{"pki", "sign", "store", "etcd-0", "new"}, least: 25, keys: "new",
		},
		"install": {
			prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}, {"pki", "csr", "-f", "cluster.yaml", "etcd-0", "new"}, {"pki", "sign", "store", "etcd-0", "new"}},
			verb:    []string{"pki", "install", "-f", "cluster.yaml", "etcd-0", "store/nodes/etcd-0/pki", "target", "--keys", "new", "--any-node"}, least: 30, keys: "target",
		},
		"install over plain files": {
			prepare: [][]string{
				{"pki", "issue", "-f", "cluster.yaml", "store"}, {"pki", "csr", "-f", "cluster.yaml", "etcd-0", "new"}, {"pki", "sign", "store", "etcd-0", "new"},
				{"plain", "store/nodes/etcd-0/pki", "new", "target"}, {"pki", "renew", "store", "etcd-0"},
			},
			verb: []string{"pki", "install", "-f", "cluster.yaml", "etcd-0", "store/nodes/etcd-0/pki", "target", "--any-node"}, least: 40, keys: "target",
		},
		"encrypt root keys": {
			prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}},
			verb:    []string{"pki", "renew", "store", "--root-key-recipient", "age1pw2s48774dmj7lg36p5r54s0rqxc4t9qvrn5lglvn26gt2pgdfrs3ltfv9"}, least: 20, hidden: true,
		},
		"import": {verb: []string{"pki", "import", "store", "m0=" + foreign + "/m0", "m1=" + foreign + "/m1", "m2=" + foreign + "/m2", "--name", "found", "--etcd-version", "3.6.16"}, least: 60},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clitest.Crash{Base: t.TempDir(), Verb: tc.verb, Keys: tc.keys, Hidden: tc.hidden, Days: tc.days}
			clitest.WriteFile(t, filepath.Join(c.Base, "cluster.yaml"), []byte(clitest.OneMemberSpec))
			for _, line := range tc.prepare {
				if line[0] == "plain" {
					writePlainFolder(t, c.Base, line[1], line[2], line[3])
				} else if status, out := clitest.RunKilled(t, c.Base, 0, line...); status != 0 {
					t.Fatalf("%v: status %d\n%s", line, status, out)
				}
			}
			points := c.Kill(t, choose)
			if points < tc.least {
				t.Errorf("%d points, want at least %d: the failpoints are not where the changes are", points, tc.least)
			}
		})
	}
}

// writePlainFolder writes a bundle and its keys as plain files, as a node has them before its first install.
func writePlainFolder(t *testing.T, base, bundle, keys, target string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(base, target), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{bundle + "/ca.crt", bundle + "/peer-ca.crt", bundle + "/server.crt", bundle + "/peer.crt", bundle + "/client.crl", bundle + "/peer.crl", keys + "/server.key", keys + "/peer.key"} {
		data, err := os.ReadFile(filepath.Join(base, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(base, target, filepath.Base(from)), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
