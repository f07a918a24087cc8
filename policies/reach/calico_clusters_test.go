package reach

import (
	"testing"

	"github.com/etcdsec/etcdsec/policies"
)

// The rendered policies select the host endpoints of their own cluster, and those that were made before they
// named it, but not those of another cluster of etcd.
func TestCalicoPoliciesSelectTheirCluster(t *testing.T) {
	t.Parallel()
	i := intent(t, "static-pod", masquerade)
	rendered, err := policies.Render(i, "calico", policies.RenderOptions{})
	if err != nil || len(rendered.Objects.CalicoPolicies) == 0 || len(rendered.Objects.HostEndpoints) == 0 {
		t.Fatalf("%+v: %v", rendered.Objects, err)
	}
	own := rendered.Objects.HostEndpoints[0].Metadata.Labels
	if own["etcdsec.dev/cluster"] != i.Cluster {
		t.Errorf("labels %v", own)
	}
	for _, p := range rendered.Objects.CalicoPolicies {
		s, err := newCalicoSelector(p.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		for cluster, want := range map[string]bool{i.Cluster: true, "": true, "another": false} {
			labels := func(key string) (string, bool) {
				if key == "etcdsec.dev/cluster" {
					return cluster, cluster != ""
				}
				v, ok := own[key]
				return v, ok
			}
			if got := s.matches(labels); got != want {
				t.Errorf("%s selects an endpoint of cluster %q: %t", p.Metadata.Name, cluster, got)
			}
		}
	}
}
