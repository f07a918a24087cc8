package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/etcdsec/etcdsec/audit"
)

// longest bounds a text of a report, in bytes: the owner of a port controls parts of it.
const longest = 8 << 10

// makeLegible returns the report with texts that are safe to show. It spells out, as Go does,
// characters that act on a terminal, a parser or the reader's eye (control characters, escape
// sequences, changes of the writing direction), and cuts texts longer than longest. If the report
// covers several hosts, it names a target that each of them has with its host, so that no format
// takes two targets for one. Every renderer except JSON starts from it, and then escapes only the
// syntax of its own format.
func makeLegible(r audit.Report) audit.Report {
	r.Tool.Name, r.Tool.Version = line(r.Tool.Name), line(r.Tool.Version)
	r.Results = slices.Clone(r.Results)
	several := len(r.Hosts()) > 1
	for i := range r.Results {
		result := &r.Results[i]
		result.CheckID, result.Target, result.Title = line(result.CheckID), line(result.Target), line(result.Title)
		result.Host = line(result.Host)
		if several {
			result.Target = onHost(result.Target, result.Host)
		}
		result.Evidence, result.Rationale = line(result.Evidence), line(result.Rationale)
		result.Verdict, result.Severity = audit.Verdict(line(string(result.Verdict))), audit.Severity(line(string(result.Severity)))
		result.Kind, result.Fingerprint = audit.Kind(line(string(result.Kind))), line(result.Fingerprint)
		result.Remediation = legibleRemediation(result.Remediation)
		result.References = lines(result.References)
		if result.Waiver != nil {
			waiver := *result.Waiver
			waiver.Reason, waiver.Owner, waiver.Ticket = line(waiver.Reason), line(waiver.Owner), line(waiver.Ticket)
			result.Waiver = &waiver
		}
	}
	r.Inventory.Listeners = slices.Clone(r.Inventory.Listeners)
	for i := range r.Inventory.Listeners {
		l := &r.Inventory.Listeners[i]
		l.Target, l.Kind = line(l.Target), audit.Kind(line(string(l.Kind)))
		if several {
			l.Target = onHost(l.Target, line(l.Host))
		}
		l.Cluster, l.Version = line(l.Cluster), line(l.Version)
		l.AcceptedCAs = lines(l.AcceptedCAs)
		l.Certificates = legibleChain(l.Certificates)
		l.OtherChains = slices.Clone(l.OtherChains)
		for j, chain := range l.OtherChains {
			l.OtherChains[j] = legibleChain(chain)
		}
	}
	return r
}

func legibleChain(chain []audit.ServedCertificate) []audit.ServedCertificate {
	chain = slices.Clone(chain)
	for i := range chain {
		cert := &chain[i]
		cert.Subject, cert.Issuer, cert.SANs = line(cert.Subject), line(cert.Issuer), lines(cert.SANs)
		cert.Serial, cert.SKID, cert.AKID = line(cert.Serial), line(cert.SKID), line(cert.AKID)
		cert.SHA256, cert.Key = line(cert.SHA256), line(cert.Key)
	}
	return chain
}

// onHost names a target of a report of several hosts.
func onHost(target, host string) string {
	if host == "" {
		return target
	}
	return target + " on " + host
}

func lines(texts []string) []string {
	legible := make([]string, len(texts))
	for i, text := range texts {
		legible[i] = line(text)
	}
	return legible
}

// legibleRemediation makes each line legible. Together the lines are no longer than a text may be.
func legibleRemediation(r audit.Remediation) audit.Remediation {
	legible := make(audit.Remediation, 0, len(r))
	room := longest
	for n, l := range r {
		if room -= len(l.Text); room < 0 && n > 0 {
			return append(legible, audit.Say("… (%d more lines)", len(r)-n))
		}
		legible = append(legible, audit.Line{Text: line(l.Text), Paste: l.Paste})
	}
	return legible
}

// line spells out unprintable characters, including line breaks, and cuts a text that is too
// long.
func line(text string) string {
	text = cut(text)
	if printable(text) {
		return text
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func printable(text string) bool {
	for i, r := range text {
		if !strconv.IsPrint(r) {
			return false
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return false
			}
		}
	}
	return true
}

func cut(text string) string {
	if len(text) <= longest {
		return text
	}
	end := longest
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d more bytes)", text[:end], len(text)-end)
}
