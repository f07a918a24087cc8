package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const crashSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: found}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.99.0.1]}]
  clients: [{name: backup, role: backup}]
  pki: {crl: true}
`

// The process is killed before each change of the disk that a verb makes, and half-way
// through each write: no key is ever unreadable, no line of the ledger is lost, and the
// same command run again finishes the work and leaves nothing behind.
func TestKilledAtEveryChange(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of processes; not with -short")
	}
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "etcdsec")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags=failpoints", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	foreign := t.TempDir()
	makeK3s(t, foreign)
	cases := map[string]struct {
		prepare [][]string // command lines, run in the folder first
		verb    []string
		least   int    // points that there must be
		keys    string // a folder of keys beside the store, or empty
		hidden  bool   // no plain key of a root may be left anywhere
	}{
		"issue":  {verb: []string{"pki", "issue", "-f", "cluster.yaml", "store"}, least: 100},
		"renew":  {prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}}, verb: []string{"pki", "renew", "store", "--all", "--new-key"}, least: 60},
		"revoke": {prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}, {"pki", "renew", "store", "backup", "--new-key"}}, verb: []string{"pki", "revoke", "store", "backup"}, least: 30},
		"csr":    {verb: []string{"pki", "csr", "-f", "cluster.yaml", "etcd-0", "new"}, least: 20, keys: "new"},
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
		"encrypt": {
			prepare: [][]string{{"pki", "issue", "-f", "cluster.yaml", "store"}},
			verb:    []string{"encryption", "generate", "store"}, least: 15,
		},
		"import": {verb: []string{"pki", "import", "store", "m0=" + foreign + "/m0", "m1=" + foreign + "/m1", "m2=" + foreign + "/m2", "--name", "found", "--etcd-version", "3.6.16"}, least: 60},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := crash{t: t, binary: binary, base: t.TempDir(), verb: tc.verb, keys: tc.keys, hidden: tc.hidden}
			if err := os.WriteFile(filepath.Join(c.base, "cluster.yaml"), []byte(crashSpec), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, line := range tc.prepare {
				if line[0] == "plain" {
					c.plainFolder(line[1], line[2], line[3])
				} else if status, out := c.run(c.base, 0, line...); status != 0 {
					t.Fatalf("%v: status %d\n%s", line, status, out)
				}
			}
			points := 0
			for c.killedAt(points + 1) {
				points++
			}
			if points < tc.least {
				t.Errorf("%d points, want at least %d: the failpoints are not where the changes are", points, tc.least)
			}
			t.Logf("%d points", points)
		})
	}
}

type crash struct {
	t            *testing.T
	binary, base string
	verb         []string
	keys         string
	hidden       bool
}

// run runs a command in dir, killed at a failpoint when that is not zero. Status -1 is a kill.
func (c crash) run(dir string, at int, args ...string) (status int, output string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.binary, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("ETCDSEC_FAILPOINT=%d", at))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, string(out)
	case !errors.As(err, &exit):
		c.t.Fatal(err)
	case exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return -1, string(out)
	}
	return exit.ExitCode(), string(out)
}

// killedAt runs the verb on a copy of the base, killed at a point, checks what is left, and
// finishes the work. It is false when the verb has no such point any more.
func (c crash) killedAt(point int) bool {
	t := c.t
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprint(point))
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", c.base, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a hundred copies are too many to keep
	ledgerBefore := c.ledger(dir)
	status, out := c.run(dir, point, c.verb...)
	killed := status == -1
	if !killed && status != 0 {
		t.Fatalf("point %d: status %d\n%s", point, status, out)
	}
	c.checkKeys(dir, point)
	encryption := c.encryption(dir, point)
	if !bytes.HasPrefix(c.ledger(dir), ledgerBefore) {
		t.Errorf("point %d: a line of the ledger is gone", point)
	}
	ledgerBetween := c.ledger(dir)
	ledgerBetween = ledgerBetween[:bytes.LastIndexByte(ledgerBetween, '\n')+1] // half a line was never released
	if status, out := c.run(dir, 0, c.verb...); status != 0 {
		t.Errorf("point %d: the next run: status %d\n%s", point, status, out)
	}
	if !bytes.HasPrefix(c.ledger(dir), ledgerBetween) {
		t.Errorf("point %d: the next run lost a line of the ledger", point)
	}
	c.checkKeys(dir, point)
	if after := c.encryption(dir, point); encryption != nil && !bytes.Equal(after, encryption) {
		t.Errorf("point %d: the next run changed the key of what is stored", point)
	}
	c.checkLeftovers(dir, point)
	if _, err := os.Stat(filepath.Join(dir, "store")); err == nil {
		// The roots' keys are there, and imported certificates are not as planned.
		_, out := c.run(dir, 0, "pki", "verify", "store")
		for _, bad := range []string{"ledger", "cannot be read", "store/nodes/etcd-0/pki/peer.crt\n  is not there", "does not belong", "revocation list", "is gone"} {
			if strings.Contains(out, bad) {
				t.Errorf("point %d: verify:\n%s", point, out)
				break
			}
		}
	}
	return killed
}

func (c crash) ledger(dir string) []byte {
	data, err := os.ReadFile(filepath.Join(dir, "store", "ledger.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	return data
}

// encryption is the file with the key of what kube-apiserver stores, which is whole and closed
// to others; nil if it is not there.
func (c crash) encryption(dir string, point int) []byte {
	c.t.Helper()
	path := filepath.Join(dir, "store", filepath.FromSlash(encryptionConfigFile))
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	data, readErr := os.ReadFile(path)
	if err != nil || readErr != nil || info.Mode().Perm() != 0o600 || !bytes.HasSuffix(data, []byte("=\"\n")) {
		c.t.Errorf("point %d: %s: %v %v, mode %v, %d bytes", point, path, err, readErr, info.Mode(), len(data))
	}
	return data
}

// checkKeys wants every key that a name leads to whole, and closed to others.
func (c crash) checkKeys(dir string, point int) {
	c.t.Helper()
	for _, folder := range []string{"store", c.keys} {
		if folder == "" {
			continue
		}
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".key") || strings.HasPrefix(e.Name(), ".") {
				return err
			}
			info, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a name whose version is about to come
			}
			data, readErr := os.ReadFile(path)
			current := !strings.Contains(path, "/.") // a version that no name leads to may be half-written
			if err != nil || readErr != nil || info.Mode().Perm()&0o077 != 0 || current && !bytes.HasSuffix(data, []byte("PRIVATE KEY-----\n")) {
				c.t.Errorf("point %d: %s: %v %v, mode %v, %d bytes", point, path, err, readErr, info.Mode(), len(data))
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.t.Fatal(err)
		}
	}
}

func (c crash) checkLeftovers(dir string, point int) {
	c.t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if c.hidden && strings.Contains(path, "-root") && strings.HasSuffix(path, ".key") {
			c.t.Errorf("point %d: the plain key of a root is left: %s", point, path)
		}
		if err == nil && (strings.HasSuffix(path, ".tmp") || strings.HasSuffix(path, ".link")) {
			c.t.Errorf("point %d: left behind: %s", point, path)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// plainFolder is a bundle and its keys as plain files, as a node has them before its first install.
func (c crash) plainFolder(bundle, keys, target string) {
	c.t.Helper()
	if err := os.Mkdir(filepath.Join(c.base, target), 0o700); err != nil {
		c.t.Fatal(err)
	}
	for _, from := range []string{bundle + "/ca.crt", bundle + "/peer-ca.crt", bundle + "/server.crt", bundle + "/peer.crt", bundle + "/client.crl", bundle + "/peer.crl", keys + "/server.key", keys + "/peer.key"} {
		data, err := os.ReadFile(filepath.Join(c.base, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.base, target, filepath.Base(from)), data, 0o600)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}
