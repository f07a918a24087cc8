package report_test

import (
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// check ends on every target as its outcomes say, by address.
func check(id string, severity audit.Severity, kind audit.Kind, outcomes map[string]audit.Outcome) audit.Check {
	return audit.Check{
		ID: id, Title: "Title of " + id, Severity: severity,
		Rationale: "Why " + id + " matters to whoever runs the cluster, in a sentence that is long enough to be broken into two lines of a terminal.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Say so in a sentence, then paste:"),
				audit.Paste("--a-flag=%s --another-flag-that-makes-the-line-very-long=so-that-it-would-be-broken-if-it-were-prose", id),
			}
		},
		References: []string{"NIST 800-53 SC-8", "STIG V-242428"},
		Applies: func(t audit.Target) bool {
			_, of := t.Identity()
			return of == kind
		},
		Run: func(t audit.Target) audit.Outcome {
			address, _ := t.Identity()
			return outcomes[address]
		},
	}
}

// audited is when the audits of the reports ended.
var audited = time.Date(2026, 11, 20, 12, 0, 0, 150_000_000, time.UTC)

func stamped(r audit.Report) audit.Report {
	r.Tool = audit.Tool{Name: "etcdsec", Version: "v0.1.0"}
	r.StartedAt, r.FinishedAt = audited.Add(-150*time.Millisecond), audited
	return r
}

func reports() map[string]audit.Report {
	const healthy, bad, down, peer = "10.0.0.11:2379", "10.0.0.12:2379", "10.0.0.13:2379", "10.0.0.11:2380"
	pass := audit.Passed("seen in order")
	refused := audit.CouldNotTell("the port was not reached: connection refused")
	checks := []audit.Check{
		check("first", audit.Medium, audit.Client, map[string]audit.Outcome{healthy: pass, bad: audit.Failed(audit.Finding{Code: "b", Text: "seen b"}, audit.Finding{Code: "a", Text: "seen a"}), down: refused}),
		check("second", audit.Critical, audit.Client, map[string]audit.Outcome{healthy: pass, bad: audit.Failed(audit.Finding{Code: "c", Text: "seen c <&>"}), down: refused}),
		check("third", audit.High, audit.Client, map[string]audit.Outcome{healthy: audit.Skipped("no TLS"), bad: audit.CouldNotTell("no answer within 3s"), down: refused}),
		check("fourth", audit.High, audit.Peer, map[string]audit.Outcome{peer: pass}),
	}
	targets := func(addresses ...string) []audit.Target {
		all := []audit.Target{&audit.Listener{Address: peer, Kind: audit.Peer}}
		for _, address := range addresses {
			all = append(all, &audit.Listener{Address: address, Kind: audit.Client})
		}
		return all
	}
	return map[string]audit.Report{
		"clean":    stamped(audit.Run(checks, targets(healthy))),
		"findings": stamped(audit.Run(checks, targets(healthy, down, bad))),
		"empty":    stamped(audit.Run(checks, nil)),
		"cluster":  stamped(cluster()),
		"hostile":  stamped(hostile(hostileText)),
	}
}

// cluster is a report on three members with something of everything.
func cluster() audit.Report {
	hosts := []string{"10.0.0.11", "10.0.0.12", "10.0.0.13"}
	const clientPort, peerPort, metricsPort = ":2379", ":2380", ":2381"
	pass := audit.Passed("seen in order")
	all := func(port string, o audit.Outcome) map[string]audit.Outcome {
		outcomes := map[string]audit.Outcome{}
		for _, host := range hosts {
			outcomes[host+port] = o
		}
		return outcomes
	}
	foreign := all(clientPort, audit.Failed(audit.Finding{Code: "x", Text: "a certificate of a foreign CA was let in"}))
	foreign[hosts[0]+clientPort] = pass
	checks := []audit.Check{
		check("client-foreign-ca", audit.Critical, audit.Client, foreign),
		check("cert-expiry", audit.High, audit.Client, all(clientPort, audit.Failed(audit.Finding{Code: "due", Text: "leaf \"CN=m\" has 12 of 90 days left"}))),
		check("peer-cert-required", audit.Critical, audit.Peer, all(peerPort, pass)),
		check("metrics-exposed", audit.Medium, audit.Metrics, all(metricsPort, audit.Failed(audit.Finding{Code: "m", Text: "GET /metrics got HTTP status 200"}))),
		check("unique-ca", audit.High, audit.Cluster, map[string]audit.Outcome{"cluster prod-eu1": audit.Failed(audit.Finding{Code: "same", Text: "client and peer ports trust the same CA"})}),
		check("data-dir-mode", audit.Medium, audit.Config, map[string]audit.Outcome{"cp-0:/etc/kubernetes/manifests/etcd.yaml": audit.CouldNotTell("stat /var/lib/etcd: permission denied")}),
	}
	var targets []audit.Target
	for _, host := range hosts {
		targets = append(targets, &audit.Listener{Address: host + clientPort, Kind: audit.Client}, &audit.Listener{Address: host + peerPort, Kind: audit.Peer}, &audit.Listener{Address: host + metricsPort, Kind: audit.Metrics})
	}
	targets = append(targets, &audit.EtcdCluster{Address: "cluster prod-eu1"}, &audit.HostSettings{Address: "cp-0:/etc/kubernetes/manifests/etcd.yaml"})
	r := audit.Run(checks, targets)
	for i := range r.Results {
		if r.Results[i].CheckID == "metrics-exposed" {
			waive(&r, i, "the network policy of ticket OPS-17 keeps everybody but the scrapers out")
		}
	}
	r.Inventory = audit.Inventory{Listeners: []audit.InventoryListener{}}
	for i, host := range hosts {
		serial := fmt.Sprintf("%x", 0xa0+i)
		r.Inventory.Listeners = append(r.Inventory.Listeners,
			listener(host+clientPort, audit.Client, "CN=client-root", served(0, "CN=etcd-"+serial, "CN=server-issuing", "c"+serial, -78, 12), served(1, "CN=server-issuing", "CN=client-root", "c1", -78, 287)),
			listener(host+peerPort, audit.Peer, "CN=client-root", served(0, "CN=peer-"+serial, "CN=peer-issuing,O=Example Operations", "d"+serial, -10, 80), served(1, "CN=peer-issuing,O=Example Operations", "CN=peer-root", "d1", -700, -3)),
			audit.InventoryListener{Target: host + metricsPort, Kind: audit.Metrics, Plaintext: true, AcceptedCAs: []string{}, Certificates: []audit.ServedCertificate{}},
		)
	}
	return r
}

func waive(r *audit.Report, i int, reason string) {
	r.Results[i].Waiver = &audit.Waiver{Reason: reason, Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)}
	r.Summary.Fail--
	r.Summary.Waived++
}

func listener(target string, kind audit.Kind, accepts string, chain ...audit.ServedCertificate) audit.InventoryListener {
	return audit.InventoryListener{
		Target: target, Kind: kind, Cluster: "cluster prod-eu1", Version: "3.6.16", TLS: true,
		RequestsCertificate: true, AcceptedCAs: []string{accepts}, Certificates: chain,
	}
}

// served lasts from some days before the audit to some days after it.
func served(position int, subject, issuer, id string, from, to int) audit.ServedCertificate {
	return audit.ServedCertificate{
		Position: position, Subject: subject, Issuer: issuer, SANs: []string{}, Serial: id, SHA256: id, Key: "ECDSA P-256",
		NotBefore: audited.AddDate(0, 0, from), NotAfter: audited.AddDate(0, 0, to), CA: position > 0,
	}
}

// hostileText is what a server, or whoever wrote a file, could put into a report.
const hostileText = "=cmd|' /C calc'!A0 \x1b[2J\x1b]8;;http://evil.example\x07 ]]> <script>alert(1)</script> <img src=x onerror=alert(1)> | a\nFAIL critical\n--flag\r\n`` `rm -rf` {{.}} ${x} @team [a](http://evil.example) \u202e\u0085\u2028 \xff\x00 &amp; \"quoted\" 'it' \\ --> # - *b* _c_ 日本"

// hostile has a hostile text wherever one can come from outside.
func hostile(text string) audit.Report {
	const target = "[fd00::1]:2379"
	checks := []audit.Check{
		check("fails", audit.Critical, audit.Client, map[string]audit.Outcome{target: {Verdict: audit.Fail, Findings: []audit.Finding{{Code: "x", Text: text}}, Remediation: audit.Remediation{audit.Say("As the server says:"), audit.Say("%s", text), audit.Paste("rm -- %s", text), {Text: text, Paste: true}}}}),
		check("unknown", audit.High, audit.Client, map[string]audit.Outcome{target: audit.CouldNotTell(text)}),
		check("passes", audit.High, audit.Client, map[string]audit.Outcome{target: audit.Passed(text)}),
		check("skips", audit.High, audit.Client, map[string]audit.Outcome{target: audit.Skipped(text)}),
		check("is-waived", audit.High, audit.Client, map[string]audit.Outcome{target: audit.Failed(audit.Finding{Code: "x", Text: text})}),
		check("of-a-host", audit.Low, audit.Config, map[string]audit.Outcome{text: audit.Failed(audit.Finding{Code: "x", Text: text})}),
	}
	r := audit.Run(checks, []audit.Target{&audit.Listener{Address: target, Kind: audit.Client}, &audit.HostSettings{Address: text}})
	for i := range r.Results {
		if r.Results[i].CheckID == "is-waived" {
			waive(&r, i, text)
		}
	}
	l := listener(target, audit.Client, text, served(0, "CN="+text, text, "1", -1, 80), served(1, text, "CN=root,O="+text, "2", -900, 900))
	l.Version, l.Cluster = text, text
	r.Inventory.Listeners = []audit.InventoryListener{l}
	return r
}
