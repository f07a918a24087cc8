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
		Rationale: "The CA of --client-ca-file signs a certificate for every kubelet and every user who gets a " +
			"CertificateSigningRequest approved. An etcd that trusts it lets all of them read and write everything.",
		Method: "Compares the public keys of the CAs in etcd's trusted CA files with those in the --client-ca-file of the " +
			"kube-apiserver of the same host. Equal paths are equal CAs; other paths prove nothing.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue etcd's certificates by CAs of their own, and set these on every member and API server:"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--trusted-ca-file=ca.crt --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "NIST 800-53 SC-17", "NIST 800-53 CM-6", "NSA/CISA Kubernetes Hardening Guide v1.2: etcd"},
		Run: ofEtcd(func(_ *audit.HostSettings, s *audit.Settings) audit.Outcome {
			if s.APIServer == nil {
				return audit.Skipped("no kube-apiserver was found beside etcd")
			}
			return ask(s, clientSide().apartFrom(s.APIServer), peerSide().apartFrom(s.APIServer))
		}),
	})
}

// apartFrom asks whether a side and the API server trust other CAs.
func (s side) apartFrom(apiServer *audit.Settings) func(*reading) {
	const theirs = "client-ca-file"
	return func(r *reading) {
		ours := s.flag("trusted-ca-file")
		if s.demand(r) != fromTrustedCA {
			r.saw(fmt.Sprintf("etcd trusts no CA of its own for a %s", s.kind))
			return
		}
		other := &reading{settings: apiServer}
		if other.value(theirs) == "" && other.doubt == "" {
			r.saw("kube-apiserver: " + other.written(theirs))
			return
		}
		if other.doubt != "" {
			r.doubts("kube-apiserver: " + other.doubt)
			return
		}
		mine, _ := r.settings.File(ours)
		its, _ := apiServer.File(theirs)
		finding := fmt.Sprintf("%s, and kube-apiserver: %s", r.written(ours), other.written(theirs))
		switch {
		case slices.ContainsFunc(mine.PublicKeys, func(key string) bool { return slices.Contains(its.PublicKeys, key) }):
			r.found(string(s.kind), "the same CA is in both: "+finding)
		case mine.Path != "" && mine.Path == its.Path:
			r.found(string(s.kind), "it is one file: "+finding)
		case len(mine.PublicKeys) == 0:
			r.doubts("the CAs of --" + ours + " were not read" + because(mine))
		case len(its.PublicKeys) == 0:
			r.doubts("the CAs of kube-apiserver's --" + theirs + " were not read" + because(its))
		default:
			r.saw(fmt.Sprintf("no CA is in both: %s", finding))
		}
	}
}

// because is why a file is not known, where that was told.
func because(f audit.File) string {
	switch {
	case f.Reason != "":
		return ": " + f.Reason
	case f.Unread != "":
		return ": " + f.Unread
	default:
		return ""
	}
}
