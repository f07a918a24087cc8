package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every key usage that RFC 5280 allows a leaf is right, if TLS can use the key.
func TestKeyUsagesOfLeaves(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		usage x509.KeyUsage
		want  string
	}{
		"none":               {0, ""},
		"digitalSignature":   {x509.KeyUsageDigitalSignature, ""},
		"kubeadm's":          {x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ""},
		"openssl's usr_cert": {x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment, ""},
		"all of a leaf":      {x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageEncipherOnly, ""},
		"keyEncipherment":    {x509.KeyUsageKeyEncipherment, "without digitalSignature"},
		"keyCertSign":        {x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, "the key usage of a CA"},
		"cRLSign":            {x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign, "the key usage of a CA"},
	}
	ca := newHandMade(t, nil, nil, nil)
	for name, tc := range cases {
		leaf := newHandMade(t, nil, ca, func(c *x509.Certificate) {
			c.IsCA, c.MaxPathLen, c.KeyUsage, c.ExtKeyUsage = false, 0, tc.usage, clientAuth
		})
		got := joinFaults(verifyContent(Leaf{CommonName: "etcd-ca", EKUs: clientAuth}, leaf.cert, leaf.cert.PublicKey))
		if got != "" && tc.want == "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// Name constraints are a set: their order is no difference, and neither is one that is there twice.
func TestOrderOfNameConstraints(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 3, "")
	issue(t, dir, c, testNow())
	a := NewPlan(c).authority(ServerIssuing)
	cert := readChain(t, filepath.Join(dir, a.Path(), caCertName))[0]
	if len(cert.PermittedIPRanges) < 3 || len(cert.PermittedDNSDomains) < 1 {
		t.Fatalf("too few constraints to turn round: %s", constraintNames(cert))
	}
	slices.Reverse(cert.PermittedIPRanges)
	slices.Reverse(cert.PermittedDNSDomains)
	cert.PermittedIPRanges = append(cert.PermittedIPRanges, cert.PermittedIPRanges[0])
	if faults := constraintDeviations(a, cert); len(faults) > 0 {
		t.Error(faults)
	}
	cert.PermittedIPRanges = cert.PermittedIPRanges[:1]
	if faults := constraintDeviations(a, cert); len(faults) != 1 {
		t.Errorf("constraints that lack a name: %v", faults)
	}
}

// An expired root has expired, and nothing else is said of it or of what is below it; and where the
// root is lost, its issuing CA is not blamed for it.
func TestNobodySaysThatARootDidNotSignItself(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, dir, c, testNow())
	offline(t, dir)
	later := testNow().AddDate(11, 0, 0)
	for _, row := range StoreStatus(dir, c, later) {
		if row.State != StateExpired {
			t.Errorf("%s is %s: %s", row.Name, row.State, row.Detail)
		}
	}
	for _, f := range verify(t, dir, c, later) {
		if strings.Contains(f.Problem, "signed") {
			t.Errorf("%s: %s", f.Path, f.Problem)
		}
	}
	if err := os.Remove(filepath.Join(dir, "authorities/client-root/ca.crt")); err != nil {
		t.Fatal(err)
	}
	for _, f := range verify(t, dir, c, testNow()) {
		if strings.Contains(f.Problem, "signed") {
			t.Errorf("without the root: %s: %s", f.Path, f.Problem)
		}
	}
	for _, row := range StoreStatus(dir, c, testNow()) {
		if strings.Contains(row.Detail, "signed") {
			t.Errorf("without the root: %s: %s", row.Name, row.Detail)
		}
	}
}

// Two roots of serial number 0, as k3s makes them, are no fault: nobody presents a root.
func TestRootsOfSerialZero(t *testing.T) {
	t.Parallel()
	zero := func(cn string) *handMade {
		return newHandMade(t, nil, nil, func(c *x509.Certificate) {
			c.SerialNumber, c.Subject.CommonName = big.NewInt(0), cn
			c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign
		})
	}
	server, peer := zero("etcd-server-ca@1771416044"), zero("etcd-peer-ca@1771416044")
	folder := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("server-ca.crt", encodeCertificates(server.cert))
	write("peer-ca.crt", encodeCertificates(peer.cert))
	write("server-ca.key", server.keyPEM())
	write("peer-ca.key", peer.keyPEM())
	for name, ca := range map[string]*handMade{"server-client": server, "peer-server-client": peer} {
		certPEM, keyPEM := ca.leaf("m0", nil, bothAuth...)
		write(name+".crt", certPEM)
		write(name+".key", keyPEM)
	}
	found, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, []MemberFolder{{"m0", folder}})
	if err != nil {
		t.Fatal(err)
	}
	now, store := time.Now(), filepath.Join(t.TempDir(), "store")
	if _, err := found.AdoptInto(store, now, false); err != nil {
		t.Fatal(err)
	}
	issue(t, store, found.Cluster, now)
	for _, f := range verify(t, store, found.Cluster, now) {
		if !strings.Contains(f.Problem, "is a root's key in plain text") {
			t.Errorf("%s: %s [%s]", f.Path, f.Problem, f.Fix)
		}
	}
	if rows := StoreStatus(store, found.Cluster, now); SerialString(rows[0].Chain[0].SerialNumber) != "00" {
		t.Errorf("serial number %q, want that of openssl", SerialString(rows[0].Chain[0].SerialNumber))
	}
}

// A member that left the spec has a folder still, and the finding says where; when the folder is gone,
// it says that too.
func TestVerifyNamesTheFolderOfAFormerMember(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "DIR of the store's")
	issue(t, dir, specOf(t, 3, "  clients: [{name: dir, role: backup}]\n"), testNow())
	offline(t, dir)
	c := specOf(t, 2, "")
	problems := func() string {
		var b strings.Builder
		for _, f := range verify(t, dir, c, testNow()) {
			fmt.Fprintf(&b, "%s: %s\n", f.Path, f.Problem)
			for _, line := range f.Fix {
				if line.Paste && !strings.Contains(line.Text, " > ") {
					checkWords(t, line.Text, dir)
				}
			}
		}
		return b.String()
	}
	got := problems()
	for _, want := range []string{"nodes/etcd-2/pki: is not in the spec any more, but holds etcd-2/server with serial number", "clients/dir: is not in the spec any more, but holds clients/dir"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "is not on disk") {
		t.Errorf("it is on disk:\n%s", got)
	}
	for _, gone := range []string{"nodes/etcd-2", "clients/dir"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	if got := problems(); !strings.Contains(got, "ledger.jsonl: etcd-2/server with serial number") || !strings.Contains(got, "but is not on disk") {
		t.Errorf("with the folder gone:\n%s", got)
	}
}

// checkWords lets a shell take a line apart, and wants each path of the store to be one word of it.
func checkWords(t testing.TB, line, dir string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", "set -- "+line+"\nprintf '%s\\n' \"$@\"").Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	paths := 0
	for word := range bytes.Lines(out) {
		if strings.HasPrefix(strings.TrimSuffix(string(word), "\n"), dir) {
			paths++
		}
	}
	if paths != strings.Count(line, "DIR") {
		t.Errorf("%d of the paths are words: %s", paths, line)
	}
}
