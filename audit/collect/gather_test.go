package collect

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
)

const gatheredSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, etcd-0.example.internal]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.21]}
`

func TestSpecEndpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	writeFile(t, path, gatheredSpec)
	c, err := cluster.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"10.0.0.11", "etcd-0.example.internal"}
	for _, minTLS := range []uint16{0, tls.VersionTLS13} {
		of := minTLS
		if of == 0 {
			of = c.Etcd.TLSMinVersion
		}
		want := []Endpoint{
			{Address: "10.0.0.11:2379", Kind: audit.Client, ExpectedNames: names, MinTLSVersion: of, ClusterName: "prod"},
			{Address: "10.0.0.11:2380", Kind: audit.Peer, ExpectedNames: names, MinTLSVersion: of, ClusterName: "prod"},
			{Address: "10.0.0.11:2381", Kind: audit.Metrics, ExpectedNames: names, MinTLSVersion: of, ClusterName: "prod"},
			{Address: "10.0.0.21:6443", Kind: audit.APIServer, ClusterName: "prod"},
		}
		if diff := cmp.Diff(want, SpecEndpoints(c, minTLS)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestGather(t *testing.T) {
	spec := []Endpoint{{Address: "10.0.0.11:2379", Kind: audit.Client, ClusterName: "prod"}}
	listed := []Endpoint{{Address: "10.0.0.12:2379", Kind: audit.Client}}
	got, err := Gather(spec, listed, []Given{
		{Kind: audit.Client, Written: []string{"https://10.0.0.13:2379"}},
		{Kind: audit.Peer, Origin: "--peer: ", Written: []string{"10.0.0.13:2380"}},
	}, 3)
	want := []Endpoint{
		{Address: "10.0.0.11:2379", Kind: audit.Client, ClusterName: "prod"},
		{Address: "10.0.0.12:2379", Kind: audit.Client, MinTLSVersion: 3},
		{Address: "10.0.0.13:2379", Kind: audit.Client, MinTLSVersion: 3},
		{Address: "10.0.0.13:2380", Kind: audit.Peer, MinTLSVersion: 3},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// All faults at once.
	_, err = Gather(spec, spec, []Given{{Kind: audit.Peer, Origin: "--peer: ", Written: []string{"10.0.0.11:2379", "nonsense"}}}, 0)
	if err == nil {
		t.Fatal("faults are accepted")
	}
	for _, part := range []string{"--targets: 10.0.0.11:2379 is also in the spec", `--peer: endpoint "10.0.0.11:2379": 10.0.0.11:2379 is listed twice`, `--peer: endpoint "nonsense"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %q in it", err, part)
		}
	}
}

func TestParseTLSVersion(t *testing.T) {
	for written, want := range map[string]uint16{"": 0, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		if got, err := ParseTLSVersion(written); err != nil || got != want {
			t.Errorf("%q: %x, %v", written, got, err)
		}
	}
	for _, written := range []string{"1.1", "TLS1.3", "13"} {
		if _, err := ParseTLSVersion(written); err == nil {
			t.Errorf("%q is accepted", written)
		}
	}
}

func TestParseShard(t *testing.T) {
	if got, err := ParseShard("7/8"); err != nil || got != (audit.Shard{Index: 7, Count: 8}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, written := range []string{"", "3", "8/8", "-1/8", "0/0", "a/b", "0/100001", "0/8/8", "+1/8"} {
		if got, err := ParseShard(written); err == nil {
			t.Errorf("%q is read as %+v", written, got)
		}
	}
}

// Whose snapshots those of a folder are is only told where there is one cluster.
func TestClusters(t *testing.T) {
	now := time.Unix(1, 0)
	listener := func(id uint64) *audit.Listener {
		return &audit.Listener{Address: "a:2379", Kind: audit.Client, ClusterID: id}
	}
	interrupted := listener(0)
	interrupted.Reach = audit.Attempt{State: audit.Unclear, Cause: audit.WasInterrupt, Reason: audit.Interrupted}
	dir := t.TempDir()
	for _, c := range []struct {
		name      string
		listeners []*audit.Listener
		dir       string
		clusters  int
		snapshots string // why they are of no use; "-" where they are looked at
	}{
		{"nothing", nil, "", 0, ""},
		{"one that does not tell", []*audit.Listener{listener(0)}, "", 1, ""},
		{"two that do not tell", []*audit.Listener{listener(0), listener(0)}, "", 0, ""},
		{"snapshots alone", nil, dir, 1, "-"},
		{"one", []*audit.Listener{listener(1)}, dir, 1, "-"},
		{"two", []*audit.Listener{listener(1), listener(2)}, dir, 2, "several were audited"},
		{"interrupted", []*audit.Listener{interrupted}, "", 1, ""},
	} {
		got := Clusters(t.Context(), c.listeners, c.dir, time.Hour, now)
		if len(got) != c.clusters {
			t.Errorf("%s: %d clusters", c.name, len(got))
		}
		for _, target := range got {
			s := target.Snapshots
			switch {
			case c.snapshots == "" && s != nil, c.snapshots != "" && s == nil, c.snapshots == "-" && s != nil && s.Reason != "":
				t.Errorf("%s: %+v", c.name, s)
			case c.snapshots != "" && c.snapshots != "-" && !strings.Contains(s.Reason, c.snapshots):
				t.Errorf("%s: %q", c.name, s.Reason)
			}
			if c.name == "interrupted" && (!target.Interrupted || target.Listeners != nil) {
				t.Errorf("%+v", target)
			}
		}
	}
}
