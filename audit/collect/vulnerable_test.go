package collect_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// The release that kubeadm 1.36 installs is real and vulnerable; all else about it is in order.
func TestVulnerableRelease(t *testing.T) {
	s := newSite(t)
	s.start(t, etcdtest.Vulnerable, flags(s.clientMTLS(), s.peerMTLS()))
	compare(t, runAudit(t, s.endpoints(0), s.credentials()), map[string]string{
		"client/version-vulnerable": "fail CVE-2026-33186,CVE-2026-33343,CVE-2026-33413,CVE-2026-44283,CVE-2026-73499,CVE-2026-73500,GHSA-3wh4-j44w-pg92,GHSA-hrxh-6v49-42gf",
	})
}
