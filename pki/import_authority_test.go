package pki

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

const authoritySpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
`

func authorityCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(authoritySpec))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What names no member, authority or file is refused before anything is read.
func TestParseImports(t *testing.T) {
	t.Parallel()
	c := authorityCluster(t)
	folders, err := ParseMemberFolders([]string{"etcd-0=./a=b"}, c)
	if err != nil || len(folders) != 1 || folders[0] != (MemberFolder{"etcd-0", "./a=b"}) {
		t.Errorf("got %v, %v", folders, err)
	}
	if folders, err := ParseMemberFolders([]string{"m0=./a", "m1=./b"}, nil); err != nil || len(folders) != 2 {
		t.Errorf("without a spec: %v, %v", folders, err)
	}
	for _, bad := range []string{"etcd-0", "=./a", "etcd-0=", "etcd-9=./a"} {
		if _, err := ParseMemberFolders([]string{bad}, c); err == nil {
			t.Errorf("%s is accepted as a folder", bad)
		}
	}
	files, err := ParseAuthorityFiles([]string{"client-root=site=1.crt"}, c)
	if err != nil || len(files) != 1 || files[0] != (AuthorityFile{"client-root", "site=1.crt"}) {
		t.Errorf("got %v, %v", files, err)
	}
	if _, err := ParseAuthorityFiles([]string{"root=site.crt"}, c); err == nil || err.Error() != `"root=site.crt": the plan has no authority "root"` {
		t.Errorf("got %v", err)
	}
}

// A dry run tells what would be copied and writes nothing; a file with something other than one CA is
// refused.
func TestAdoptAuthorities(t *testing.T) {
	t.Parallel()
	c, now, dir := authorityCluster(t), time.Now(), t.TempDir()
	ca, err := throwaway.New(throwaway.Config{CommonName: "site CA", NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	one, two, store := filepath.Join(dir, "one.crt"), filepath.Join(dir, "two.crt"), filepath.Join(dir, "store")
	for path, data := range map[string][]byte{one: ca.CertPEM(), two: append(ca.CertPEM(), ca.CertPEM()...)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, dryRun := range []bool{true, false} {
		result, err := AdoptAuthorities(store, c, []AuthorityFile{{ClientRoot, one}}, now, dryRun)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := result.WriteText(&out); err != nil || out.String() != "client-root  CN=site CA\n" {
			t.Errorf("%v, got %q", err, out.String())
		}
		want := "copied 1 certificates into " + store
		if dryRun {
			want = "dry run: nothing was written in " + store
		}
		if result.Summary() != want {
			t.Errorf("got %q, want %q", result.Summary(), want)
		}
		if _, err := os.Stat(filepath.Join(store, "authorities", "client-root", "ca.crt")); (err == nil) == dryRun {
			t.Errorf("dry run %t: %v", dryRun, err)
		}
	}
	if _, err := AdoptAuthorities(store, c, []AuthorityFile{{PeerRoot, two}}, now, true); err == nil || !strings.Contains(err.Error(), "holds 2 certificates") {
		t.Errorf("got %v", err)
	}
}

// Requests are named by their paths; the keys stay where they are.
func TestRequestResult(t *testing.T) {
	t.Parallel()
	r := RequestResult{Dir: "new", Requests: []Request{{CSR: "server.csr"}, {CSR: "peer.csr"}}, Holder: "etcd-0"}
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil || out.String() != "new/server.csr\nnew/peer.csr\n" {
		t.Errorf("%v, got %q", err, out.String())
	}
	if want := "requests for etcd-0: give these files to the operator, and keep the keys on this node"; r.Summary() != want {
		t.Errorf("got %q", r.Summary())
	}
	r.DryRun = true
	if want := "dry run: nothing was written in new"; r.Summary() != want {
		t.Errorf("got %q", r.Summary())
	}
}

// adoptedFiles writes CAs to files, and returns a function that names them for the plan.
func adoptedFiles(t *testing.T, cas map[string]*throwaway.CA) func(pairs ...string) []AuthorityFile {
	t.Helper()
	dir := t.TempDir()
	for name, ca := range cas {
		if err := os.WriteFile(filepath.Join(dir, name), ca.CertPEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(pairs ...string) []AuthorityFile {
		var files []AuthorityFile
		for i := 0; i < len(pairs); i += 2 {
			files = append(files, AuthorityFile{pairs[i], filepath.Join(dir, pairs[i+1])})
		}
		return files
	}
}

// siteCAs are two roots of a site, what they signed, and CAs that are the wrong ones.
func siteCAs(t *testing.T, now time.Time) map[string]*throwaway.CA {
	t.Helper()
	config := func(name string) throwaway.Config {
		return throwaway.Config{CommonName: name, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0)}
	}
	cas := map[string]*throwaway.CA{}
	for _, name := range []string{"root", "peers", "alone"} {
		ca, err := throwaway.New(config(name))
		if err != nil {
			t.Fatal(err)
		}
		cas[name] = ca
	}
	for name, issuer := range map[string]string{"servers": "root", "clients": "root", "below peers": "peers"} {
		ca, err := cas[issuer].Issuing(config(name))
		if err != nil {
			t.Fatal(err)
		}
		cas[name] = ca
	}
	return cas
}

// What would leave a store that is insecure or stuck is refused, nothing is stored, and the right CAs are
// taken afterwards, also one command after the other.
func TestAdoptAuthoritiesRefuses(t *testing.T) {
	t.Parallel()
	c, now := authorityCluster(t), time.Now()
	files := adoptedFiles(t, siteCAs(t, now))
	for name, tc := range map[string]struct {
		before, give []AuthorityFile
		want         string
		missing      string // the issuer that the error names
	}{
		"one CA as both roots":                 {nil, files(ClientRoot, "root", PeerRoot, "root"), "client-root and peer-root are one CA, \"root\": with one CA for both, every client can join as a peer", ""},
		"one CA as both roots, in two runs":    {files(ClientRoot, "root"), files(PeerRoot, "root"), "client-root and peer-root are one CA", ""},
		"a root as its own issuing CA":         {nil, files(ClientRoot, "root", ServerIssuing, "root"), "each authority needs a key of its own", ""},
		"one issuing CA twice":                 {files(ClientRoot, "root"), files(ServerIssuing, "servers", ClientIssuing, "servers"), "server-issuing and client-issuing are one CA", ""},
		"a self-signed issuing CA":             {nil, files(ServerIssuing, "alone"), "server-issuing, \"CN=alone\", is signed by client-root in the plan, which the store does not have yet: give it too, as client-root=FILE", ClientRoot},
		"a self-signed issuing CA, with roots": {files(ClientRoot, "root"), files(ServerIssuing, "alone"), "is not signed by \"root\"", ""},
		"the other root's":                     {files(ClientRoot, "root", PeerRoot, "peers"), files(ServerIssuing, "below peers"), "is not signed by \"root\"", ""},
		"an issuing CA before its root":        {nil, files(ServerIssuing, "servers"), "the certificate itself names \"CN=root\" as its issuer", ClientRoot},
		"a peer issuing CA before its root":    {files(ClientRoot, "root"), files(PeerIssuing, "below peers"), "give it too, as peer-root=FILE", PeerRoot},
	} {
		dir := filepath.Join(t.TempDir(), "store")
		if tc.before != nil {
			if _, err := AdoptAuthorities(dir, c, tc.before, now, false); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := os.ReadDir(filepath.Join(dir, authoritiesFolder))
		ledger, _ := os.ReadFile(filepath.Join(dir, ledgerName))
		for _, dryRun := range []bool{true, false} {
			_, err := AdoptAuthorities(dir, c, tc.give, now, dryRun)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, dry run %t: %v, want %q", name, dryRun, err, tc.want)
			}
			missing, ok := errors.AsType[*MissingIssuerError](err)
			if ok != (tc.missing != "") || ok && missing.Issuer != tc.missing {
				t.Errorf("%s: the missing issuer is %+v, want %q", name, missing, tc.missing)
			}
		}
		after, _ := os.ReadDir(filepath.Join(dir, authoritiesFolder))
		if now, _ := os.ReadFile(filepath.Join(dir, ledgerName)); len(after) != len(before) || !bytes.Equal(now, ledger) {
			t.Errorf("%s: something was stored: %v", name, after)
		}
		if _, err := os.Stat(dir); tc.before == nil && err == nil {
			t.Errorf("%s: it made a folder", name)
		}
		for _, right := range [][]AuthorityFile{files(ClientRoot, "root"), files(PeerRoot, "peers"), files(ServerIssuing, "servers"), files(ClientIssuing, "clients"), files(PeerIssuing, "below peers")} {
			if _, err := AdoptAuthorities(dir, c, right, now, false); err != nil {
				t.Errorf("%s, then the right ones: %v", name, err)
			}
		}
	}
}

// An import adds to a store. It does not take members or clients from the spec of the store.
func TestImportKeepsTheMembersOfTheStore(t *testing.T) {
	t.Parallel()
	now := time.Now()
	files := adoptedFiles(t, siteCAs(t, now))
	dir := filepath.Join(t.TempDir(), "store")
	two := specOf(t, 2, "  clients: [{name: backup, role: backup}]\n")
	if _, err := AdoptAuthorities(dir, two, files(ClientRoot, "root"), now, false); err != nil {
		t.Fatal(err)
	}
	for _, dryRun := range []bool{true, false} {
		_, err := AdoptAuthorities(dir, specOf(t, 1, ""), files(PeerRoot, "peers"), now, dryRun)
		if err == nil || !strings.Contains(err.Error(), "cluster.yaml has member etcd-1, client backup, which the import does not have") {
			t.Errorf("dry run %t: %v", dryRun, err)
		}
	}
	if spec, err := os.ReadFile(filepath.Join(dir, SpecName)); err != nil || !bytes.Equal(spec, two.YAML) {
		t.Errorf("the spec changed: %v", err)
	}
	if _, err := AdoptAuthorities(dir, specOf(t, 3, "  clients: [{name: backup, role: backup}]\n"), files(PeerRoot, "peers"), now, false); err != nil {
		t.Errorf("a member more: %v", err)
	}
}
