package catalog_test

import (
	"github.com/etcdsec/etcdsec/audit"
)

var (
	k1 = audit.Writer{Provider: "secretbox", Key: "k-1"}
	k2 = audit.Writer{Provider: "secretbox", Key: "k-2"}
	k3 = audit.Writer{Provider: "kms v2", Key: "cloud", KeyID: "7"}
)

// resource has as many objects as its writers have, and so many in plaintext.
func resource(name string, plaintext int64, writers ...audit.WriterCount) audit.ResourceCensus {
	r := audit.ResourceCensus{Resource: name, Objects: plaintext, Plaintext: plaintext, Writers: writers}
	for i := range min(plaintext, 3) {
		r.PlaintextObjects = append(r.PlaintextObjects, "ns/plain-"+string(rune('a'+i)))
	}
	for _, w := range writers {
		r.Objects += w.Objects
	}
	return r
}

func by(w audit.Writer, n int64) audit.WriterCount {
	return audit.WriterCount{Writer: w, Objects: n, Sample: []string{"ns/sample"}}
}

// doubtful counts objects of which another key may have encrypted each.
func doubtful(w audit.Writer, n int64) audit.WriterCount {
	c := by(w, n)
	c.Ambiguous, c.InDoubt = n, n
	return c
}

// stored is a store that was read to its end.
func stored(change func(*audit.Census), resources ...audit.ResourceCensus) *audit.StoredData {
	c := &audit.Census{Source: "192.0.2.1:2379", Revision: 7, Complete: true, Resources: resources}
	for _, r := range resources {
		c.Objects += r.Objects
	}
	if change != nil {
		change(c)
	}
	return &audit.StoredData{Address: c.Source, Now: fixtureTime, Census: c}
}

func dataFixtures() []fixture {
	cut := func(c *audit.Census) { c.Complete, c.Reason = false, "reading below /registry/: no answer within 15s" }
	right := func(writers ...audit.Writer) func(*audit.Census) {
		return func(c *audit.Census) {
			c.Expected = []audit.EncryptionRule{{Resources: []string{"secrets", "*.apps"}, Writers: writers}}
		}
	}
	secrets := resource("secrets", 0, by(k1, 5))
	all := []fixture{
		{check: "data-plaintext", name: "encrypted", target: stored(nil, secrets), verdict: audit.Pass, evidence: "5 encrypted objects"},
		{check: "data-plaintext", name: "a Secret", target: stored(nil, resource("secrets", 1, by(k1, 4))), verdict: audit.Fail, codes: []string{"secrets"}, evidence: "(ns/plain-a)"},
		{check: "data-plaintext", name: "many Secrets", target: stored(nil, resource("secrets", 900)), verdict: audit.Fail, codes: []string{"secrets"}, evidence: "and 897 more"},
		{check: "data-plaintext", name: "Pods are not to be encrypted", target: stored(nil, secrets, resource("pods", 9)), verdict: audit.Pass},
		{check: "data-plaintext", name: "some ConfigMaps are encrypted", target: stored(nil, secrets, resource("configmaps", 9, by(k1, 1))), verdict: audit.Fail, codes: []string{"configmaps"}},
		{check: "data-plaintext", name: "the configuration is about them", target: stored(right(k1), secrets, resource("deployments.apps", 1)), verdict: audit.Fail, codes: []string{"deployments.apps"}},
		{check: "data-plaintext", name: "identity for a resource", target: stored(right(audit.Writer{Provider: "identity"}, k1), resource("deployments.apps", 1), secrets), verdict: audit.Pass},
		{check: "data-plaintext", name: "identity for Secrets", target: stored(right(audit.Writer{Provider: "identity"}, k1), resource("secrets", 2)), verdict: audit.Fail, codes: []string{"secrets"}},
		{check: "data-plaintext", name: "bookkeeping", target: stored(func(c *audit.Census) {
			c.Expected = []audit.EncryptionRule{{Resources: []string{"*.*"}, Writers: []audit.Writer{k1}}}
			c.Resources[1].Bookkeeping = true
		}, secrets, resource("masterleases", 3)), verdict: audit.Pass},
		{check: "data-plaintext", name: "cut off after a finding", target: stored(cut, resource("secrets", 1)), verdict: audit.Fail, codes: []string{"secrets"}},
		{check: "data-plaintext", name: "no Secrets", target: stored(nil, resource("pods", 9)), verdict: audit.Skip, evidence: "no Secrets"},
		{check: "data-plaintext", name: "empty", target: stored(nil), verdict: audit.Unknown, evidence: "empty"},
		{check: "data-plaintext", name: "another prefix", target: stored(func(c *audit.Census) { c.Outside = 9 }), verdict: audit.Unknown, evidence: "--etcd-prefix"},

		{check: "data-stale-key", name: "the right key", target: stored(right(k1, k2), secrets), verdict: audit.Pass, evidence: "5 objects"},
		{check: "data-stale-key", name: "an old key", target: stored(right(k2, k1), secrets), verdict: audit.Fail, codes: []string{"secrets"}, evidence: "not with secretbox k-2 (ns/sample and 4 more)"},
		{check: "data-stale-key", name: "only keys that nobody named", target: stored(right(k3), secrets), verdict: audit.Skip, evidence: "no object is encrypted with a named key"},
		{check: "data-stale-key", name: "another key ID", target: stored(right(audit.Writer{Provider: "kms v2", Key: "cloud"}), resource("secrets", 0, by(k3, 1))), verdict: audit.Pass},
		{check: "data-stale-key", name: "nobody said which", target: stored(nil, secrets), verdict: audit.Skip, evidence: "--config"},
		{check: "data-stale-key", name: "not its resource", target: stored(right(k1), resource("pods", 1)), verdict: audit.Skip, evidence: "of the resources in the configuration"},
		{check: "data-stale-key", name: "the key of any provider", target: stored(func(c *audit.Census) {
			c.Expected = []audit.EncryptionRule{{Writers: []audit.Writer{{Key: "k-1"}}}}
		}, secrets), verdict: audit.Pass},

		{check: "data-stale-key", name: "one object, perhaps by a longer name", target: stored(right(k1), resource("secrets", 0, doubtful(k1, 1))), verdict: audit.Unknown, evidence: "goes on behind a colon"},
		{check: "data-stale-key", name: "one in doubt beside an old key", target: stored(right(k2, k1), resource("secrets", 0, doubtful(k1, 1))), verdict: audit.Fail, codes: []string{"secrets"}},
		{check: "data-unknown-key", name: "one object, perhaps by a longer name", target: stored(right(k1), resource("secrets", 0, doubtful(k1, 1))), verdict: audit.Unknown, evidence: "goes on behind a colon"},
		{check: "data-unknown-key", name: "known keys", target: stored(right(k2, k1), secrets), verdict: audit.Pass, evidence: "5 encrypted objects"},
		{check: "data-unknown-key", name: "unknown key", target: stored(right(k2), secrets), verdict: audit.Fail, codes: []string{"secrets"}, evidence: "secretbox k-1"},
		{check: "data-unknown-key", name: "no rule for the resource", target: stored(right(k1), resource("pods", 0, by(k1, 1))), verdict: audit.Fail, codes: []string{"pods"}},
		{check: "data-unknown-key", name: "broken", target: stored(func(c *audit.Census) {
			c.Resources[0].Broken, c.Resources[0].BrokenObjects = 1, []string{"ns/b"}
		}, secrets), verdict: audit.Fail, codes: []string{"secrets-broken"}, evidence: "ns/b"},
		{check: "data-unknown-key", name: "more writers than are told apart", target: stored(right(k1), resource("secrets", 0, by(audit.Writer{Provider: audit.UnlistedProvider}, 1))), verdict: audit.Fail, codes: []string{"secrets"}},
		{check: "data-unknown-key", name: "nobody said which", target: stored(nil, secrets), verdict: audit.Skip, evidence: "--key-name"},

		{check: "data-weak-provider", name: "strong", target: stored(nil, resource("secrets", 0, by(k1, 1), by(k3, 1))), verdict: audit.Pass, evidence: "2 encrypted objects"},
		{check: "data-weak-provider", name: "weak", target: stored(nil, resource("secrets", 0,
			by(audit.Writer{Provider: "aescbc", Key: "a"}, 1), by(audit.Writer{Provider: "aesgcm", Key: "a"}, 1), by(audit.Writer{Provider: "kms v1", Key: "a"}, 1))),
			verdict: audit.Fail, codes: []string{"aescbc", "aesgcm", "kms-v1"}, evidence: "secrets ns/sample"},
		{check: "data-weak-provider", name: "plaintext", target: stored(nil, resource("pods", 1)), verdict: audit.Skip},

		{check: "data-relocatable", name: "bound", target: stored(nil, resource("secrets", 0, by(k3, 3))), verdict: audit.Pass, evidence: "3 encrypted objects"},
		{check: "data-relocatable", name: "unbound", target: stored(nil, secrets), verdict: audit.Fail, codes: []string{"unbound"}, severity: audit.Low},
		{check: "data-relocatable", name: "copied", target: stored(func(c *audit.Census) {
			c.Copies = audit.Copies{Objects: 1, Named: []string{"secrets b/y"}}
		}, secrets), verdict: audit.Fail, codes: []string{"copied", "unbound"}, severity: audit.High, evidence: "secrets b/y"},
		{check: "data-relocatable", name: "plaintext", target: stored(nil, resource("pods", 1)), verdict: audit.Skip},
	}
	for _, check := range []string{"data-plaintext", "data-stale-key", "data-unknown-key", "data-weak-provider", "data-relocatable"} {
		all = append(all,
			fixture{check: check, name: "cut off", target: stored(cut), verdict: audit.Unknown, evidence: "no answer within 15s"},
			fixture{check: check, name: "not read", target: &audit.StoredData{Address: "192.0.2.1:2379"}, verdict: audit.Unknown, evidence: "not read"})
	}
	return all
}
