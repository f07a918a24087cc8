package config

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// UniqueCA finds an etcd that trusts the CA of the API server's clients.
func UniqueCA() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-unique-ca",
		Title:    "etcd trusts the CA of Kubernetes' own clients",
		Severity: audit.High,
		Rationale: "The CA of --client-ca-file signs a certificate for every kubelet and for every user whose " +
			"CertificateSigningRequest is approved. An etcd that trusts this CA lets all of them read and write " +
			"everything.",
		Method: "Compares the public keys of the CAs in etcd's trusted CA files with those in the --client-ca-file of the " +
			"kube-apiserver on the same host. Equal paths mean equal CAs; different paths prove nothing.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue etcd's certificates from separate CAs, and set these on every member and API server:"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--trusted-ca-file=ca.crt --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "NIST 800-53 SC-17", "NIST 800-53 CM-6", "NSA/CISA Kubernetes Hardening Guide v1.2: etcd"},
		Run: ofEtcd(func(_ *audit.HostSettings, s *audit.Settings) audit.Outcome {
			if s.APIServer == nil {
				return audit.Skipped("there is no kube-apiserver on the host of etcd")
			}
			return ask(s, clientSide().checkSeparateCA(s.APIServer), peerSide().checkSeparateCA(s.APIServer))
		}),
	})
}

// checkSeparateCA returns a check of whether a side and the API server trust different CAs.
func (s side) checkSeparateCA(apiServer *audit.Settings) func(*reading) {
	const theirs = "client-ca-file"
	return func(r *reading) {
		ours := s.flag("trusted-ca-file")
		if s.demand(r) != fromTrustedCA {
			r.addEvidence(fmt.Sprintf("etcd trusts no CA of its own for a %s", s.kind))
			return
		}
		other := &reading{settings: apiServer}
		if other.value(theirs) == "" && other.doubt == "" {
			r.addEvidence("kube-apiserver: " + other.describe(theirs))
			return
		}
		if other.doubt != "" {
			r.addDoubt("kube-apiserver: " + other.doubt)
			return
		}
		mine, _ := r.settings.File(ours)
		its, _ := apiServer.File(theirs)
		finding := fmt.Sprintf("%s, and kube-apiserver: %s", r.describe(ours), other.describe(theirs))
		switch {
		case slices.ContainsFunc(mine.PublicKeys, func(key string) bool { return slices.Contains(its.PublicKeys, key) }):
			r.addFinding(string(s.kind), "both files have the same CA: "+finding)
		case mine.Path != "" && mine.Path == its.Path:
			r.addFinding(string(s.kind), "both are the same file: "+finding)
		case len(mine.PublicKeys) == 0:
			r.addDoubt("the CAs of --" + ours + " were not read" + reasonSuffix(mine))
		case len(its.PublicKeys) == 0:
			r.addDoubt("the CAs of kube-apiserver's --" + theirs + " were not read" + reasonSuffix(its))
		default:
			r.addEvidence(fmt.Sprintf("the files have no common CA: %s", finding))
		}
	}
}

// reasonSuffix returns ": " and the reason why a file was not read, or "" if there is none.
func reasonSuffix(f audit.File) string {
	switch {
	case f.Reason != "":
		return ": " + f.Reason
	case f.Unread != "":
		return ": " + f.Unread
	default:
		return ""
	}
}
