package collect

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"github.com/etcdsec/etcdsec/audit"
)

// askStanding finds out what the caller may read, and whether etcd's authentication is on.
// AuthStatus would tell, but it makes a raft entry. A Range with a token that the server never
// issued also tells: etcd refuses it if authentication is on, before it looks at the keys, and
// answers it if authentication is off (etcd server/auth/store.go, AuthInfoFromCtx, in 3.4 to
// 3.7).
func (p *prober) askStanding(ctx context.Context, access audit.Access) []audit.RPC {
	var calls []audit.RPC
	if access == audit.WithCredentials { // the others are asked anyway
		calls = append(calls, p.countKeys(ctx, access))
	}
	token, _ := p.call(ctx, access, audit.BadTokenRangeRPC)
	calls = append(calls, token)
	if token.RefusesToken() {
		call, _ := p.call(ctx, access, audit.BadTokenMemberListRPC)
		calls = append(calls, call)
	}
	return calls
}

// commonName returns the CN of the leaf; empty if there is none.
func commonName(given *tls.Certificate) string {
	if given == nil || len(given.Certificate) == 0 {
		return ""
	}
	leaf, err := x509.ParseCertificate(given.Certificate[0])
	if err != nil {
		return ""
	}
	return cleanText(leaf.Subject.CommonName)
}
