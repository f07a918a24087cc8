package pki

import (
	"bytes"
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
