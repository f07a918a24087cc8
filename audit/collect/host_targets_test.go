package collect

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect/host"
)

func TestHostTargets(t *testing.T) {
	running := &audit.Settings{Host: "cp-0", Origin: "pod etcd", Running: true}
	stopped := &audit.Settings{Host: "cp-0", Origin: "unit etcd.service"}
	now := time.Unix(1, 0)
	h := &host.Host{
		Name:  "cp-0",
		Etcds: []*audit.Settings{running, stopped},
		Listeners: []host.Listener{
			{Address: "10.0.0.11:2379", Kind: audit.Client, Names: []string{"etcd-0"}, Of: running},
			{Address: "10.0.0.11:2380", Kind: audit.Peer, Of: running},
			{Address: "10.0.0.12:2379", Kind: audit.Client, Of: stopped},
			{Address: "10.0.0.11:6443", Kind: audit.APIServer},
		},
	}
	given := Endpoint{Address: "10.0.0.11:2380", Kind: audit.Peer, ClusterName: "prod"}
	configs := []string{"cp-0:pod etcd", "cp-0:unit etcd.service"}
	withSettings := given
	withSettings.Settings = running
	client := Endpoint{Address: "10.0.0.11:2379", Kind: audit.Client, ExpectedNames: []string{"etcd-0"}, MinTLSVersion: 3, Settings: running}
	for name, c := range map[string]struct {
		mounted bool
		want    []Endpoint
	}{
		"this machine": {false, []Endpoint{
			withSettings, client,
			{Address: "10.0.0.12:2379", Kind: audit.Client, MinTLSVersion: 3, Settings: stopped},
			{Address: "10.0.0.11:6443", Kind: audit.APIServer, MinTLSVersion: 3},
		}},
		// What the files of another machine tell may be at the address of one that runs.
		"a mounted one": {true, []Endpoint{withSettings, client}},
	} {
		before := []Endpoint{given}
		found := HostTargets(h, HostConfig{Given: before, Mounted: c.mounted, MinTLSVersion: 3, Now: now})
		if diff := cmp.Diff(c.want, found.Endpoints); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if before[0].Settings != nil {
			t.Errorf("%s: the given endpoints were changed", name)
		}
		var got []string
		for _, target := range found.Settings {
			got = append(got, target.Address)
			if target.Now != now || target.MinTLSVersion != 3 {
				t.Errorf("%s: %+v", name, target)
			}
		}
		if diff := cmp.Diff(configs, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The settings of an API server are judged alone where no etcd is beside it.
func TestHostTargetsWithoutEtcd(t *testing.T) {
	h := &host.Host{Name: "cp-0", APIServer: &audit.Settings{Host: "cp-0", Origin: "pod kube-apiserver"}}
	if found := HostTargets(h, HostConfig{}); len(found.Settings) != 1 || found.Settings[0].Address != "cp-0:pod kube-apiserver" {
		t.Errorf("got %+v", found)
	}
}

// What was found and not looked at is a target of which nothing is known: a file, and a listener of
// an etcd that runs. Of one that does not run there is no listener.
func TestHostTargetsNotLookedAt(t *testing.T) {
	const file, socket = "/etc/kubernetes/manifests/etcd.yaml", "unix:///run/etcd.sock"
	running, stopped := &audit.Settings{Host: "cp-0", Running: true}, &audit.Settings{Host: "cp-0"}
	h := &host.Host{
		Name:      "cp-0",
		APIServer: &audit.Settings{Host: "cp-0", Program: "kube-apiserver", Origin: "pod kube-apiserver"},
		Missed:    []audit.Fault{{Subject: file, Reason: "permission denied"}},
		Unreached: []host.Unreached{
			{URL: socket, Kind: audit.Client, Reason: "a socket", Of: running},
			{URL: socket, Kind: audit.Client, Reason: "a socket", Of: stopped},
		},
	}
	found := HostTargets(h, HostConfig{})
	if len(found.Unseen) != 1 || found.Unseen[0].Address != "cp-0:"+socket || found.Unseen[0].Settings != running {
		t.Fatalf("got %+v", found.Unseen)
	}
	verdicts := map[string]map[audit.Verdict]int{}
	for _, r := range audit.Run(catalog.All(), slices.Concat(audit.Targets(found.Settings), audit.Targets(found.Unseen))).Results {
		if verdicts[r.Target] == nil {
			verdicts[r.Target] = map[audit.Verdict]int{}
		}
		verdicts[r.Target][r.Verdict]++
	}
	for address, reason := range map[string]string{"cp-0:" + file: "permission denied", "cp-0:" + socket: "a socket"} {
		if seen := verdicts[address]; len(seen) != 1 || seen[audit.Unknown] < 15 {
			t.Errorf("%s: %v, want unknown alone: %s", address, seen, reason)
		}
	}
}
