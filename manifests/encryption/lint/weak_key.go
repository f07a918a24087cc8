package lint

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// The traits of a weak key, as codes of findings.
const (
	published encryption.Trait = "published"
	constant  encryption.Trait = "constant"
	sequence  encryption.Trait = "sequence"
	repeated  encryption.Trait = "repeated"
	fewValues encryption.Trait = "few-values"
	shortText encryption.Trait = "short-text"
	typed     encryption.Trait = "typed"
	text      encryption.Trait = "text"
)

func weakKey() Check {
	return Check{
		ID:       "encryption-weak-key",
		Title:    "A key can be guessed",
		Severity: audit.High,
		Rationale: "Whoever guesses the key reads everything in etcd and its backups. Attackers first try keys from " +
			"documentation, zeros, patterns and typed words.",
		Method: "Compares each key with those of published examples. Looks for patterns, and for keys of printable " +
			"characters only: such a key has far fewer possible values than its length allows. Tells words, names, years, " +
			"runs and repeats from random characters by how well they can be predicted.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Make a random key, and rotate to it:"),
				audit.Paste("head -c 32 /dev/urandom | base64"),
				audit.Paste("etcdsec encryption generate -f %s %s", p.Spec(), p.Store()),
			}
		},
		References: references("NIST 800-53 SC-12", "NIST SP 800-133"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			worst := audit.Low
			for _, p := range s.listPlaces(true) {
				switch t := p.secret().Judge(traitOf); t {
				case "":
				case text:
					f.add(string(t), "%s: the %s has only printable characters; they look random, and have at most %d bits", s.describeField(p.field), p.describeKey(), p.bits(t))
				default:
					worst = audit.High
					f.add(string(t), "%s: the %s %s", s.describeField(p.field), p.describeKey(), describeTrait(t, p.bits(t)))
				}
			}
			o := f.outcome("no key is a published one, a pattern or text")
			if len(f) > 0 {
				o.Severity = worst
			}
			return o
		},
	}
}

// describeTrait returns the predicate of a finding about a key with a trait.
func describeTrait(t encryption.Trait, bits int) string {
	switch t {
	case published:
		return "is printed in documentation"
	case constant:
		return "is one byte repeated"
	case sequence:
		return "counts up or down"
	case repeated:
		return "is a shorter key repeated"
	case fewValues:
		return "has so few different bytes that it is not random"
	case typed:
		return fmt.Sprintf("was typed, and not drawn at random: it is made of words, years, runs or repeats, and who guesses by these needs about 2^%d tries", bits)
	case shortText:
		return fmt.Sprintf("is text; there are at most 2^%d texts of this length and alphabet", bits)
	}
	return string(t)
}

// publishedKeys returns the keys of documentation and examples, as text.
func publishedKeys() []string {
	return []string{
		"secret is secure", "this is password", "secret is secure, or is it?\n", "secret is secure, I think",
		"abcdefghijklmnopqrstuvwxyz123456", "12345678901234567890123456789012", "1234567890123456", "0123456789abcdef0123456789abcdef",
	}
}

// enoughBits is the strength in bits that no attacker can search through.
const enoughBits = 112 // NIST SP 800-131A

func traitOf(secret []byte) encryption.Trait {
	distinct := map[byte]bool{}
	step, steady := byte(0), true
	for i, b := range secret {
		distinct[b] = true
		if i == 1 {
			step = b - secret[0]
		} else if i > 1 {
			steady = steady && b-secret[i-1] == step
		}
	}
	switch {
	case slices.ContainsFunc(publishedKeys(), func(k string) bool { return bytes.HasPrefix([]byte(k), secret) }):
		return published
	case len(distinct) == 1:
		return constant
	case steady:
		return sequence
	case isPeriodic(secret):
		return repeated
	// 16 random bytes have 8 different ones or fewer once in 10^9, 32 never 16.
	case len(distinct) <= len(secret)/2 && textBits(secret) == 0:
		return fewValues
	}
	bits := textBits(secret)
	if bits == 0 {
		return ""
	}
	if _, ok := typedBits(secret); ok {
		return typed
	}
	if bits < enoughBits {
		return shortText
	}
	return text
}

// isPeriodic reports whether a secret is a shorter text repeated.
func isPeriodic(secret []byte) bool {
	for period := 1; period <= len(secret)/2; period++ {
		if bytes.Equal(secret[period:], secret[:len(secret)-period]) {
			return true
		}
	}
	return false
}

// textBits returns how many whole bits a text of this length and alphabet can have; 0 if it is not text.
func textBits(secret []byte) int { return int(uniformBits(secret)) }

// uniformBits is textBits with the fraction of a bit.
func uniformBits(secret []byte) float64 {
	const digits, lower, upper = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, alphabet := range []string{digits, digits + "abcdef", digits + "ABCDEF", lower, upper, digits + lower, digits + upper, digits + lower + upper, digits + lower + upper + "+/=-_"} {
		if strings.Trim(string(secret), alphabet) == "" {
			return float64(len(secret)) * math.Log2(float64(len(alphabet)))
		}
	}
	if slices.ContainsFunc(secret, func(b byte) bool { return (b < ' ' || b > '~') && b != '\n' }) {
		return 0
	}
	const printable = 96
	return float64(len(secret)) * math.Log2(printable)
}

// bits returns how many bits of choice a place's key has at most, if it is text.
func (p place) bits(t encryption.Trait) int {
	var bits int
	p.secret().Judge(func(secret []byte) encryption.Trait {
		if bits = textBits(secret); t == typed {
			bits, _ = typedBits(secret)
		}
		return ""
	})
	return bits
}
