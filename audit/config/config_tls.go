package config

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// TLS finds settings with which etcd accepts old or weak TLS.
func TLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-tls",
		Title:    "etcd is configured to accept weak TLS",
		Severity: audit.Medium,
		Rationale: "Without a list of suites, etcd serves TLS 1.2 with Go's suites, which include CBC with SHA-1. A maximum of " +
			"TLS 1.2 excludes 1.3, which federal guidance requires (NIST 800-52r2) and post-quantum key exchange needs.",
		Method: "Reads the effective --tls-min-version, --tls-max-version and --cipher-suites. With a minimum of TLS 1.3, etcd " +
			"has no suites to choose from. The minimum is TLS 1.2, or the one in the spec or --min-tls.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Allow only TLS 1.3, which every client of etcd since 3.4 speaks, and restart the member:"),
				audit.Paste("--tls-min-version=TLS1.3"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 1.2.29", "STIG V-242378", "STIG V-242418", "NIST 800-52r2 3.1", "NIST 800-53 SC-8(1)", "NIST 800-53 SC-13"},
		Run: ofEtcd(func(t *audit.HostSettings, s *audit.Settings) audit.Outcome {
			o := ask(s, checkTLSVersions(t.MinTLSVersion), checkCipherSuites)
			if o.Verdict == audit.Pass && o.Evidence == "" {
				return audit.Skipped("no listener has TLS")
			}
			return withWorstSeverity(o, tlsSeverity)
		}),
	})
}

func tlsSeverity(code string) audit.Severity {
	if code == "default-suites" {
		return audit.Low
	}
	return audit.Medium
}

// servesTLS reports whether any listener has TLS. The metrics listener uses the client's TLS settings.
func servesTLS(r *reading) bool {
	return anyTLS(clientSide().listeners(r)) || anyTLS(peerSide().listeners(r)) ||
		anyTLS(parseListeners(r, "listen-metrics-urls", r.value("listen-metrics-urls")))
}

// tlsVersion returns the version in a flag, by etcd's names (client/pkg/tlsutil/versions.go), or
// standard if it is not set. Every release that has the flags starts at TLS 1.2.
func (r *reading) tlsVersion(flag string, standard uint16) uint16 {
	switch value := r.value(flag); value {
	case "":
		return standard
	case "TLS1.2":
		return tls.VersionTLS12
	case "TLS1.3":
		return tls.VersionTLS13
	default:
		r.addDoubt(fmt.Sprintf("--%s: etcd does not know the version %q", flag, value))
		return standard
	}
}

func lowestTLS(r *reading) uint16 { return r.tlsVersion("tls-min-version", tls.VersionTLS12) }

func checkTLSVersions(wanted uint16) func(*reading) {
	return func(r *reading) {
		if !servesTLS(r) {
			return
		}
		lowest, highest := lowestTLS(r), r.tlsVersion("tls-max-version", tls.VersionTLS13)
		if lowest < wanted {
			r.addFinding("min-version", fmt.Sprintf("etcd accepts %s, and the minimum must be %s: %s", tls.VersionName(lowest), tls.VersionName(wanted), r.describe("tls-min-version")))
		}
		if highest < tls.VersionTLS13 {
			r.addFinding("no-tls-one-three", "etcd does not accept TLS 1.3: "+r.describe("tls-max-version"))
		}
		if len(r.findings) == 0 {
			r.addEvidence("the lowest version is " + tls.VersionName(lowest) + " (" + r.describe("tls-min-version") + ")")
		}
	}
}

func checkCipherSuites(r *reading) {
	if !servesTLS(r) || lowestTLS(r) == tls.VersionTLS13 {
		return
	}
	written := r.value("cipher-suites")
	if written == "" {
		r.addFinding("default-suites", "etcd accepts TLS 1.2 with Go's suites, which include CBC: "+r.describe("cipher-suites"))
		return
	}
	var weak []string
	for name := range strings.SplitSeq(strings.Trim(written, "[]"), ",") {
		name = strings.Trim(name, ` "`)
		switch strength(name) {
		case unknownSuite:
			r.addDoubt(fmt.Sprintf("--cipher-suites: etcd does not know the suite %q", name))
		case weakSuite:
			weak = append(weak, name)
		case strongSuite:
		}
	}
	if len(weak) > 0 {
		r.addFinding("weak-suites", "etcd accepts TLS 1.2 with "+strings.Join(weak, ", ")+": no forward secrecy, or no authenticated encryption")
		return
	}
	r.addEvidence("all suites of TLS 1.2 have forward secrecy and authenticated encryption")
}

type suite int

const (
	unknownSuite suite = iota
	weakSuite
	strongSuite
)

// strength judges a suite by its name. The suites of TLS 1.3 are strong; etcd ignores them in the list.
func strength(name string) suite {
	known := func(c *tls.CipherSuite) bool { return c.Name == name }
	switch {
	case slices.Contains([]string{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"}, name):
		return strongSuite // names of etcd's own
	case slices.ContainsFunc(tls.InsecureCipherSuites(), known):
		return weakSuite
	case !slices.ContainsFunc(tls.CipherSuites(), known):
		return unknownSuite
	case strings.Contains(name, "_CBC_"):
		return weakSuite
	default:
		return strongSuite
	}
}
