// Package cfsslca signs leaves with cfssl and protects against its traps. cfssl silently accepts
// an unknown profile, a lifetime longer than the CA's, an invalid host, and a subject or an extension
// from the CSR. This package refuses them or never gives them to cfssl. It is the only importer of
// cfssl.
package cfsslca

import (
	"crypto"
	"crypto/fips140"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudflare/cfssl/config"
	cflog "github.com/cloudflare/cfssl/log"
	"github.com/cloudflare/cfssl/signer"
	"github.com/cloudflare/cfssl/signer/local"

	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
)

// Signer signs leaves with one CA.
type Signer struct {
	ca    *x509.Certificate
	local *local.Signer
}

// The profiles of the policy: one for each set of extended key usages that an etcd cluster needs.
const (
	profileServer = "server"
	profileClient = "client"
	profilePeer   = "peer"
)

// New makes a signer out of a CA's certificate and key.
func New(ca *x509.Certificate, key crypto.Signer) (*Signer, error) {
	if fips140.Enforced() {
		// cfssl 1.6.5 computes subject key IDs with SHA-1 and panics here.
		return nil, errors.New("cfssl cannot sign under GODEBUG=fips140=only; use fips140=on")
	}
	silence()
	s, err := local.NewSigner(key, ca, signer.DefaultSigAlgo(key), policy())
	if err != nil {
		return nil, fmt.Errorf("preparing the signer: %v", err)
	}
	return &Signer{ca: ca, local: s}, nil
}

func policy() *config.Signing {
	profile := func(usages ...string) *config.SigningProfile {
		return &config.SigningProfile{
			Usage:  append([]string{"digital signature"}, usages...),
			Expiry: time.Hour, // required by cfssl; every request carries its own NotAfter
			// Without a whitelist the CSR's subject and names would be taken as they are.
			CSRWhitelist: &config.CSRWhitelist{PublicKey: true, PublicKeyAlgorithm: true, SignatureAlgorithm: true},
			// CopyExtensions stays off: it lets the CSR override key usage and EKU.
			ClientProvidesSerialNumbers: true,
		}
	}
	return &config.Signing{
		Default: profile("server auth"),
		Profiles: map[string]*config.SigningProfile{
			profileServer: profile("server auth"),
			profileClient: profile("client auth"),
			profilePeer:   profile("server auth", "client auth"),
		},
	}
}

// profileFor returns the name of the profile for a set of EKUs. cfssl uses the default profile for
// an unknown name, so this function returns only names of the policy.
func profileFor(ekus []x509.ExtKeyUsage) (string, error) {
	var server, client bool
	for _, eku := range ekus {
		switch eku {
		case x509.ExtKeyUsageServerAuth:
			server = true
		case x509.ExtKeyUsageClientAuth:
			client = true
		default:
			return "", fmt.Errorf("no profile for extended key usage %d", eku)
		}
	}
	switch {
	case server && client:
		return profilePeer, nil
	case server:
		return profileServer, nil
	case client:
		return profileClient, nil
	}
	return "", errors.New("no profile without an extended key usage")
}

// Sign returns the signed certificate. It uses only the key of the CSR. The caller verifies the
// certificate before it is released.
func (s *Signer) Sign(r leafcert.Request, csrDER []byte) (*x509.Certificate, error) {
	profile, err := profileFor(r.EKUs)
	if err != nil {
		return nil, err
	}
	if err := r.Check(s.ca); err != nil {
		return nil, err
	}
	certPEM, err := s.local.Sign(signer.SignRequest{
		Request:   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csrDER})),
		Profile:   profile,
		Hosts:     r.Hosts(),
		Subject:   &signer.Subject{CN: r.CommonName},
		Serial:    r.Serial,
		NotBefore: r.NotBefore,
		NotAfter:  r.NotAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("signing: %v", err)
	}
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("signing: cfssl returned no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// silence turns off cfssl's global logger, which prints a line to stderr for every signature.
var silence = sync.OnceFunc(func() {
	cflog.Level = cflog.LevelFatal
	cflog.SetLogger(discard{})
})

type discard struct{}

func (discard) Debug(string)   {}
func (discard) Info(string)    {}
func (discard) Warning(string) {}
func (discard) Err(string)     {}
func (discard) Crit(string)    {}
func (discard) Emerg(string)   {}
