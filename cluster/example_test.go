package cluster_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

const spec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod-eu1}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, etcd-0.example.internal]}
      - {name: etcd-1, addresses: [10.0.0.12]}
      - {name: etcd-2, addresses: [10.0.0.13]}
`

// Read loads a spec strictly. Settings that the spec does not have get a default.
func ExampleRead() {
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range c.Etcd.Members {
		fmt.Printf("%s is at https://%s:%d\n", m.Name, m.Advertised(), c.Etcd.ClientPort)
	}
	for _, client := range c.Clients {
		fmt.Printf("client %s, role %s\n", client.Name, client.Role)
	}
	// Output:
	// etcd-0 is at https://10.0.0.11:2379
	// etcd-1 is at https://10.0.0.12:2379
	// etcd-2 is at https://10.0.0.13:2379
	// client kube-apiserver, role kubernetes
	// client healthcheck, role healthcheck
	// client auditor, role auditor
}

// Read reports every fault of a spec at once, with its line and field.
func ExampleRead_faults() {
	broken := strings.Replace(spec, "10.0.0.12", "10.0.0.13", 1)
	broken = strings.Replace(broken, "prod-eu1", "Prod EU1", 1)
	_, err := cluster.Read("cluster.yaml", strings.NewReader(broken))
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		fmt.Println(err)
		return
	}
	fmt.Println(len(joined.Unwrap()), "faults")
	// Output: 2 faults
}
