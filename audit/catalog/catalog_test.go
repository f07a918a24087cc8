package catalog_test

import (
	"crypto/tls"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
)

func kinds() []audit.Kind {
	return append(audit.Listeners(), audit.APIServer, audit.Kubelet, audit.Cluster, audit.Config, audit.Data)
}

// targetOf returns a target of a kind of which nothing was observed. Only a listener is reached for.
func targetOf(kind audit.Kind, reach audit.Attempt) audit.Target {
	const address = "192.0.2.1:2379"
	switch kind {
	case audit.Cluster:
		return &audit.EtcdCluster{Address: address}
	case audit.Config:
		return &audit.HostSettings{Address: address}
	case audit.Data:
		return &audit.StoredData{Address: address}
	default:
		return &audit.Listener{Address: address, Kind: kind, Reach: reach}
	}
}

// Every check is complete: who reads its finding can act on it without this source.
func TestMetadata(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)
	paste := regexp.MustCompile(`(?m)^(--[a-z]|etcdsec |etcdctl |kubeadm |openssl |chmod |chown |etcd [0-9])`)
	checks := catalog.All()
	if len(checks) == 0 {
		t.Fatal("the catalog is empty")
	}
	seen := map[string]bool{}
	for _, c := range checks {
		t.Run(c.ID, func(t *testing.T) {
			if seen[c.ID] {
				t.Error("the ID is used twice")
			}
			seen[c.ID] = true
			if !kebab.MatchString(c.ID) {
				t.Error("the ID is not kebab-case")
			}
			if c.Severity.Rank() < 0 {
				t.Errorf("severity %q", c.Severity)
			}
			if c.Title == "" || len(c.Title) > 70 || strings.HasSuffix(c.Title, ".") {
				t.Errorf("title %q", c.Title)
			}
			for name, text := range map[string]string{"rationale": c.Rationale, "method": c.Method} {
				if len(text) < 40 || !strings.HasSuffix(text, ".") {
					t.Errorf("%s %q", name, text)
				}
			}
			remediation := c.Remediation(audit.Place{})
			checkPasting(t, remediation)
			checkPasting(t, c.Remediation(known))
			if !paste.MatchString(remediation.String()) {
				t.Errorf("no line to paste in %q", remediation)
			}
			for _, line := range remediation {
				if line.Text == "" || strings.Contains(line.Text, "%!") {
					t.Errorf("line %q", line.Text)
				}
			}
			if len(c.References) == 0 || !slices.ContainsFunc(c.References, func(r string) bool { return strings.HasPrefix(r, "NIST 800-53 ") }) {
				t.Errorf("references %q", c.References)
			}
			if c.Applies == nil || c.Run == nil {
				t.Fatal("it does not run")
			}
			// A check of the settings behind a listener applies only where they were read.
			if !slices.ContainsFunc(kinds(), func(k audit.Kind) bool {
				return c.Applies(targetOf(k, audit.Attempt{})) || c.Applies(&audit.Listener{Kind: k, Settings: &audit.Settings{}})
			}) {
				t.Error("it applies to no target")
			}
		})
	}
}

// A target of which nothing was observed passes nothing.
func TestNothingKnown(t *testing.T) {
	for _, kind := range kinds() {
		for state, reach := range map[string]audit.Attempt{
			"not tried": {},
			"timed out": {State: audit.Unclear, Reason: "no answer within 3s"},
		} {
			report := audit.Run(catalog.All(), []audit.Target{targetOf(kind, reach)})
			if len(report.Results) == 0 && slices.Contains(audit.Listeners(), kind) {
				t.Fatalf("%s: no result", kind)
			}
			for _, r := range report.Results {
				if r.CheckID == "snapshot-age" && r.Verdict == audit.Skip {
					continue // it asks about a folder that the caller may not have
				}
				if r.Verdict != audit.Unknown || r.Evidence == "" {
					t.Errorf("%s, %s: %s: %s %q", kind, state, r.CheckID, r.Verdict, r.Evidence)
				}
			}
		}
	}
}

// An answer that came too late shows nothing. What timed out passes no check, and skips only
// those that ask about what nobody gave.
func TestTimedOut(t *testing.T) {
	given := []string{
		"snapshot-age",        // a folder of snapshots
		"ca-unique",           // an API server or a kubelet
		"member-drift",        // another member
		"client-wrong-eku",    // a certificate to present
		"client-revoked-cert", // likewise
		"peer-wrong-san",      // likewise
	}
	slow := func(kind audit.Kind) *audit.Listener {
		target := &audit.Listener{
			Address: "192.0.2.1:2379", Kind: kind, Now: fixtureTime, Reach: answered, Settings: &audit.Settings{Program: "etcd"},
			Plaintext: audit.Page{Attempt: silent, Access: audit.InPlaintext, Path: "/version"},
		}
		for _, presented := range []audit.Identity{audit.NoCertificate, audit.GivenCertificate, audit.ForeignCA, audit.ForeignCASameName, audit.ExpiredForeign} {
			target.Handshakes = append(target.Handshakes, audit.Handshake{Attempt: silent, Presented: presented})
		}
		for _, access := range append(audit.Anonymous(), audit.WithCredentials) {
			for _, path := range []string{"/version", "/metrics", "/debug/pprof/", "/v3/kv/range"} {
				target.Pages = append(target.Pages, audit.Page{Attempt: silent, Access: access, Path: path})
			}
			for _, method := range []string{audit.RangeRPC, audit.StatusRPC, audit.MemberListRPC, audit.BadTokenRangeRPC} {
				target.RPCs = append(target.RPCs, audit.RPC{Attempt: silent, Access: access, Method: method})
			}
		}
		return target
	}
	plaintext := func(target *audit.Listener) {
		target.Plaintext.Attempt, target.Plaintext.Status = answered, 200
		target.Version, target.VersionFrom = "3.6.16", "GET /version in plaintext"
		target.Pages[0].Attempt, target.Pages[0].Status = answered, 200
	}
	overTLS := func(target *audit.Listener) {
		target.Handshakes[0] = audit.Handshake{Attempt: alert, Presented: audit.NoCertificate, SpokeTLS: true, Version: tls.VersionTLS13, CertificateRequested: true}
	}
	for name, c := range map[string]struct {
		change func(*audit.Listener)
		passes []string // what the one answer is enough for
	}{
		"everything":               {change: func(*audit.Listener) {}},
		"all but a plaintext page": {change: plaintext, passes: []string{"version-vulnerable", "version-eol", "version-skew"}},
		"all but a refusal over TLS": {change: overTLS, passes: []string{
			"client-cert-required", "client-anonymous-read", "peer-cert-required", "metrics-exposed", "grpc-proxy-exposed",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var listeners []*audit.Listener
			for _, kind := range append(audit.Listeners(), audit.APIServer, audit.Kubelet) {
				target := slow(kind)
				c.change(target)
				listeners = append(listeners, target)
			}
			cluster := &audit.EtcdCluster{Address: "cluster c", Now: fixtureTime, Listeners: slices.Clone(listeners)}
			report := audit.Run(catalog.All(), append(audit.Targets(listeners), cluster))
			if len(report.Results) < len(listeners) {
				t.Fatalf("%d results", len(report.Results))
			}
			for _, r := range report.Results {
				switch {
				case r.Verdict == audit.Pass && !slices.Contains(c.passes, r.CheckID):
					t.Errorf("%s %s passes: %s", r.Kind, r.CheckID, r.Evidence)
				case r.Verdict == audit.Skip && !slices.Contains(given, r.CheckID):
					t.Errorf("%s %s is skipped: %s", r.Kind, r.CheckID, r.Evidence)
				}
			}
		})
	}
}

// Every fixture gives its exact verdict and findings, and every check has both sides.
func TestFixtures(t *testing.T) {
	verdicts := map[string]map[audit.Verdict]bool{}
	for _, f := range fixtures(t) {
		t.Run(f.check+"/"+f.name, func(t *testing.T) {
			c, found := catalog.Find(f.check)
			if !found {
				t.Fatal("no such check")
			}
			if !c.Applies(f.target) {
				t.Fatal("the check does not apply to the fixture")
			}
			report := audit.Run([]audit.Check{c}, []audit.Target{f.target})
			r := report.Results[0]
			if r.Verdict != f.verdict || !slices.Equal(r.Codes, f.codes) {
				t.Errorf("got %s %q (%s), want %s %q", r.Verdict, r.Codes, r.Evidence, f.verdict, f.codes)
			}
			if r.Evidence == "" || !strings.Contains(r.Evidence, f.evidence) {
				t.Errorf("evidence %q, want %q in it", r.Evidence, f.evidence)
			}
			if f.severity != "" && r.Severity != f.severity {
				t.Errorf("severity %s, want %s", r.Severity, f.severity)
			}
			if (r.Verdict == audit.Fail) != (len(r.Codes) > 0) {
				t.Errorf("%s with the findings %q", r.Verdict, r.Codes)
			}
		})
		if verdicts[f.check] == nil {
			verdicts[f.check] = map[audit.Verdict]bool{}
		}
		verdicts[f.check][f.verdict] = true
	}
	for _, c := range catalog.All() {
		for _, v := range []audit.Verdict{audit.Pass, audit.Fail, audit.Unknown} {
			if !verdicts[c.ID][v] && (v == audit.Unknown || c.ID != "listener-unseen") { // it only tells what was not seen
				t.Errorf("%s has no fixture that ends in %s", c.ID, v)
			}
		}
	}
}

func TestNear(t *testing.T) {
	for typed, want := range map[string]string{
		"cert-expiri":        "cert-expiry",
		"client_plaintext":   "client-plaintext",
		"Debug-Exposed":      "debug-exposed",
		"expiry":             "cert-expiry",
		"version-vulnerabel": "version-vulnerable",
	} {
		if near := catalog.Near(typed); len(near) == 0 || near[0] != want {
			t.Errorf("%s: got %q, want %s first", typed, near, want)
		}
	}
	for _, typed := range []string{"", "zzz", strings.Repeat("client-", 1000)} {
		if near := catalog.Near(typed); len(near) > 0 {
			t.Errorf("%.20q: got %q", typed, near)
		}
	}
}
