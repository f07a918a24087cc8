package main

import (
	"strings"
	"testing"
)

// Completion offers names of a store, the next item of a list, and what flags with few values take.
func TestCompletion(t *testing.T) {
	g := newGiven(t)
	store := g.words["STORE"]
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"pki", "renew", store, "audi"}, "auditor"},
		{[]string{"pki", "revoke", store, "audi"}, "auditor"},
		{[]string{"audit", "list", "--checks", "cert-chain,cert-exp"}, "cert-chain,cert-expiry"},
		{[]string{"audit", "run", "--min-tls", ""}, "1.3"},
		{[]string{"audit", "run", "--present", ""}, "revoked="},
		{[]string{"audit", "run", "-o", "html=" + store + "/clus"}, "html=" + store + "/cluster.yaml"},
		{[]string{"init", "--runtime", ""}, "static-pod"},
	} {
		_, stdout, _ := etcdsec(t, append([]string{"__complete"}, c.line...)...)
		if !strings.Contains("\n"+stdout, "\n"+c.want) {
			t.Errorf("%q: %q is not offered:\n%s", c.line, c.want, stdout)
		}
	}
}

// A mistyped flag names the nearest, and --version is that of etcdsec.
func TestMistypedFlags(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"audit run --cafile x":       "the nearest is --cacert",
		"audit run --ca-file x":      "the nearest is --cacert",
		"audit census --endpoint x":  "the nearest is --endpoints",
		"audit run --fail-onn high":  "the nearest is --fail-on",
		"pki renew d --dryrun":       "the nearest is --dry-run",
		"pki renew d --new_key":      "the nearest is --new-key",
		"bootstrap --spec c.yaml d":  "the nearest is --file",
		"pki status d --format json": "the nearest is --output",
		"audit run --qqqqq":          "unknown flag: --qqqqq",
	} {
		status, _, stderr := etcdsec(t, strings.Fields(line)...)
		if status != statusUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %s", line, status, stderr)
		}
	}
	_, version, _ := etcdsec(t, "version")
	for _, flag := range []string{"--version", "-v"} {
		if status, stdout, _ := etcdsec(t, flag); status != statusDone || stdout != version {
			t.Errorf("%s: status %d, %q", flag, status, stdout)
		}
	}
}
