package policies_test

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// Render one intent for a backend. A backend that would not isolate this etcd is refused.
func ExampleRender() {
	c, err := cluster.Read("cluster.yaml", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    runtime: systemd
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.21]}
  isolation: {podCIDRs: [10.244.0.0/16]}
`))
	if err != nil {
		log.Fatal(err)
	}
	intent, err := policies.NewIntent(c)
	if err != nil {
		log.Fatal(err)
	}
	rendered, err := policies.Render(intent, cluster.BackendSystemd, policies.RenderOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(string(rendered.Text)) {
		if line[0] != '#' {
			fmt.Fprint(os.Stdout, line)
		}
	}
	_, err = policies.Render(intent, cluster.BackendNetworkPolicy, policies.RenderOptions{})
	fmt.Println(strings.Split(err.Error(), ", ")[0])
	// Output:
	// [Service]
	// IPAddressDeny=any
	// IPAddressAllow=localhost
	// IPAddressAllow=10.0.0.11/32
	// IPAddressAllow=10.0.0.21/32
	// networkpolicy cannot isolate this etcd: its members are on the host network
}
