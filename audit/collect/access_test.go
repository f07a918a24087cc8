package collect_test

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
)

// enableAuth makes the users root, "auditor", who reads everything, and "narrow", who reads a little.
func enableAuth(t *testing.T, s *site) {
	t.Helper()
	client := s.etcd(t)
	ctx := t.Context()
	everything := clientv3.GetPrefixRangeEnd("")
	for _, step := range []func() error{
		func() error { _, err := client.Put(ctx, "key", "value"); return err },
		func() error { _, err := client.UserAdd(ctx, "root", "correct horse"); return err },
		func() error { _, err := client.RoleAdd(ctx, "root"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := client.RoleAdd(ctx, "reader"); return err },
		func() error {
			_, err := client.RoleGrantPermission(ctx, "reader", "\x00", everything, clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error {
			_, err := client.UserAddWithOptions(ctx, "auditor", "", &clientv3.UserAddOptions{NoPassword: true})
			return err
		},
		func() error { _, err := client.UserGrantRole(ctx, "auditor", "reader"); return err },
		func() error { _, err := client.RoleAdd(ctx, "little"); return err },
		func() error {
			_, err := client.RoleGrantPermission(ctx, "little", "/registry/", "/registry0", clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error {
			_, err := client.UserAddWithOptions(ctx, "narrow", "", &clientv3.UserAddOptions{NoPassword: true})
			return err
		},
		func() error { _, err := client.UserGrantRole(ctx, "narrow", "little"); return err },
		func() error { _, err := client.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// What certificates are let do by members with authentication, without a trace in their logs.
func TestAccess(t *testing.T) {
	for _, version := range append(etcdtest.Versions(), etcdtest.Vulnerable) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.start(t, version, flags(s.clientMTLS(), s.peerMTLS()))
			wantCheck(t, s.auditAs(t, "auditor"), "auth-disabled", "pass authentication is off")
			enableAuth(t, s)
			log := s.dataFiles(t)

			vulnerable := version == etcdtest.Vulnerable
			noUser := "skip look alike"
			if vulnerable { // its Status looks for the user
				noUser = "fail no-such-user"
			}
			for _, c := range []struct {
				name                      string
				root, overbroad, unmapped string
			}{
				{"auditor", "skip look alike", "fail whole-keyspace", `pass "auditor" is let in`},
				{"root", "fail root", "fail whole-keyspace", `pass "root" is let in`},
				{"narrow", "pass not root", "pass permission denied", "skip look alike"},
				{"nobody", "pass not root", "pass permission denied", noUser},
				{"", "pass not root", "pass permission denied", "fail no-name"},
			} {
				report := s.auditAs(t, c.name)
				wantCheck(t, report, "auth-disabled", "pass authentication is on")
				wantCheck(t, report, "auth-root-role", c.root)
				wantCheck(t, report, "auth-overbroad-role", c.overbroad)
				wantCheck(t, report, "auth-cn-unmapped", c.unmapped)
				settled := strings.Contains(resultOf(t, report, "version-vulnerable").Evidence, "seen in what the member does")
				if vulnerable {
					wantCheck(t, report, "auth-unauthenticated-rpc", "fail member-list")
				} else {
					wantCheck(t, report, "auth-unauthenticated-rpc", "pass "+s.client)
				}
				if settled != vulnerable {
					t.Errorf("version-vulnerable: settled by behaviour: %t", settled)
				}
			}
			if after := s.dataFiles(t); after != log {
				t.Errorf("files before:\n%s\nafter:\n%s", log, after)
			}
		})
	}
}

// auditAs presents a certificate of the client CA with a common name.
func (s *site) auditAs(t *testing.T, name string) audit.Report {
	t.Helper()
	leaf := newLeaf(t, s.clientCA, pki.LeafTemplate{CommonName: name, EKUs: bothEKUs})
	endpoints := s.endpoints(0)
	for i := range endpoints {
		endpoints[i].ClusterName = "test" // a member that refuses every call does not tell its cluster
	}
	return auditClusters(t, endpoints, collect.Credentials{Certificate: &leaf, Roots: s.clientCA.Pool()}, s.now)
}

// Certificates are no users where client-cert-auth is off, though the trusted CA requires them.
func TestNamesNotLookedAt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, etcdtest.V3_6, flags(s.clientTLS(), "--trusted-ca-file="+s.path("ca.crt"), s.peerSharedCA()))
	wantCheck(t, s.auditAs(t, "auditor"), "auth-disabled", "fail shared-ca")
	enableAuth(t, s)
	report := s.auditAs(t, "auditor")
	wantCheck(t, report, "auth-cn-unmapped", "fail not-looked-at")
	wantCheck(t, report, "auth-root-role", "pass no user")
}

// Everybody is root where neither certificates nor users are asked for.
func TestEverybodyIsRoot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags func(s *site) []string
		code  string
	}{
		"plaintext":      {(*site).clientPlain, "no-certificate"},
		"no certificate": {(*site).clientTLS, "no-certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.start(t, etcdtest.V3_7, flags(c.flags(s), s.peerMTLS()))
			wantCheck(t, auditClusters(t, s.endpoints(0), collect.Credentials{}, s.now), "auth-disabled", "fail "+c.code)
		})
	}
}
