package policies_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Objects for another cluster of etcd in the same cluster of Kubernetes are no drift. Those that were made
// before objects named their cluster are extra, as they were, and host endpoints without it are changed.
func TestDriftOfSeveralClusters(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"stacked/calico.yaml", "hosted/networkpolicy.yaml", "stacked/cilium.yaml"} {
		own := read(t, file)
		other := func(label string) kube.Objects {
			text := strings.NewReplacer(
				"etcdsec.dev/cluster: prod\n", label+"\n", "name: prod-etcd", "name: other-etcd", "name: cp-", "name: other-cp-",
			).Replace(golden(t, file))
			o, err := kube.Decode(file, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			o.Add(own)
			return o
		}
		if found := policies.ObjectDrift(own, other("etcdsec.dev/cluster: other")); len(found) > 0 {
			t.Errorf("%s: beside another cluster: %v", file, found)
		}
		if found := policies.ObjectDrift(own, other("x: other")); len(found) == 0 || found[0].Kind != policies.Extra {
			t.Errorf("%s: beside what names no cluster: %v", file, found)
		}
	}
}

func golden(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
