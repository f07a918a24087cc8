package reach_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// Prove that the rendered rules of nftables isolate etcd, and see who gets in without them.
func ExampleProve() {
	c, err := cluster.Read("cluster.yaml", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
  isolation: {podCIDRs: [10.244.0.0/16]}
`))
	if err != nil {
		log.Fatal(err)
	}
	intent, err := policies.NewIntent(c)
	if err != nil {
		log.Fatal(err)
	}
	filters, err := policies.RenderFilters(intent, policies.RenderOptions{})
	if err != nil {
		log.Fatal(err)
	}
	topology := reach.NewTopology(intent, kube.Objects{})
	place := audit.Place{SpecPath: "cluster.yaml"}
	fmt.Println("with the rules:", reach.Prove(intent, topology, filters, place).Holds)

	open := reach.Prove(intent, topology, policies.Filters{}, place)
	fmt.Println("without them:", open.Holds)
	for _, f := range open.Flows {
		if f.FromClass == reach.ClassOutside && f.Port == 2379 {
			fmt.Println(f.From, "reaches", f.To, "because", f.DecidedBy)
		}
	}
	fmt.Println(open.Violations[0].FixText)
	// Output:
	// with the rules: true
	// without them: false
	// outside (IPv4) reaches etcd-0 because nothing filters it
	// etcdsec policies render --backend nftables -f cluster.yaml   # and apply it beside what lets this pass
}
