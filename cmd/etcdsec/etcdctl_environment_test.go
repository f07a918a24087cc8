package main

import (
	"strings"
	"testing"
)

// The variables of etcdctl stand in for flags that were not given.
func TestEtcdctlEnvironment(t *testing.T) {
	g := newGiven(t)
	t.Setenv("ETCDCTL_ENDPOINTS", "https://127.0.0.1:1")
	t.Setenv("ETCDCTL_CERT", g.words["CERT"])
	t.Setenv("ETCDCTL_KEY", g.words["KEY"])
	for line, want := range map[string]string{
		"audit census": "using ETCDCTL_ENDPOINTS, ETCDCTL_CERT, ETCDCTL_KEY",
		"audit census --endpoints https://127.0.0.1:2":    "using ETCDCTL_CERT, ETCDCTL_KEY",
		"audit run 127.0.0.1:1":                           "using ETCDCTL_CERT, ETCDCTL_KEY",
		"audit run 127.0.0.1:1 --key " + g.words["KEY"]:   "using ETCDCTL_CERT of",
		"audit run 127.0.0.1:1 --pki " + g.words["STORE"]: "",
	} {
		_, stdout, stderr := etcdsec(t, strings.Fields(line)...)
		if !strings.Contains(stderr, want) || (want == "") == strings.Contains(stderr, "ETCDCTL_") {
			t.Errorf("%s: %q, %s", line, stderr, stdout)
		}
	}
}
