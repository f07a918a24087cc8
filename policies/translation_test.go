package policies_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// A rule of other software that takes connections past the rules of the spec is a difference, on the
// host of a member.
func TestTranslationDrift(t *testing.T) {
	t.Parallel()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
`))
	if err != nil {
		t.Fatal(err)
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	rewriting, err := nft.Parse([]byte(`{"nftables": [{"table": {"family": "ip", "name": "x"}},
		{"chain": {"family": "ip", "table": "x", "name": "p", "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}},
		{"rule": {"family": "ip", "table": "x", "chain": "p", "expr": [
			{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 2379}},
			{"mangle": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "value": "172.17.0.2"}}, {"notrack": null}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := policies.TranslationDrift("", i, i.NodeFilter("etcd-0"), rewriting); len(got) != 1 || got[0].What != "table ip x, chain p, rule 1" {
		t.Errorf("without state: %v", got)
	}
	for file, want := range map[string][]policies.Difference{
		"docker": nil, "firewalld": nil, "kube-proxy": nil, "kube-proxy-iptables": nil, "kube-proxy-ipvs": nil, "ufw": nil,
		"docker-bridges": {{
			What: "table ip docker-bridges, chain nat-prerouting-and-output, rule 1", Kind: policies.Extra,
			Live: `iifname != "docker0" tcp dport 2379 counter dnat to 172.17.0.2:2379 comment "DNAT"`,
		}},
		"docker-published": {{
			What: "table ip nat, chain DOCKER, rule 1", Kind: policies.Extra, Live: `iifname != "docker0" tcp dport 2379 counter xt target "DNAT"`,
		}},
	} {
		path := filepath.Join("nft", "testdata", file+".json")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		live, err := nft.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, policies.TranslationDrift("", i, i.NodeFilter("etcd-0"), live)); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		if got := policies.TranslationDrift("", i, i.NodeFilter("worker"), live); len(got) > 0 {
			t.Errorf("%s on another node: %v", file, got)
		}
		d := policies.Drift{Intent: i}
		found, err := d.Compare(&policies.Reader{}, []string{"etcd-0=" + path})
		if err != nil || len(found) != 1+len(want) { // and the whole table of the spec is missing
			t.Errorf("%s: %v %v", file, found, err)
		}
	}
}
