package audit_test

import (
	"fmt"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// The rule of a resource is the one by which kube-apiserver finds its transformer.
func TestCensusRule(t *testing.T) {
	rule := func(key string, resources ...string) audit.EncryptionRule {
		return audit.EncryptionRule{Resources: resources, Writers: []audit.Writer{{Provider: "secretbox", Key: key}}}
	}
	c := audit.Census{Expected: []audit.EncryptionRule{
		rule("a", "secrets", "deployments.apps"), rule("b", "secrets"), rule("core", "*."), rule("apps", "*.apps"), rule("all", "*.*"),
	}}
	for _, test := range []struct{ resource, want string }{
		{"secrets", "[secretbox a secretbox b]"},
		{"deployments.apps", "[secretbox a]"},
		{"statefulsets.apps", "[secretbox apps]"},
		{"pods", "[secretbox core]"},
		{"things.apps.example.com", "[secretbox all]"},
	} {
		got, found := c.Rule(audit.ResourceCensus{Resource: test.resource})
		if !found || fmt.Sprint(got.Writers) != test.want {
			t.Errorf("%s: %v, want %s", test.resource, got.Writers, test.want)
		}
	}
	if _, found := c.Rule(audit.ResourceCensus{Resource: "masterleases", Bookkeeping: true}); found {
		t.Error("bookkeeping has a rule")
	}
	c.Expected = []audit.EncryptionRule{rule("any")}
	for _, test := range []struct {
		resource audit.ResourceCensus
		want     bool
	}{
		{audit.ResourceCensus{Resource: "secrets"}, true},
		{audit.ResourceCensus{Resource: "pods"}, false},
		{audit.ResourceCensus{Resource: "pods", Writers: []audit.WriterCount{{}}}, true},
	} {
		if _, found := c.Rule(test.resource); found != test.want {
			t.Errorf("%+v has a rule: %t", test.resource, found)
		}
	}
}
