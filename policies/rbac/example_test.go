package rbac_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

// A plan says which user has which permissions, by the rules of the cluster's release of etcd.
func ExampleNewPlan() {
	spec := `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.11]}]
  clients: [{name: root, role: root}]
  rbac: {compaction: etcd}
`
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		log.Fatal(err)
	}
	plan, err := rbac.NewPlan(c, c.Etcd.Version, rbac.DefaultPrefix)
	if err != nil {
		log.Fatal(err)
	}
	for _, user := range plan.Users {
		fmt.Println(user.Name, user.Roles)
	}
	role, _ := plan.Role("kubernetes")
	for _, permission := range role.Permissions {
		fmt.Println(role.Name, permission)
	}
	request := rbac.Request{Method: rbac.Range, Reads: []rbac.KeyRange{rbac.Prefix("/registry/secrets/")}}
	fmt.Println("healthcheck reads Secrets:", plan.Rules.Allows(plan.Caller("healthcheck"), request))
	// Output:
	// kube-apiserver [kubernetes]
	// healthcheck [healthcheck]
	// auditor [auditor]
	// root [root]
	// kubernetes readwrite /registry/*
	// kubernetes readwrite compact_rev_key
	// healthcheck reads Secrets: false
}
