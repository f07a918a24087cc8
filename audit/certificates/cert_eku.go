package certificates

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CertEKU finds leaves whose allowed uses are too few for etcd, or too many.
func CertEKU() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-eku",
		Title:    "A served leaf has the wrong uses",
		Severity: audit.Medium,
		Rationale: "If the leaf of a client port may act as a client, everyone who reads the server's key can open etcd. If a " +
			"leaf may sign, there is a CA on every node. If a leaf lacks a use, clients or the other members refuse it at " +
			"the next connection.",
		Method: "Reads the extended key usages, key usages and basic constraints of the leaf, and the extended key usages to " +
			"which its CAs are limited. A peer needs serverAuth and clientAuth, because members dial each other. On a " +
			"client port, clientAuth is right if etcd's gRPC gateway presents the leaf to itself: it is a finding only if " +
			"the member's settings turn the gateway off or give it a certificate of its own.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue the leaf with only the uses that its port needs; etcd needs no restart:"),
				audit.Paste("etcdsec pki renew %s", p.Store()),
				audit.Paste("--enable-grpc-gateway=false    # etcd, before the leaf of the client port loses clientAuth"),
				audit.Paste("openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509 -noout -ext extendedKeyUsage,keyUsage,"+
					"basicConstraints", p.Asked()),
			}
		},
		References: []string{"RFC 5280 4.2.1.12", "NIST 800-52r2 3.2", "NIST 800-53 SC-17", "NIST 800-53 AC-6", "etcd-io/etcd#9785"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeUses),

		OneHandshake: true,
	})
}

func judgeUses(t *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	leaf := chain[0]
	var findings []audit.Finding
	found := func(code, format string, a ...any) {
		findings = append(findings, audit.Finding{Code: code, Text: fmt.Sprintf(format, a...)})
	}
	switch {
	case hasUse(leaf, x509.ExtKeyUsageAny):
		found("any", "the leaf has anyExtendedKeyUsage")
	case len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0:
		found("none", "the leaf has no extended key usage, so it may be used for everything")
	default:
		if !hasUse(leaf, x509.ExtKeyUsageServerAuth) {
			found("no-server-auth", "the leaf lacks serverAuth: clients that verify it refuse it")
		}
		if !hasUse(leaf, x509.ExtKeyUsageClientAuth) && presentsItself(t) {
			found("no-client-auth", "the leaf lacks clientAuth: the other members refuse it when this one dials them, unless --peer-client-cert-file names another certificate")
		}
		if why := whyNeedlessClientAuth(t); why != "" && hasUse(leaf, x509.ExtKeyUsageClientAuth) {
			found("client-auth", "the leaf has clientAuth, and %s", why)
		}
	}
	if leaf.IsCA {
		found("ca", "the leaf is a CA")
	}
	if leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		found("cert-sign", "the leaf has the key usage keyCertSign")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		found("no-digital-signature", "the leaf lacks the key usage digitalSignature, which TLS 1.3 requires (RFC 8446 4.4.2.2)")
	}
	for i, ca := range pathToRoot(t, chain) {
		if i == 0 || len(ca.ExtKeyUsage)+len(ca.UnknownExtKeyUsage) == 0 || hasUse(ca, x509.ExtKeyUsageAny) {
			continue
		}
		if _, text := role(i, ca); !hasUse(ca, x509.ExtKeyUsageServerAuth) {
			found("issuer-no-server-auth", "the %s may not sign for serverAuth", text)
		} else if presentsItself(t) && !hasUse(ca, x509.ExtKeyUsageClientAuth) {
			found("issuer-no-client-auth", "the %s may not sign for clientAuth", text)
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed("the leaf is for " + usesOf(leaf))
}

func hasUse(cert *x509.Certificate, use x509.ExtKeyUsage) bool {
	return slices.Contains(cert.ExtKeyUsage, use)
}

// presentsItself reports whether the member also presents the served leaf as a client. A peer
// does, unless peers ask for no certificates or the member has another one for this.
func presentsItself(t *audit.Listener) bool {
	return t.Kind == audit.Peer && t.Agreed(audit.NoCertificate).CertificateRequested &&
		(t.Settings == nil || t.Settings.Value("peer-client-cert-file") == "")
}

// whyNeedlessClientAuth returns why a client port's leaf needs no clientAuth; it is empty if the leaf
// needs it or this is unknown. The gateway dials its own client port with the server's certificate
// unless --client-cert-file is set (etcd-io/etcd#9785).
func whyNeedlessClientAuth(t *audit.Listener) string {
	if t.Kind != audit.Client || t.Settings == nil {
		return ""
	}
	gateway, err := strconv.ParseBool(t.Settings.Value("enable-grpc-gateway")) // an error: it was left on
	switch {
	case t.Settings.Value("client-cert-file") != "":
		return "the gRPC gateway has a certificate of its own (--client-cert-file)"
	case err == nil && !gateway:
		return "the gRPC gateway, which needs it, is off"
	default:
		return ""
	}
}

func usesOf(leaf *x509.Certificate) string {
	var all []string
	for _, use := range leaf.ExtKeyUsage {
		switch use {
		case x509.ExtKeyUsageServerAuth:
			all = append(all, "serverAuth")
		case x509.ExtKeyUsageClientAuth:
			all = append(all, "clientAuth")
		default:
			all = append(all, fmt.Sprintf("EKU %d", use))
		}
	}
	return strings.Join(all, " and ")
}
