package audit_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func checkOf(o audit.Outcome) audit.Check {
	return audit.Check{
		ID: "some-check", Severity: audit.High, Remediation: "the check's",
		Applies: audit.On(audit.Client),
		Run:     func(*audit.Target) audit.Outcome { return o },
	}
}

func resultOf(t *testing.T, address string, o audit.Outcome) audit.Result {
	t.Helper()
	report := audit.Run([]audit.Check{checkOf(o)}, []*audit.Target{{Address: address, Kind: audit.Client}})
	if len(report.Results) != 1 {
		t.Fatalf("%d results", len(report.Results))
	}
	return report.Results[0]
}

// A fingerprint is what a waiver and a diff hold on to: it follows the findings, not their words.
func TestFingerprint(t *testing.T) {
	const here, there = "a:1", "b:1"
	one, two := audit.Finding{Code: "one", Text: "x"}, audit.Finding{Code: "two", Text: "y"}
	reworded := audit.Finding{Code: "one", Text: "another day"}
	base := resultOf(t, here, audit.Failed(one, two)).Fingerprint
	if got := resultOf(t, here, audit.Failed(two, reworded)).Fingerprint; got != base {
		t.Error("the order or the words change it")
	}
	for name, other := range map[string]audit.Result{
		"target":   resultOf(t, there, audit.Failed(one, two)),
		"findings": resultOf(t, here, audit.Failed(one)),
		"pass":     resultOf(t, here, audit.Passed("x")),
	} {
		if other.Fingerprint == base {
			t.Errorf("another %s has the same", name)
		}
	}
}

func TestRun(t *testing.T) {
	peer := &audit.Target{Address: "p:1", Kind: audit.Peer}
	client := &audit.Target{Address: "c:1", Kind: audit.Client}
	passing, failing := checkOf(audit.Passed("x")), checkOf(audit.Failed(audit.Finding{Code: "c", Text: "y"}))
	failing.ID = "other-check"
	report := audit.Run([]audit.Check{failing, passing}, []*audit.Target{peer, client})
	var got []string
	for _, r := range report.Results {
		got = append(got, r.Target+" "+r.CheckID)
	}
	if len(got) != 2 || got[0] != "c:1 other-check" || got[1] != "c:1 some-check" {
		t.Errorf("got %q", got)
	}
	if want := (audit.Summary{Pass: 1, Fail: 1}); report.Summary != want {
		t.Errorf("got %+v", report.Summary)
	}
}

func TestRemediationOfTheOutcome(t *testing.T) {
	o := audit.Failed(audit.Finding{Code: "c", Text: "x"})
	if got := resultOf(t, "a:1", o).Remediation; got != "the check's" {
		t.Errorf("got %q", got)
	}
	o.Remediation = "more exactly"
	if got := resultOf(t, "a:1", o).Remediation; got != "more exactly" {
		t.Errorf("got %q", got)
	}
}

func TestRemediationHasTheAddress(t *testing.T) {
	o := audit.Failed(audit.Finding{Code: "c", Text: "x"})
	o.Remediation = "--listen-client-urls=https://ADDRESS:2379 --listen-peer-urls=https://ADDRESS:2380 of MEMBER_ADDRESS"
	want := "--listen-client-urls=https://[::1]:12379 --listen-peer-urls=https://[::1]:2380 of MEMBER_ADDRESS"
	if got := resultOf(t, "[::1]:12379", o).Remediation; got != want {
		t.Errorf("got %q", got)
	}
}

func TestRemediationHasTheAdvertisedAddress(t *testing.T) {
	const lines = "--a=https://ADDRESS:2379 --b=https://ADDRESS:2380 --c=ADDRESS of MEMBER_ADDRESS"
	for name, c := range map[string]struct{ client, peer, want string }{
		"both":             {"https://10.0.0.1:12379,https://10.0.0.2:2379", "https://10.0.0.1:12380", "--a=https://10.0.0.1:12379 --b=https://10.0.0.1:12380 --c=10.0.0.1 of MEMBER_ADDRESS"},
		"a name alone":     {"https://etcd-0.example.internal:2379", "", "--a=https://etcd-0.example.internal:2379 --b=https://etcd-0.example.internal:2380 --c=etcd-0.example.internal of MEMBER_ADDRESS"},
		"IPv6":             {"https://[fd00::1]:2379", "https://[fd00::1]:2380", "--a=https://[fd00::1]:2379 --b=https://[fd00::1]:2380 --c=[fd00::1] of MEMBER_ADDRESS"},
		"nobody's first":   {"https://0.0.0.0:2379,https://10.0.0.1:2379", "", "--a=https://10.0.0.1:2379 --b=https://10.0.0.1:2380 --c=10.0.0.1 of MEMBER_ADDRESS"},
		"none":             {"", "", lines},
		"a socket":         {"unix://etcd:1", "", lines},
		"nothing to paste": {"https://$(reboot):2379", "https://[fe80::1%25$(reboot)]:2380", lines},
	} {
		o := audit.Failed(audit.Finding{Code: "c", Text: "x"})
		o.Remediation = lines
		check := audit.Check{ID: "c", Applies: audit.On(audit.Config), Run: func(*audit.Target) audit.Outcome { return o }}
		settings := &audit.Settings{Values: map[string]audit.Setting{"advertise-client-urls": {Value: c.client}, "initial-advertise-peer-urls": {Value: c.peer}}}
		r := audit.Run([]audit.Check{check}, []*audit.Target{{Address: "cp-0:etcd.service", Kind: audit.Config, Settings: settings}})
		if got := r.Results[0].Remediation; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
