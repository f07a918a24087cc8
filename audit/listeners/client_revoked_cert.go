package listeners

import "github.com/etcdsec/etcdsec/audit"

// ClientRevokedCert finds a client port that accepts a revoked certificate.
func ClientRevokedCert() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-revoked-cert",
		Title:    "The client port accepts a revoked certificate",
		Severity: audit.High,
		Rationale: "A stolen key opens the store until its certificate ends, even if you know about the theft. etcd checks no CRL " +
			"unless you give it one, keeps open connections, and up to 3.5.31 and 3.6.12 did not check the CRL on a " +
			"separate gRPC port (GHSA-3wh4-j44w-pg92).",
		Method: "Presents a revoked certificate, given with --present, or made in memory with --mint with a serial number that " +
			"the store's ledger lists as revoked. Also presents the given client certificate, because etcd closes the " +
			"connection without an alert.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give etcd the CRL, in DER, and restart the member; later changes of the file need no restart:"),
				audit.Paste("--client-crl-file=client.crl"),
				audit.Paste("etcdsec pki revoke %s %s    # writes the CRLs; spec: pki.crl", p.Store(), audit.StandIn("NAME")),
				audit.Paste("openssl crl -in client.crl.pem -outform DER -out client.crl"),
			}
		},
		References: []string{"NIST 800-53 IA-5(2)", "NIST 800-53 SC-17", "RFC 5280 6.3", "GHSA-3wh4-j44w-pg92"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome {
				return judgeFaultyCert(t, h, audit.RevokedCertificate, "--present revoked=CERT,KEY, or --mint with a store that has revoked a certificate")
			})
		},
	})
}
