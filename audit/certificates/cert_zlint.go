package certificates

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/etcdsec/etcdsec/audit"
)

// CertZlint finds certificates that break RFC 5280.
func CertZlint() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-zlint",
		Title:    "A served certificate breaks RFC 5280",
		Severity: audit.Low,
		Rationale: "Verifiers differ in what they accept: one Go release may accept a certificate that the next release, OpenSSL " +
			"or a Java client refuses. Then connections fail on the day of an upgrade.",
		Method: "Runs zlint's rules for RFC 5280 over every served certificate. Errors of zlint are findings, warnings are " +
			"not. The rules for browsers and public CAs are left out, because they are not meant for a private CA.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue the named certificates with a tool that follows RFC 5280:"),
				audit.Paste("etcdsec pki renew %s", p.Store()),
				audit.Paste("openssl s_client -connect %s -showcerts </dev/null", p.Asked()),
			}
		},
		References: []string{"RFC 5280", "github.com/zmap/zlint", "NIST 800-52r2 3.2", "NIST 800-53 SC-17"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(lintWith(sync.OnceValues(rfc5280))),

		OneHandshake: true,
	})
}

// rfc5280 returns zlint's rules for RFC 5280, without those for public CAs. Choosing them takes longer
// than applying them.
func rfc5280() (lint.Registry, error) {
	return lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280}})
}

func lintWith(rules func() (lint.Registry, error)) func(*audit.Listener, []*x509.Certificate) audit.Outcome {
	return func(_ *audit.Listener, chain []*x509.Certificate) audit.Outcome {
		chosen, err := rules()
		if err != nil {
			return audit.CouldNotTell(fmt.Sprintf("choosing zlint's rules: %v", err))
		}
		return lintChain(chain, chosen)
	}
}

func lintChain(chain []*x509.Certificate, rules lint.Registry) audit.Outcome {
	var findings []audit.Finding
	for i, cert := range chain {
		code, text := role(i, cert)
		broken, err := brokenRules(cert, rules)
		if err != nil {
			return audit.CouldNotTell(fmt.Sprintf("linting the %s: %v", text, err))
		}
		for _, rule := range broken {
			findings = append(findings, audit.Finding{
				Code: code + "-" + strings.ReplaceAll(rule.name, "_", "-"),
				Text: fmt.Sprintf("the %s: %s (%s, %s)", text, rule.description, rule.citation, rule.name),
			})
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed(fmt.Sprintf("certificates linted: %d, with %d rules", len(chain), len(rules.Names())))
}

// brokenRule is a rule of zlint that a certificate breaks.
type brokenRule struct {
	name, description, citation string
}

// brokenRules returns the rules that a certificate breaks, sorted by name. zlint and its parser are
// written for certificates of public CAs. A certificate of a hostile server must not end the audit,
// so a panic in them becomes an error.
func brokenRules(cert *x509.Certificate, rules lint.Registry) (broken []brokenRule, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			broken, err = nil, fmt.Errorf("zlint panicked: %.100q", fmt.Sprint(fault))
		}
	}()
	parsed, err := zcrypto.ParseCertificate(cert.Raw)
	if err != nil {
		return nil, fmt.Errorf("%.200q", err.Error())
	}
	results := zlint.LintCertificateEx(parsed, rules)
	for _, name := range rules.Names() {
		if result := results.Results[name]; result == nil || result.Status < lint.Error {
			continue
		}
		rule := rules.ByName(name)
		broken = append(broken, brokenRule{name: name, description: rule.Description, citation: rule.Citation})
	}
	slices.SortFunc(broken, func(a, b brokenRule) int { return strings.Compare(a.name, b.name) })
	return broken, nil
}
