package config

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// TLS finds settings with which etcd agrees to old or weak TLS.
func TLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-tls",
		Title:    "etcd is set up to agree to weak TLS",
		Severity: audit.Medium,
		Rationale: "Without a list of suites, TLS 1.2 is served with Go's, which has CBC suites with SHA-1. A maximum of TLS " +
			"1.2 keeps out 1.3, which federal guidance requires (NIST 800-52r2) and post-quantum key exchange needs.",
		Method: "Reads the effective --tls-min-version, --tls-max-version and --cipher-suites. With a minimum of TLS 1.3 etcd " +
			"has no choice of suites to be set. The minimum is TLS 1.2, or what the spec or --min-tls says.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Allow TLS 1.3 alone, which every client of etcd since 3.4 speaks, and restart the member:"),
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

// servesTLS reports whether any listener that can be reached has TLS. The metrics one has the
// client's.
func servesTLS(r *reading) bool {
	return anyTLS(clientSide().listeners(r)) || anyTLS(peerSide().listeners(r)) ||
		anyTLS(parseListeners(r, "listen-metrics-urls", r.value("listen-metrics-urls")))
}

// tlsVersion is a version by etcd's name (client/pkg/tlsutil/versions.go). Every release that
// has the settings has TLS 1.2 as its lowest.
func (r *reading) tlsVersion(flag string, standard uint16) uint16 {
	switch value := r.value(flag); value {
	case "":
		return standard
	case "TLS1.2":
		return tls.VersionTLS12
	case "TLS1.3":
		return tls.VersionTLS13
	default:
		r.addDoubt(fmt.Sprintf("--%s: %q is no version that etcd takes", flag, value))
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
			r.addFinding("min-version", fmt.Sprintf("%s is agreed to, and the minimum is to be %s: %s", tls.VersionName(lowest), tls.VersionName(wanted), r.describe("tls-min-version")))
		}
		if highest < tls.VersionTLS13 {
			r.addFinding("no-tls-one-three", "TLS 1.3 is not agreed to: "+r.describe("tls-max-version"))
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
		r.addFinding("default-suites", "TLS 1.2 is agreed to with the suites of Go, CBC ones among them: "+r.describe("cipher-suites"))
		return
	}
	var weak []string
	for name := range strings.SplitSeq(strings.Trim(written, "[]"), ",") {
		name = strings.Trim(name, ` "`)
		switch strength(name) {
		case unknownSuite:
			r.addDoubt(fmt.Sprintf("--cipher-suites: etcd knows no suite %q", name))
		case weakSuite:
			weak = append(weak, name)
		case strongSuite:
		}
	}
	if len(weak) > 0 {
		r.addFinding("weak-suites", "TLS 1.2 is agreed to with "+strings.Join(weak, ", ")+": no forward secrecy, or no authenticated encryption")
		return
	}
	r.addEvidence("TLS 1.2 has suites with forward secrecy and authenticated encryption only")
}

type suite int

const (
	unknownSuite suite = iota
	weakSuite
	strongSuite
)

// strength judges a suite by its name. Those of TLS 1.3 are strong, and listing one changes nothing.
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
