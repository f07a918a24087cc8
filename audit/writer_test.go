package audit_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func TestParseWriter(t *testing.T) {
	for text, want := range map[string]audit.Writer{
		"k-1":                     {Key: "k-1"},
		"secretbox:k-1":           {Provider: audit.SecretboxProvider, Key: "k-1"},
		"aescbc:a:b":              {Provider: audit.AESCBCProvider, Key: "a:b"},
		"kms v1:cloud":            {Provider: audit.KMSv1Provider, Key: "cloud"},
		"aescbc:2024-05-01T12:00": {Provider: audit.AESCBCProvider, Key: "2024-05-01T12:00"},
	} {
		if got, err := audit.ParseWriter(text); err != nil || got != want {
			t.Errorf("%q: %#v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "secretbox:", "rot13:k", "a:b", ":k", "identity:k"} {
		if got, err := audit.ParseWriter(text); err == nil {
			t.Errorf("%q: %#v", text, got)
		}
	}
}

// What is shown acts on no terminal, and no two names look alike.
func TestShowName(t *testing.T) {
	for name, want := range map[string]string{
		"k-1": "k-1", "a:b": "a:b", "aescbckey-2024-05-01T12:00:00+02:00": "aescbckey-2024-05-01T12:00:00+02:00", "projects/p/keys/k": "projects/p/keys/k",
		"": `""`, "a b": `"a b"`, "a\nb": `"a\nb"`, `a\nb`: `"a\\nb"`, `"a\nb"`: `"\"a\\nb\""`, "\x1b[2J": `"\x1b[2J"`, "\x7f": `"\x7f"`,
		"\u202eb": `"\u202eb"`, "\u0085": `"\u0085"`, "é": `"é"`, "\xff": `"\xff"`, "\U000E0001": `"\U000e0001"`,
	} {
		if got := audit.ShowName(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	w := audit.Writer{Provider: audit.KMSv2Provider, Key: "a\nb", KeyID: "\u202e7"}
	if got, want := w.String(), `kms v2 "a\nb" (key ID "\u202e7")`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (audit.Writer{Key: "k"}).String() + (audit.Writer{Provider: audit.IdentityProvider}).String(); got != "kidentity" {
		t.Errorf("got %s", got)
	}
}

func TestWriter(t *testing.T) {
	secretbox := func(key string) audit.Writer { return audit.Writer{Provider: audit.SecretboxProvider, Key: key} }
	plaintext := audit.Writer{Provider: audit.IdentityProvider}
	for w, want := range map[audit.Writer]string{
		secretbox("a:b"): "k8s:enc:secretbox:v1:a:b:",
		{Provider: audit.KMSv2Provider, Key: "cloud", KeyID: "7"}: "k8s:enc:kms:v2:cloud:",
		plaintext: "",
	} {
		if got := w.Prefix(); got != want {
			t.Errorf("%s: %q", w, got)
		}
	}
	if !(audit.Writer{Key: "a"}).Matches(secretbox("a")) || secretbox("a").Matches(secretbox("a:b")) ||
		!(audit.Writer{Provider: audit.KMSv2Provider, Key: "p"}).Matches(audit.Writer{Provider: audit.KMSv2Provider, Key: "p", KeyID: "7"}) {
		t.Error("a rule matches what it names, and nothing else")
	}
	for _, c := range []struct {
		a, b  audit.Writer
		nests bool
	}{
		{secretbox("a"), secretbox("a:b"), true}, {secretbox("a:b"), secretbox("a"), true},
		{secretbox("a"), secretbox("ab"), false}, {secretbox("a"), secretbox("a"), false},
		{secretbox("a"), audit.Writer{Provider: audit.AESCBCProvider, Key: "a:b"}, false}, {secretbox("a"), plaintext, false},
	} {
		if got := c.a.Nests(c.b); got != c.nests {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
	}
}
