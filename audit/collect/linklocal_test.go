package collect_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// A member is audited at a link-local address as at any other one: certificates and requests have no zone.
func TestLinkLocal(t *testing.T) {
	if !netns.Inside(t, "10.99.0.3/32") {
		return
	}
	ip, err := netns.Tool("ip")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), ip, "address", "add", "fe80::1/64", "dev", "lo", "nodad").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := newSite(t)
	s.serve(t, throwaway.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP("fe80::1")}})
	_, port, _ := strings.Cut(s.client, ":")
	s.start(t, etcdtest.V3_6, flags(s.clientMTLS(), "--listen-client-urls=https://[::]:"+port, s.peerMTLS()))
	address, err := collect.ParseAddress("[fe80::1%lo]:" + port)
	if err != nil {
		t.Fatal(err)
	}
	report := runAudit(t, []collect.Endpoint{{Address: address, Kind: audit.Client}}, s.credentials())
	seen := 0
	for _, r := range report.Results {
		switch r.CheckID {
		case "cert-san-mismatch", "client-cert-required", "client-foreign-ca", "client-plaintext", "debug-exposed":
			seen++
			if r.Verdict != audit.Pass {
				t.Errorf("%s: %s, %s", r.CheckID, r.Verdict, r.Evidence)
			}
		}
	}
	if seen != 5 {
		t.Errorf("%d of 5 results: %+v", seen, report.Summary)
	}
}
