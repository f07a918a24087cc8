package pki

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

// listHierarchies are the specs whose lists have different signers.
func listHierarchies() map[string]string {
	return map[string]string{
		"issuing CAs":          "  pki: {crl: true}\n",
		"roots":                "  pki: {crl: true, hierarchy: single}\n",
		"one root":             "  pki: {crl: true, hierarchy: shared}\n",
		"kubeadm, issuing CAs": "  pki: {crl: true, layout: kubeadm}\n",
		"kubeadm, roots":       "  pki: {crl: true, layout: kubeadm, hierarchy: single}\n",
		"k3s":                  "  pki: {crl: true, layout: k3s, hierarchy: single}\n",
	}
}

// copyBundle copies a bundle of a store, with keys that only their owner can read.
func copyBundle(t *testing.T, dir string, b Bundle) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(filepath.Join(dir, b.Path))); err != nil {
		t.Fatal(err)
	}
	for _, l := range b.Leaves {
		if err := os.Chmod(filepath.Join(to, l.KeyFile), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// memberOf returns the bundle of etcd-0.
func memberOf(t *testing.T, c *cluster.Cluster) Bundle {
	t.Helper()
	b, _, found := NewPlan(c).Find("etcd-0")
	if !found {
		t.Fatal("the plan has no etcd-0")
	}
	return b
}

// Lists of a store are installed in every hierarchy, and a list of anybody else is not.
func TestInstallVerifiesLists(t *testing.T) {
	t.Parallel()
	for name, more := range listHierarchies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := specOf(t, 1, more)
			dir, foreign := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "foreign")
			issue(t, dir, c, testNow())
			issue(t, foreign, c, testNow())
			b := memberOf(t, c)
			good, strange := copyBundle(t, dir, b), copyBundle(t, foreign, b)
			target := t.TempDir()
			config := InstallConfig{Signed: good, Keys: good, Target: target, Now: testNow()}
			if _, err := InstallBundle(b, config, false); err != nil {
				t.Fatal(err)
			}
			for _, f := range b.CRLs {
				readCRL(t, filepath.Join(target, f.Name))
			}
			before := tree(t, target)
			list := b.CRLs[0]
			der := func(dir, name string) []byte {
				data, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				return data
			}
			for fault, tc := range map[string]struct {
				files map[string][]byte // by name; nil removes
				want  string
			}{
				"garbage":                   {map[string][]byte{list.Name: []byte("garbage")}, "is not a revocation list in DER"},
				"empty":                     {map[string][]byte{list.Name: {}}, "is not a revocation list in DER"},
				"PEM":                       {map[string][]byte{list.Name: crlFiles(der(good, list.Name))[1].Data}, "is not a revocation list in DER"},
				"something behind":          {map[string][]byte{list.Name: append(der(good, list.Name), 0)}, "revocation list"},
				"none":                      {map[string][]byte{list.Name: nil}, "is missing, but spec.pki.crl is true"},
				"another store's":           {map[string][]byte{list.Name: der(strange, list.Name)}, "has signed it, it is the list of"},
				"a changed one":             {map[string][]byte{list.Name: flipLast(der(good, list.Name))}, "has signed it, it is the list of"},
				"another store's, with all": {map[string][]byte{list.Name: der(strange, list.Name), list.SignerFile: derIfAny(t, strange, list.SignerFile)}, ""},
			} {
				bad := copyBundle(t, dir, b)
				for name, data := range tc.files {
					switch {
					case name == "":
						continue
					case data == nil:
						if err := os.Remove(filepath.Join(bad, name)); err != nil {
							t.Fatal(err)
						}
					default:
						if err := os.WriteFile(filepath.Join(bad, name), data, 0o600); err != nil {
							t.Fatal(err)
						}
					}
				}
				for _, dryRun := range []bool{true, false} {
					config.Signed = bad
					_, err := InstallBundle(b, config, dryRun)
					if err == nil || !strings.Contains(err.Error(), tc.want) {
						t.Errorf("%s, dry run %t: %v, want %q", fault, dryRun, err, tc.want)
					}
				}
				if err := b.CheckLists(bad); err == nil {
					t.Errorf("%s: CheckLists accepts it", fault)
				}
			}
			if diff := cmp.Diff(before, tree(t, target)); diff != "" {
				t.Errorf("the target changed:\n%s", diff)
			}
		})
	}
}

// flipLast changes the signature of a list.
func flipLast(der []byte) []byte {
	changed := append([]byte(nil), der...)
	changed[len(changed)-1] ^= 1
	return changed
}

// derIfAny returns the content of a file with a name, if it has one.
func derIfAny(t *testing.T, dir, name string) []byte {
	t.Helper()
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A client list is no peer list where the two have different signers.
func TestInstallRefusesTheOtherPortsList(t *testing.T) {
	t.Parallel()
	for name, more := range listHierarchies() {
		if name == "one root" {
			continue
		}
		dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, more)
		issue(t, dir, c, testNow())
		b := memberOf(t, c)
		bad := copyBundle(t, dir, b)
		for i, f := range b.CRLs {
			other := b.CRLs[1-i]
			for _, pair := range [][2]string{{f.Name, other.Name}, {f.SignerFile, other.SignerFile}} {
				if pair[0] == "" {
					continue
				}
				data, err := os.ReadFile(filepath.Join(dir, b.Path, pair[1]))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(bad, pair[0]), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		err := b.CheckLists(bad)
		for _, f := range b.CRLs {
			if err == nil || !strings.Contains(err.Error(), filepath.Join(bad, f.Name)) {
				t.Errorf("%s: %s: %v", name, f.Name, err)
			}
		}
	}
}

// An older list never replaces a newer one, and one with a certificate of its bundle is not installed.
func TestInstallNeverGoesBack(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 2, withCRL)
	issue(t, dir, c, testNow())
	b := memberOf(t, c)
	older := copyBundle(t, dir, b)
	if _, err := revokeErr(t, dir, c, Revocation{Which: "auditor", Reason: "keyCompromise", Current: true}, testNow()); err != nil {
		t.Fatal(err)
	}
	newer := copyBundle(t, dir, b)
	target := t.TempDir()
	config := InstallConfig{Signed: newer, Keys: newer, Target: target, Now: testNow()}
	if _, err := InstallBundle(b, config, false); err != nil {
		t.Fatal(err)
	}
	before := tree(t, target)
	config.Signed = older
	for _, config.NewTrust = range []bool{false, true} {
		if _, err := InstallBundle(b, config, false); err == nil || !strings.Contains(err.Error(), "what was revoked since would work again") {
			t.Errorf("an older list, new trust %t: %v", config.NewTrust, err)
		}
	}
	if diff := cmp.Diff(before, tree(t, target)); diff != "" {
		t.Errorf("the target changed:\n%s", diff)
	}
	// What etcd could not read is replaced; a missing list is, too.
	for _, content := range []string{"garbage", ""} {
		at := filepath.Join(target, b.CRLs[0].Name)
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		config.Signed, config.NewTrust = newer, false
		if _, err := InstallBundle(b, config, false); err != nil {
			t.Errorf("over %q: %v", content, err)
		}
		if len(readCRL(t, at).RevokedCertificateEntries) != 1 {
			t.Error("it is not the newer list")
		}
	}
	// The member's own certificate was revoked, and not replaced.
	if _, err := revokeErr(t, dir, c, Revocation{Which: "etcd-0/server", Reason: "superseded", Current: true}, testNow()); err != nil {
		t.Fatal(err)
	}
	config.Signed = copyBundle(t, dir, b)
	if _, err := InstallBundle(b, config, false); err == nil || !strings.Contains(err.Error(), "etcd-0/server: serial number") || !strings.Contains(err.Error(), "was revoked, as client.crl says") {
		t.Errorf("its own serial number: %v", err)
	}
	renew(t, dir, c, testNow(), Renewal{Due: true})
	config.Signed = copyBundle(t, dir, b)
	config.Keys = config.Signed
	if _, err := InstallBundle(b, config, false); err != nil {
		t.Error(err)
	}
}

// A list that the right CA signed is no list of ours without a number, and a leaf signs none.
func TestInstallRefusesListsOfTheWrongForm(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "  pki: {crl: true, hierarchy: single}\n")
	issue(t, dir, c, testNow())
	b := memberOf(t, c)
	server := b.Leaves[0]
	leaf := readChain(t, filepath.Join(dir, b.Path, server.CertFile))[0]
	key, err := ReadKey(filepath.Join(dir, b.Path, server.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(99), ThisUpdate: testNow(), NextUpdate: testNow().Add(time.Hour)}, asListSigner(leaf), key)
	if err != nil {
		t.Fatal(err)
	}
	bad := copyBundle(t, dir, b)
	if err := os.WriteFile(filepath.Join(bad, b.CRLs[0].Name), der, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.CheckLists(bad); err == nil || !strings.Contains(err.Error(), "no CA in ca.crt has signed it") {
		t.Errorf("signed by a leaf: %v", err)
	}
}

// A bundle of a version that wrote no signer's file is installed if one of its chains has the CA; with a
// renewal it gets the file.
func TestInstallBundlesOfBefore(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "    enableGRPCGateway: true\n"+withCRL)
	issue(t, dir, c, testNow())
	b := memberOf(t, c)
	former := copyBundle(t, dir, b)
	for _, f := range b.CRLs {
		for _, from := range []string{former, filepath.Join(dir, b.Path)} {
			if err := os.Remove(filepath.Join(from, f.SignerFile)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.CheckLists(former); err != nil {
		t.Errorf("the gateway's and the peer's chains have both CAs: %v", err)
	}
	found := false
	for _, f := range verify(t, dir, c, testNow()) {
		found = found || strings.Contains(f.Problem, "the CA that signs the list")
	}
	if !found {
		t.Error("verify does not say that the signer's file is missing")
	}
	renew(t, dir, c, testNow(), Renewal{Due: true})
	for _, f := range b.CRLs {
		readChain(t, filepath.Join(dir, b.Path, f.SignerFile))
	}
	for _, f := range verify(t, dir, c, testNow()) {
		if !strings.HasPrefix(f.Problem, "is a root's key in plain text") {
			t.Errorf("verify: %s: %s", f.Path, f.Problem)
		}
	}
}
