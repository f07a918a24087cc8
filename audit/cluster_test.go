package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

func TestClusters(t *testing.T) {
	client := func(address string, id uint64) *audit.Listener {
		return &audit.Listener{Address: address, Kind: audit.Client, ClusterID: id}
	}
	peer := func(address string) *audit.Listener { return &audit.Listener{Address: address, Kind: audit.Peer} }
	apiServer := func(address string) *audit.Listener { return &audit.Listener{Address: address, Kind: audit.APIServer} }
	kubelet := func(address string) *audit.Listener { return &audit.Listener{Address: address, Kind: audit.Kubelet} }
	named := func(address, name string) *audit.Listener {
		return &audit.Listener{Address: address, Kind: audit.Client, ClusterName: name, ClusterID: 7}
	}
	for name, c := range map[string]struct {
		targets []*audit.Listener
		want    map[string][]string
	}{
		"nothing":                          {nil, map[string][]string{}},
		"nothing known":                    {[]*audit.Listener{client("10.0.0.1:2379", 0), peer("10.0.0.1:2380")}, map[string][]string{}},
		"one by its ID":                    {[]*audit.Listener{peer("10.0.0.1:2380"), client("10.0.0.1:2379", 0xab), client("10.0.0.2:2379", 0xab)}, map[string][]string{"cluster ab": {"10.0.0.1:2380", "10.0.0.1:2379", "10.0.0.2:2379"}}},
		"two":                              {[]*audit.Listener{client("10.0.0.1:2379", 1), client("10.0.0.2:2379", 2)}, map[string][]string{"cluster 1": {"10.0.0.1:2379"}, "cluster 2": {"10.0.0.2:2379"}}},
		"two on a host":                    {[]*audit.Listener{client("10.0.0.1:2379", 1), client("10.0.0.1:3379", 2), peer("10.0.0.1:2380")}, map[string][]string{"cluster 1": {"10.0.0.1:2379"}, "cluster 2": {"10.0.0.1:3379"}}},
		"three listeners of two on a host": {[]*audit.Listener{client("10.0.0.1:2379", 1), client("10.0.0.1:3379", 2), client("10.0.0.1:4379", 1), peer("10.0.0.1:2380")}, map[string][]string{"cluster 1": {"10.0.0.1:2379", "10.0.0.1:4379"}, "cluster 2": {"10.0.0.1:3379"}}},
		"the spec's":                       {[]*audit.Listener{named("10.0.0.1:2379", "eu"), named("10.0.0.2:2379", "eu"), peer("10.0.0.1:2380")}, map[string][]string{"cluster eu": {"10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.1:2380"}}},
		"an API server of the only cluster": {[]*audit.Listener{client("10.0.0.1:2379", 0xab), client("10.0.0.2:2379", 0), apiServer("10.0.9.9:6443"), kubelet("10.0.9.9:10250")},
			map[string][]string{"cluster ab": {"10.0.0.1:2379", "10.0.9.9:6443", "10.0.9.9:10250"}}},
		"an API server before the only cluster": {[]*audit.Listener{apiServer("10.0.9.9:6443"), named("10.0.0.1:2379", "eu")}, map[string][]string{"cluster eu": {"10.0.9.9:6443", "10.0.0.1:2379"}}},
		"an API server of one of two": {[]*audit.Listener{client("10.0.0.1:2379", 1), client("10.0.0.2:2379", 2), apiServer("10.0.0.2:6443"), apiServer("10.0.9.9:6443")},
			map[string][]string{"cluster 1": {"10.0.0.1:2379"}, "cluster 2": {"10.0.0.2:2379", "10.0.0.2:6443"}}},
		"an API server beside what tells nothing": {[]*audit.Listener{client("10.0.0.1:2379", 0), peer("10.0.0.1:2380"), kubelet("10.0.9.9:10250")},
			map[string][]string{"cluster of the given endpoints": {"10.0.0.1:2379", "10.0.0.1:2380", "10.0.9.9:10250"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string][]string{}
			for _, cluster := range audit.Clusters(c.targets) {
				if _, kind := cluster.Identity(); kind != audit.Cluster {
					t.Errorf("kind %q", kind)
				}
				for _, listener := range cluster.Listeners {
					got[cluster.Address] = append(got[cluster.Address], listener.Address)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A cluster is called what any of its listeners tells, whichever came first.
func TestClusterIsNamed(t *testing.T) {
	clusters := audit.Clusters([]*audit.Listener{
		{Address: "10.0.0.9:6443", Kind: audit.APIServer},
		{Address: "10.0.0.1:2380", Kind: audit.Peer},
		{Address: "10.0.0.1:2379", Kind: audit.Client, ClusterName: "eu", ClusterID: 7},
	})
	if len(clusters) != 1 || clusters[0].Address != "cluster eu" || len(clusters[0].Listeners) != 3 {
		t.Errorf("got %+v", clusters)
	}
}

// A cluster of which a part was not observed is not judged by the rest.
func TestClustersInterrupted(t *testing.T) {
	targets := []*audit.Listener{
		{Address: "10.0.0.1:2379", Kind: audit.Client, ClusterID: 1},
		{Address: "10.0.0.2:2379", Kind: audit.Client, Reach: audit.Attempt{State: audit.Unclear, Cause: audit.WasInterrupt, Reason: audit.Interrupted}},
	}
	clusters := audit.Clusters(targets)
	if len(clusters) != 1 || clusters[0].Unreached() != audit.Interrupted || len(clusters[0].Listeners) > 0 {
		t.Errorf("got %+v", clusters)
	}
}
