package status

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcdsec/etcdsec/pki"
)

// Dial returns the certificates that a server at host:port presents, leaf first. Both
// results may be set: a server may present some and refuse the caller.
type Dial func(ctx context.Context, address string) ([]*x509.Certificate, error)

// maxConcurrent limits how many endpoints are asked at once. One that does not answer takes the
// whole time that it may take.
const maxConcurrent = 16

// Compare asks each address for its certificate, and compares it with its certificate on the disk.
// It calls progress, if not nil, after each answer, from several goroutines.
func Compare(ctx context.Context, addresses []string, dial Dial, onDisk []Held, now time.Time, progress func(done, total int)) []Row {
	rows := make([]Row, len(addresses))
	turns := make(chan struct{}, maxConcurrent)
	var done atomic.Int64
	var wg sync.WaitGroup
	for i, address := range addresses {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			chain, err := dial(ctx, address)
			rows[i] = compare(address, chain, err, onDisk, now)
			if n := done.Add(1); progress != nil {
				progress(int(n), len(addresses))
			}
		})
	}
	wg.Wait()
	return rows
}

// compare returns the row of the certificate that an address presents.
func compare(address string, chain []*x509.Certificate, dialErr error, onDisk []Held, now time.Time) Row {
	live := pki.Status{Source: address, Name: address, Role: RoleLive, Chain: chain}
	if dialErr == nil {
		live.State, live.Detail = pki.Judge(chain, now)
	} else {
		live.State, live.Detail = pki.StateUnreadable, dialErr.Error()
	}
	row := newRow(live, now)
	if len(chain) == 0 {
		return row
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return row
	}
	disk, ok := counterpart(chain[0], host, onDisk)
	if !ok {
		return row
	}
	row.Name = disk.Name
	serial := pki.SerialString(disk.Chain[0].SerialNumber)
	switch {
	case disk.Chain[0].Equal(chain[0]):
		row.Live = LiveServed
	case disk.Chain[0].NotBefore.Before(chain[0].NotBefore):
		row.Live, row.Detail = LiveDiskPast, fmt.Sprintf("%s has serial number %s, which is older", disk.Source, serial)
	case disk.InStore:
		row.Live, row.Detail = LiveBehind, fmt.Sprintf("%s has serial number %s; copy it to the node", disk.Source, serial)
	default:
		row.Live, row.Detail = LiveRestart, fmt.Sprintf("%s has serial number %s, and the server presents another", disk.Source, serial)
	}
	return row
}

// counterpart finds the certificate on the disk for a host, with the key usages of the served
// certificate. If there are several, it prefers the same certificate, then one with the same key,
// then one with the same subject.
func counterpart(served *x509.Certificate, host string, onDisk []Held) (Held, bool) {
	var candidates []Held
	for _, h := range onDisk {
		if len(h.Chain) == 0 || h.Role == pki.RoleCA || h.Chain[0].VerifyHostname(host) != nil {
			continue
		}
		if slices.Equal(pki.EKUNames(h.Chain[0].ExtKeyUsage), pki.EKUNames(served.ExtKeyUsage)) {
			candidates = append(candidates, h)
		}
	}
	if len(candidates) == 0 {
		return Held{}, false
	}
	for _, same := range []func(cert *x509.Certificate) bool{
		served.Equal,
		func(cert *x509.Certificate) bool {
			key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
			return ok && key.Equal(served.PublicKey)
		},
		func(cert *x509.Certificate) bool { return slices.Equal(cert.RawSubject, served.RawSubject) },
	} {
		if at := slices.IndexFunc(candidates, func(h Held) bool { return same(h.Chain[0]) }); at >= 0 {
			return candidates[at], true
		}
	}
	return candidates[0], true
}
