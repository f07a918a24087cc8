// Package catalog has the only list of all checks, in order.
package catalog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/access"
	"github.com/etcdsec/etcdsec/audit/certificates"
	"github.com/etcdsec/etcdsec/audit/config"
	"github.com/etcdsec/etcdsec/audit/data"
	"github.com/etcdsec/etcdsec/audit/files"
	"github.com/etcdsec/etcdsec/audit/listeners"
	"github.com/etcdsec/etcdsec/audit/members"
	"github.com/etcdsec/etcdsec/audit/transport"
)

// All returns every check, in the order in which reports list them.
func All() []audit.Check { return With(members.Known()) }

// With does what [All] does, with another table of advisories than the built-in one.
func With(advisories members.Advisories) []audit.Check {
	return []audit.Check{
		listeners.ClientPlaintext(),
		listeners.ClientAnonymousRead(),
		listeners.ClientCertRequired(),
		listeners.ClientForeignCA(),
		listeners.ClientExpiredCert(),
		listeners.ClientWrongEKU(),
		listeners.ClientRevokedCert(),
		listeners.ClientSystemRoots(),
		listeners.GatewayEnabled(),
		listeners.V2APIEnabled(),
		listeners.PeerPlaintext(),
		listeners.PeerCertRequired(),
		listeners.PeerForeignCA(),
		listeners.PeerAcceptsClientCert(),
		listeners.PeerWrongSAN(),
		listeners.MetricsPlaintext(),
		listeners.MetricsExposed(),
		listeners.DebugExposed(),
		listeners.GRPCProxyExposed(),
		listeners.BrowserReachable(),
		transport.TLSVersionMin(),
		transport.TLSWeakCipher(),
		transport.TLSKeyExchange(),
		transport.TLSPostQuantum(),
		transport.TLSAutoCert(),
		transport.TLSRenegotiation(),
		transport.TLSCompression(),
		certificates.CertExpiry(),
		certificates.CertSANMismatch(),
		certificates.CertLifetime(),
		certificates.CertKeyStrength(),
		certificates.CertSignature(),
		certificates.CertEKU(),
		certificates.CertChain(),
		certificates.CertOutlivesCA(),
		certificates.CertSharedKey(),
		certificates.CertZlint(),
		certificates.CAUnique(),
		certificates.CAStale(),
		certificates.CANameCollision(),
		access.AuthDisabled(),
		access.AuthRootRole(),
		access.AuthOverbroadRole(),
		access.AuthCNUnmapped(),
		access.AuthUnauthenticatedRPC(),
		members.MemberURLPlaintext(),
		members.MemberCount(),
		members.MemberUnhealthy(),
		members.MemberLearnerStuck(),
		members.MemberZombie(),
		members.MemberDrift(),
		members.VersionVulnerable(advisories),
		members.VersionEOL(advisories),
		members.VersionSkew(),
		members.AlarmActive(),
		members.DBSize(),
		members.DBFragmented(),
		members.SnapshotAge(),
		members.RequestLatency(),
		members.LeaderChanges(),
		config.ClientTLS(),
		config.ClientCertAuth(),
		config.AutoTLS(),
		config.PeerTLS(),
		config.PeerCertAuth(),
		config.PeerAutoTLS(),
		config.UniqueCA(),
		config.APIServerEtcd(),
		config.Encryption(),
		config.CRLFormat(),
		config.CRLBypass(),
		config.TLS(),
		config.LogLevel(),
		config.UnsafeNoFsync(),
		config.Quota(),
		config.Sandbox(),
		config.IntentVsReality(),
		config.ListenerUnseen(),
		files.FileMode(),
		files.FileOwner(),
		files.CAKeyOnNode(),
		files.KeyWorldReadable(),
		data.Plaintext(),
		data.StaleKey(),
		data.UnknownKey(),
		data.WeakProvider(),
		data.Relocatable(),
		data.Residue(),
		data.SnapshotPlaintext(),
		data.SnapshotIntegrity(),
	}
}

// Find returns the check with an ID.
func Find(id string) (audit.Check, bool) {
	all := All()
	at := slices.IndexFunc(all, func(c audit.Check) bool { return c.ID == id })
	if at < 0 {
		return audit.Check{}, false
	}
	return all[at], true
}

// Near returns the IDs that a user who typed id may have meant, the likeliest first: those that
// differ in a few letters, then those that share a word with it.
func Near(id string) []string { return NearIn(audit.Abouts(All()), id) }

// NearIn does what [Near] does, for other checks.
func NearIn(checks []audit.About, id string) []string {
	typed := strings.ToLower(strings.ReplaceAll(id, "_", "-"))
	var near []string
	for _, c := range checks {
		if resembles(c.ID, typed) {
			near = append(near, c.ID)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(distance(a, typed), distance(b, typed)) })
	return near[:min(len(near), 3)]
}
