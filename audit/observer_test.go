package audit_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// seenFrom is the report of a host on some targets of one check.
func seenFrom(host string, outcome audit.Outcome, targets ...audit.Target) audit.Report {
	for _, t := range targets {
		t.SetObserver(host)
	}
	return audit.Run([]audit.Check{{ID: "one", Severity: audit.High, Run: func(audit.Target) audit.Outcome { return outcome }}}, targets)
}

// An address that each host has for itself is told with the host, and no other one.
func TestHostOfTarget(t *testing.T) {
	listener := func(address string) audit.Target { return &audit.Listener{Address: address, Kind: audit.Client} }
	settings := &audit.Settings{Host: "cp-0", Origin: "/etc/etcd.yaml"}
	for _, c := range []struct {
		target audit.Target
		local  bool
	}{
		{listener("127.0.0.1:2379"), true}, {listener("127.8.9.1:2379"), true}, {listener("[::1]:2379"), true}, {listener("localhost:2379"), true},
		{listener("etcd.localhost:2379"), true}, {listener("[fe80::1%eth0]:2379"), true}, {listener("169.254.1.1:2379"), true}, {listener("0.0.0.0:2379"), true},
		{listener("[::ffff:127.0.0.1]:2379"), true},
		{listener("10.0.0.11:2379"), false}, {listener("[fd00::11]:2379"), false}, {listener("etcd-0.example:2379"), false}, {listener("localhost.example:2379"), false},
		{&audit.EtcdCluster{Address: "cluster prod"}, false}, {&audit.EtcdCluster{Address: "cluster of the given endpoints"}, true}, {&audit.EtcdCluster{Address: "cluster"}, true},
		{&audit.HostSettings{Address: "cp-0:/etc/etcd.yaml", Settings: settings}, false}, {&audit.HostSettings{Address: "/etc/etcd.yaml", Settings: settings}, true},
		{&audit.StoredData{Address: "/backup/a.db"}, true},
		{&audit.StoredData{Address: "https://127.0.0.1:2379", Endpoints: []string{"https://127.0.0.1:2379"}}, true},
		{&audit.StoredData{Address: "https://10.0.0.11:2379", Endpoints: []string{"https://10.0.0.11:2379"}}, false},
	} {
		r := seenFrom("cp-7", audit.Passed("x"), c.target)
		if got := r.Results[0].Host == "cp-7"; got != c.local {
			t.Errorf("%s has the host %q", r.Results[0].Target, r.Results[0].Host)
		}
	}
}

// Each host has its own 127.0.0.1: of two reports none is lost, and what is the same anywhere is kept once.
func TestMergeOfHosts(t *testing.T) {
	targets := func() []audit.Target {
		return []audit.Target{&audit.Listener{Address: "127.0.0.1:2379", Kind: audit.Client}, &audit.Listener{Address: "10.0.0.11:2379", Kind: audit.Client}}
	}
	for name, outcomes := range map[string][2]audit.Outcome{
		"equal": {audit.Passed("x"), audit.Passed("x")}, "unequal": {audit.Passed("x"), failed("y")},
	} {
		first, second := seenFrom("cp-0", outcomes[0], targets()...), seenFrom("cp-1", outcomes[1], targets()...)
		merged, conflicts := audit.Merge([]audit.Report{first, second, first})
		want, wantConflicts := 3, 0
		if name == "unequal" {
			want, wantConflicts = 4, 1 // 10.0.0.11 is seen in two ways
		}
		if len(merged.Results) != want || len(conflicts) != wantConflicts || len(merged.Inventory.Listeners) != 3 {
			t.Errorf("%s: %d results, %d ports, conflicts %+v", name, len(merged.Results), len(merged.Inventory.Listeners), conflicts)
		}
		if got := merged.Hosts(); !slices.Equal(got, []string{"cp-0", "cp-1"}) {
			t.Errorf("%s: hosts %q", name, got)
		}
		data, err := json.Marshal(merged)
		if err != nil {
			t.Fatal(err)
		}
		var read audit.Report
		if err := json.Unmarshal(data, &read); err != nil || !slices.Equal(read.Hosts(), merged.Hosts()) {
			t.Errorf("%s: read back as %q: %v", name, read.Hosts(), err)
		}
		if d := audit.Compare(merged, merged); d.Summary.New+d.Summary.Fixed+d.Summary.Changed+d.Summary.Unasked > 0 {
			t.Errorf("%s: differs from itself: %+v", name, d.Summary)
		}
	}
}

// A Job's Pod has another name each time: reports of one host each are compared as before.
func TestCompareOfOneHost(t *testing.T) {
	target := func() audit.Target { return &audit.Listener{Address: "127.0.0.1:2379", Kind: audit.Client} }
	d := audit.Compare(seenFrom("audit-x7k", failed("x"), target()), seenFrom("audit-p2q", failed("x"), target()))
	if d.Summary.Unchanged != 1 || len(d.Changes) != 1 {
		t.Errorf("got %+v", d)
	}
}
