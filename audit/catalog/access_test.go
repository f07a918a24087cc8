package catalog_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// accessFixtures judge clusters of three members by what they let the given certificate do.
func accessFixtures(t *testing.T) []fixture {
	t.Helper()
	const (
		denied       = "etcdserver: permission denied"
		userEmpty    = "etcdserver: user name is empty"
		invalidToken = "etcdserver: invalid auth token"
	)
	answer := func(call *audit.RPC, code int, message string) {
		call.Code, call.Message, call.Refusal = code, message, audit.RefusalOf(message)
	}
	off := func(change func(c *audit.EtcdCluster)) *audit.EtcdCluster { return clusterOf(t, 3, change) }
	// on is with authentication, and what a Range of the given certificate gets.
	on := func(code int, message string, change func(client *audit.Listener)) *audit.EtcdCluster {
		return clusterOf(t, 3, func(c *audit.EtcdCluster) {
			for _, client := range c.Of(audit.Client) {
				answer(rpc(t, client, audit.RangeRPC), code, message)
				answer(rpc(t, client, audit.BadTokenRangeRPC), 16, invalidToken)
				client.RPCs = append(client.RPCs, audit.RPC{Attempt: answered, Access: audit.WithCredentials, Method: audit.BadTokenMemberListRPC, Code: 16, Message: invalidToken, Refusal: audit.InvalidToken})
				if change != nil {
					change(client)
				}
			}
		})
	}
	named := func(name string) func(client *audit.Listener) {
		return func(client *audit.Listener) { client.GivenName = name }
	}
	mute := clusterOf(t, 3, func(c *audit.EtcdCluster) {
		for i := range 3 {
			gone(c, i, silent)
		}
	})
	anonymousOnly := on(0, "", func(client *audit.Listener) {
		client.RPCs = []audit.RPC{{Attempt: answered, Access: audit.InPlaintext, Method: audit.RangeRPC, Code: 3, Message: userEmpty, Refusal: audit.UserEmpty}}
		client.Handshakes = client.Handshakes[:1]
	})
	unclear := on(14, "etcdserver: no leader", nil)
	tokenSilent := off(func(c *audit.EtcdCluster) {
		for _, client := range c.Of(audit.Client) {
			rpc(t, client, audit.BadTokenRangeRPC).Attempt = silent
		}
	})
	memberList := func(attempt audit.Attempt, code int, message string) *audit.EtcdCluster {
		return on(7, denied, func(client *audit.Listener) {
			call := rpc(t, client, audit.BadTokenMemberListRPC)
			call.Attempt = attempt
			answer(call, code, message)
		})
	}
	// Of 3.4 an unknown token tells nothing: it is refused with authentication and without.
	v34 := func(client *audit.Listener) { client.Version = "3.4.45" }
	var all []fixture
	for _, check := range []string{"auth-root-role", "auth-overbroad-role", "auth-cn-unmapped", "auth-unauthenticated-rpc"} {
		all = append(all,
			fixture{check: check, name: "authentication off", target: off(nil), verdict: audit.Skip, evidence: "is off"},
			fixture{check: check, name: "silent", target: mute, verdict: audit.Unknown, evidence: "no answer"},
			fixture{check: check, name: "the call that tells is silent", target: tokenSilent, verdict: audit.Unknown, evidence: "no answer"},
		)
		if check != "auth-unauthenticated-rpc" {
			all = append(all,
				fixture{check: check, name: "no certificate given", target: anonymousOnly, verdict: audit.Skip, evidence: "no client certificate"},
				fixture{check: check, name: "another answer", target: unclear, verdict: audit.Unknown, evidence: "no leader"},
			)
		}
	}
	return append(all,
		fixture{check: "auth-disabled", name: "on", target: on(0, "", nil), verdict: audit.Pass, evidence: "is on"},
		fixture{check: "auth-disabled", name: "on, seen without credentials", target: anonymousOnly, verdict: audit.Pass, evidence: "is on"},
		fixture{check: "auth-disabled", name: "off, a CA of its own", target: off(nil), verdict: audit.Pass, evidence: "every certificate of the client CA is root"},
		fixture{check: "auth-disabled", name: "off, the peers' CA too", verdict: audit.Fail, codes: []string{"shared-ca"}, evidence: "192.0.2.2:2380",
			target: off(func(c *audit.EtcdCluster) { handshake(c.Of(audit.Peer)[1], audit.GivenCertificate).Attempt = answered })},
		fixture{check: "auth-disabled", name: "off, a peer port that asks for nothing", verdict: audit.Pass,
			target: off(func(c *audit.EtcdCluster) {
				peer := c.Of(audit.Peer)[1]
				handshake(peer, audit.GivenCertificate).Attempt = answered
				handshake(peer, audit.NoCertificate).Attempt = answered
			})},
		fixture{check: "auth-disabled", name: "off, the API server's CA too", verdict: audit.Fail, codes: []string{"shared-ca"}, evidence: "apiserver port 192.0.2.1:6443",
			target: off(func(c *audit.EtcdCluster) {
				c.Listeners = append(c.Listeners, &audit.Listener{Address: "192.0.2.1:6443", Kind: audit.APIServer, Handshakes: []audit.Handshake{
					{Presented: audit.NoCertificate, SpokeTLS: true, CertificateRequested: true, AcceptableCAs: [][]byte{{0x31, 0}, {0x30, 0}}},
				}})
			})},
		fixture{check: "auth-disabled", name: "off, the system's CAs", verdict: audit.Fail, codes: []string{"any-ca"},
			target: off(func(c *audit.EtcdCluster) { handshake(c.Of(audit.Client)[1], audit.NoCertificate).AcceptableCAs = nil })},
		fixture{check: "auth-disabled", name: "off, no certificate", verdict: audit.Fail, codes: []string{"no-certificate"}, evidence: "everyone who reaches it is root",
			target: off(func(c *audit.EtcdCluster) {
				h := handshake(c.Of(audit.Client)[1], audit.NoCertificate)
				h.Attempt, h.CertificateRequested, h.AcceptableCAs = answered, false, nil
			})},
		fixture{check: "auth-disabled", name: "off, a page without TLS and a call that times out", verdict: audit.Unknown, evidence: "192.0.2.1:2379",
			target: off(func(c *audit.EtcdCluster) {
				client := c.Of(audit.Client)[0]
				client.Plaintext.Attempt, client.Plaintext.Status = answered, 200
				client.RPCs = append([]audit.RPC{{Attempt: silent, Access: audit.InPlaintext, Method: audit.RangeRPC}}, client.RPCs...)
			})},
		fixture{check: "auth-disabled", name: "silent", target: mute, verdict: audit.Unknown},

		fixture{check: "auth-disabled", name: "3.4, all is read", target: on(0, "", v34), verdict: audit.Unknown, evidence: "whether its authentication is on or off"},
		fixture{check: "auth-disabled", name: "3.4, denied", target: on(7, denied, v34), verdict: audit.Pass, evidence: "permission denied"},
		fixture{check: "auth-root-role", name: "3.4, denied", target: on(7, denied, v34), verdict: audit.Pass, evidence: "not root"},

		fixture{check: "auth-root-role", name: "root", target: on(0, "", named("root")), verdict: audit.Fail, codes: []string{"root"}},
		fixture{check: "auth-root-role", name: "reads all", target: on(0, "", nil), verdict: audit.Skip, evidence: "look the same"},
		fixture{check: "auth-root-role", name: "denied", target: on(7, denied, nil), verdict: audit.Pass, evidence: "not root"},
		fixture{check: "auth-root-role", name: "no user", target: on(3, userEmpty, nil), verdict: audit.Pass},

		fixture{check: "auth-overbroad-role", name: "reads all", target: on(0, "", nil), verdict: audit.Fail, codes: []string{"whole-keyspace"}, evidence: "all 42 keys"},
		fixture{check: "auth-overbroad-role", name: "denied", target: on(7, denied, nil), verdict: audit.Pass},
		fixture{check: "auth-overbroad-role", name: "no user", target: on(3, userEmpty, nil), verdict: audit.Pass},

		fixture{check: "auth-cn-unmapped", name: "let in", target: on(0, "", nil), verdict: audit.Pass, evidence: `"auditor"`},
		fixture{check: "auth-cn-unmapped", name: "denied", target: on(7, denied, nil), verdict: audit.Skip, evidence: "look the same"},
		fixture{check: "auth-cn-unmapped", name: "no common name", target: on(3, userEmpty, named("")), verdict: audit.Fail, codes: []string{"no-name"}},
		fixture{check: "auth-cn-unmapped", name: "no common name, denied", target: on(7, denied, named("")), verdict: audit.Fail, codes: []string{"no-name"}},
		fixture{check: "auth-cn-unmapped", name: "not looked at", target: on(3, userEmpty, nil), verdict: audit.Fail, codes: []string{"not-looked-at"}},
		fixture{check: "auth-cn-unmapped", name: "no such user", verdict: audit.Fail, codes: []string{"no-such-user"}, evidence: `common name "auditor"`,
			target: on(7, denied, func(client *audit.Listener) {
				answer(rpc(t, client, audit.StatusRPC), 9, "etcdserver: user name not found")
			})},

		fixture{check: "auth-unauthenticated-rpc", name: "refused", target: on(7, denied, nil), verdict: audit.Pass, evidence: "192.0.2.3:2379"},
		fixture{check: "auth-unauthenticated-rpc", name: "answered", target: memberList(answered, 0, ""), verdict: audit.Fail, codes: []string{"member-list"}},
		fixture{check: "auth-unauthenticated-rpc", name: "times out", target: memberList(silent, 0, ""), verdict: audit.Unknown, evidence: "no answer"},
		fixture{check: "auth-unauthenticated-rpc", name: "another answer", target: memberList(answered, 14, "etcdserver: no leader"), verdict: audit.Unknown, evidence: "no leader"},
	)
}
