package audit_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// What a socket of a running etcd answers is a verdict, as of a port. A unix:// socket answers without TLS
// and without a certificate, whatever the flags for both are; a unixs:// socket wants both.
func TestAuditSocket(t *testing.T) {
	t.Parallel()
	m := clitest.StartHostMember(t, "--listen-client-urls=https://CLIENT,unix://DIR/open,unixs://DIR/closed")
	status, stdout, stderr := clitest.Run(t, "audit", "run", "--root", m.Root, "--timeout", "1m", "-o", "json")
	var report audit.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("exit status %d, %v: %s", status, err, stderr)
	}
	const open, closed = "unix:///srv/etcd/open", "unixs:///srv/etcd/closed"
	seen := map[string]map[string]string{}
	for _, r := range report.Results {
		if seen[r.Target] == nil {
			seen[r.Target] = map[string]string{}
		}
		seen[r.Target][r.CheckID] = strings.TrimSuffix(string(r.Verdict)+" "+strings.Join(r.Codes, ","), " ")
		if !strings.HasPrefix(r.Target, "unix") {
			continue
		}
		if r.Host != "cp-0" {
			t.Errorf("%s of %s is on the host %q", r.CheckID, r.Target, r.Host)
		}
		if r.Verdict == audit.Unknown {
			t.Errorf("%s of %s: %s", r.CheckID, r.Target, r.Evidence)
		}
	}
	for target, want := range map[string]map[string]string{
		open: {
			"client-plaintext": "fail h2c,http1", "client-anonymous-read": "fail h2c", "client-cert-required": "fail plaintext",
			"metrics-exposed": "fail client", "browser-reachable": "skip", "intent-vs-reality": "fail client-cert-open,tls-open", "cert-san-mismatch": "skip", "version-eol": "pass",
		},
		closed: {
			"client-plaintext": "pass", "client-anonymous-read": "pass", "client-cert-required": "pass", "client-foreign-ca": "pass",
			"metrics-exposed": "pass", "intent-vs-reality": "pass", "cert-san-mismatch": "skip", "member-url-plaintext": "pass",
		},
	} {
		for check, verdict := range want {
			if got := seen[target][check]; got != verdict {
				t.Errorf("%s of %s: %q, want %q", check, target, got, verdict)
			}
		}
	}
	if strings.Contains(stderr, "is not audited") {
		t.Error(stderr)
	}
	if !slices.ContainsFunc(report.Inventory.Listeners, func(l audit.InventoryListener) bool { return l.Target == open && l.Plaintext }) {
		t.Errorf("the inventory does not have %s: %+v", open, report.Inventory)
	}
}
