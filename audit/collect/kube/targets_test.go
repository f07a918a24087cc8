package kube_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/collect/kube"
)

// What a cluster shows is audited beside what was given, each address once. A listener that only a node
// reaches belongs to the settings of its etcd.
func TestTargets(t *testing.T) {
	t.Parallel()
	first, second := &audit.Settings{Origin: "first"}, &audit.Settings{Origin: "second"}
	found := kube.Found{
		Endpoints: []collect.Endpoint{{Kind: audit.Client, Address: "10.0.0.11:2379"}, {Kind: audit.Peer, Address: "10.0.0.11:2380"}},
		Settings:  []*audit.Settings{first, second},
		Unread:    []*audit.HostSettings{{Address: "unread"}},
		Unseen:    []*audit.Listener{audit.UnseenListener("cp-0:http://127.0.0.1:2381", audit.Metrics, "only the node reaches it")},
		Elsewhere: []kube.Elsewhere{{Fault: audit.Fault{Subject: "http://127.0.0.1:2381"}, Of: second}},
	}
	given := []collect.Endpoint{{Kind: audit.Client, Address: "10.0.0.11:2379", MinTLSVersion: tls.VersionTLS12}}
	got := found.Targets(given, tls.VersionTLS13, time.Now())
	if len(got.Endpoints) != 2 || got.Endpoints[0].MinTLSVersion != tls.VersionTLS12 || got.Endpoints[1].Address != "10.0.0.11:2380" || got.Endpoints[1].MinTLSVersion != tls.VersionTLS13 {
		t.Errorf("endpoints: %+v", got.Endpoints)
	}
	if len(given) != 1 || len(found.Unread) != 1 {
		t.Errorf("the arguments changed: %+v, %+v", given, found.Unread)
	}
	if len(got.Settings) != 3 || got.Settings[0].Address != "unread" || got.Settings[1].Settings != first || len(got.Settings[1].Elsewhere) != 0 || len(got.Settings[2].Elsewhere) != 1 {
		t.Errorf("settings: %+v", got.Settings)
	}
	if len(got.Unseen) != 1 {
		t.Errorf("unseen: %+v", got.Unseen)
	}
}
