package encryption

import (
	"fmt"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// What a configuration says becomes what a census expects, by the whole names of its keys.
func TestExpected(t *testing.T) {
	expected := func(text string) []audit.EncryptionRule {
		t.Helper()
		c, err := Parse("c.yaml", []byte(text), Server{KMSv1: true})
		if err != nil {
			t.Fatal(err)
		}
		return c.Expected()
	}
	const (
		head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets.], providers: ["
		key  = "secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	)
	for providers, want := range map[string]string{
		"{secretbox: {keys: [{name: k-2, " + key + "}, {name: k-1, " + key + "}]}}, {identity: {}}": "[secretbox k-2 secretbox k-1 identity]",
		"{kms: {name: a, apiVersion: v2, endpoint: 'unix:///x'}}":                                   "[kms v2 a]",
		"{kms: {name: a, endpoint: 'unix:///x'}}":                                                   "[kms v1 a]",
		"{kms: {name: 'a:b', endpoint: 'unix:///x'}}":                                               "[kms v1 a:b]",
		"{aescbc: {keys: [{name: 'a:b', " + key + "}]}}":                                            "[aescbc a:b]",
		"{aesgcm: {keys: [{name: 'a:b', " + key + "}]}}, {identity: {}}":                            "[aesgcm a:b identity]",
	} {
		rules := expected(head + providers + "]}]")
		if got := fmt.Sprint(rules[0].Writers); len(rules) != 1 || got != want || rules[0].Resources[0] != "secrets" {
			t.Errorf("%s: %s of %v, want %s", providers, got, rules[0].Resources, want)
		}
	}
}
