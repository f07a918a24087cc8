package collect

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"github.com/etcdsec/etcdsec/audit"
)

// askStanding asks what the caller may read, and whether etcd's authentication is on: there is
// no call that says so and makes no raft entry (AuthStatus makes one). A Range with a token
// that the server never gave out tells: it is refused where authentication is on, before
// the keys are looked at, and answered where it is off (etcd server/auth/store.go,
// AuthInfoFromCtx, in 3.4 to 3.7).
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

// commonName returns that of the leaf; empty if there is none.
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
