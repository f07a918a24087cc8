package collect

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"github.com/etcdsec/etcdsec/pki/throwaway"
)

const (
	// maxStrangers bounds the certificates that are kept: a fleet has a CA for each cluster, and
	// a CA's name is far shorter than maxStrangerName.
	maxStrangers    = 1000
	maxStrangerName = 1 << 10
)

// strangers makes certificates of CAs that nobody trusts. It makes each only once: all members of
// a cluster trust a CA with the same name.
type strangers struct {
	now time.Time

	mu   sync.Mutex
	made map[string]*tls.Certificate
}

func newStrangers(now time.Time) *strangers {
	return &strangers{now: now, made: map[string]*tls.Certificate{}}
}

// forCA returns a certificate of an untrusted CA that has the name of another CA, given as raw
// subject. If the name is nil, the untrusted CA has its own name.
func (s *strangers) forCA(rawSubject []byte) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.made[string(rawSubject)]; known != nil {
		return known, nil
	}
	stranger, err := newStranger(rawSubject, s.now)
	if err == nil && len(s.made) < maxStrangers && len(rawSubject) <= maxStrangerName {
		s.made[string(rawSubject)] = stranger
	}
	return stranger, err
}

// newStranger makes the certificate of a CA that nobody trusts. The CA's name is the given raw
// subject, or its own name if that is nil.
func newStranger(rawSubject []byte, now time.Time) (*tls.Certificate, error) {
	ca, err := throwaway.New(throwaway.Config{
		CommonName: "etcdsec audit: not to be trusted",
		RawSubject: rawSubject,
		NotBefore:  now.Add(-time.Hour),
		NotAfter:   now.Add(24 * time.Hour),
	})
	if err != nil {
		return nil, err
	}
	// No SAN: etcd's peer port compares the SANs of a client with its address, and skips
	// that for a certificate without any. Only the CA is to be judged here. The CN tells
	// who reads the server's log what this was.
	leaf, err := ca.Leaf(throwaway.Leaf{
		CommonName: "etcdsec-audit",
		EKUs:       []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	return &leaf, nil
}
