package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// The API servers of a spec are asked at their secure port.
func TestAuditRunSpecAPIServers(t *testing.T) {
	spec := filepath.Join(t.TempDir(), "cluster.yaml")
	clitest.WriteFile(t, spec, []byte(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.21, cp-0.example.internal]}
    - {name: cp-1, addresses: [cp-1.example.internal]}
`))
	a := &app{stderr: io.Discard, now: time.Now}
	endpoints, err := a.auditEndpoints(auditRunFlags{spec: spec, kubelets: []string{"10.0.0.31:10250"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range endpoints {
		if !slices.Contains(audit.Listeners(), e.Kind) {
			got = append(got, fmt.Sprintf("%s %s %q", e.Kind, e.Address, e.ClusterName))
		}
	}
	want := []string{`apiserver 10.0.0.21:6443 "test"`, `apiserver cp-1.example.internal:6443 "test"`, `kubelet 10.0.0.31:10250 ""`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
