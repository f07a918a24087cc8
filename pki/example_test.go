package pki_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

const spec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.11]}]
`

// The whole PKI of a cluster is one table.
func ExampleNewPlan() {
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		fmt.Println(err)
		return
	}
	plan := pki.NewPlan(c)
	for _, a := range plan.Authorities {
		fmt.Println(a.Path())
	}
	_, leaves, _ := plan.Find("etcd-0")
	for _, l := range leaves {
		fmt.Println(l.Name, "is signed by", l.Issuer)
	}
	// Output:
	// authorities/client-root
	// authorities/server-issuing
	// authorities/client-issuing
	// authorities/peer-root
	// authorities/peer-issuing
	// etcd-0/server is signed by server-issuing
	// etcd-0/peer is signed by peer-issuing
}

// Apply issues missing certificates and keeps existing ones. Verify finds faults: in a new store, the
// keys of the roots are in plain text.
func ExampleStore_Apply() {
	if err := issueAndVerify(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// issued 10 certificates
	// issued 0 certificates, kept 10
	// authorities/client-root/ca.key: is a root's key in plain text; only making or renewing a CA needs it
	// authorities/peer-root/ca.key: is a root's key in plain text; only making or renewing a CA needs it
}

func issueAndVerify() error {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(parent) }() // a temporary folder
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		return err
	}
	store, err := pki.OpenStore(filepath.Join(parent, "store"), c)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, config := context.Background(), pki.IssueConfig{Now: time.Now()}
	first, err := store.Apply(ctx, c, pki.Change{}, config)
	if err != nil {
		return err
	}
	fmt.Printf("issued %d certificates\n", first.Count(pki.ActionIssue))
	again, err := store.Apply(ctx, c, pki.Change{}, config)
	if err != nil {
		return err
	}
	fmt.Printf("issued %d certificates, kept %d\n", again.Count(pki.ActionIssue), again.Count(pki.ActionKeep))
	found, err := store.Verify(c, config.Now)
	for _, f := range found {
		fmt.Printf("%s: %s\n", f.Path, f.Problem)
	}
	return err
}
