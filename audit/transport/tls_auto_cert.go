package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// TLSAutoCert finds a port that serves a certificate that etcd made itself.
func TLSAutoCert() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-auto-cert",
		Title:    "etcd serves a certificate that it made itself",
		Severity: audit.High,
		Rationale: "No CA signed a certificate of --auto-tls, so clients and members cannot verify their peer, and everyone on " +
			"the path can act as the server. etcd makes a new one with each data dir, and asks for no client certificates.",
		Method: "Looks at the served leaf for the marks of such a certificate: it is its own issuer, its only name is the " +
			"organization \"etcd\", and its key is P-521. The flags may look different, because etcd prefers certificate " +
			"files over them.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue a certificate from a CA and serve that; --auto-tls then has no effect; remove it. Restart the " +
					"member:"),
				audit.Paste("etcdsec pki issue -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--cert-file=server.crt --key-file=server.key --client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 2.3", "CIS Kubernetes Benchmark v2.0.1 2.3", "CIS Kubernetes Benchmark v1.12 2.6", "CIS Kubernetes Benchmark v2.0.1 2.6", "STIG V-242379", "STIG V-242380",
			"NIST 800-53 SC-8", "NIST 800-53 SC-17", "PCI DSS 4.0.1 2.2.7",
		},
		Applies: audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(audit.Handshake) audit.Outcome { return judgeAutoCert(t) })
		},

		OneHandshake: true,
	})
}

func judgeAutoCert(t *audit.Listener) audit.Outcome {
	chains := t.Chains()
	if len(chains) == 0 {
		return audit.CouldNotTell("the server showed no certificate")
	}
	at := slices.IndexFunc(chains, func(chain []*x509.Certificate) bool { return isMadeByEtcd(chain[0]) })
	if at < 0 {
		return audit.Passed(fmt.Sprintf("the issuer of the leaf is %.200q", chains[0][0].Issuer))
	}
	leaf := chains[at][0]
	flag := "--auto-tls"
	o := audit.Failed(audit.Finding{})
	if t.Kind == audit.Peer {
		flag = "--peer-auto-tls"
		p := t.Place()
		o.Remediation = audit.Remediation{
			audit.Say("Issue a certificate from the peer CA and serve that; --peer-auto-tls then has no effect; remove it. " +
				"Restart the member:"),
			audit.Paste("etcdsec pki issue -f %s %s", p.Spec(), p.Store()),
			audit.Paste("--peer-cert-file=peer.crt --peer-key-file=peer.key --peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt"),
		}
	}
	o.Findings[0] = audit.Finding{Code: "auto-tls", Text: fmt.Sprintf("the leaf comes from %s: self-issued, of the organization \"etcd\", with a P-521 key, valid for %d days",
		flag, int(leaf.NotAfter.Sub(leaf.NotBefore)/(24*time.Hour)))}
	return o
}

// isMadeByEtcd reports whether SelfCert in etcd's client/pkg/transport/listener.go made a certificate.
// They are the same in 3.5, 3.6 and 3.7, except that they are CAs from 3.6 on. The validity does not
// count, because --self-signed-cert-validity sets it.
func isMadeByEtcd(leaf *x509.Certificate) bool {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	return ok && key.Curve == elliptic.P521() &&
		bytes.Equal(leaf.RawSubject, leaf.RawIssuer) &&
		len(leaf.Subject.Names) == 1 && slices.Equal(leaf.Subject.Organization, []string{"etcd"})
}
