package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/etcdsec/etcdsec/cluster"
)

// generateKey makes a private key from the system's random source.
func generateKey(algorithm cluster.KeyAlgorithm) (crypto.Signer, error) {
	switch algorithm {
	case cluster.ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case cluster.ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case cluster.RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case cluster.RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case cluster.Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return nil, fmt.Errorf("unknown key algorithm %q", algorithm)
	}
}

// encodeKey is PKCS #8 in PEM, which etcd, kube-apiserver and openssl all read.
func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads one private key in PEM: PKCS #8, PKCS #1 or SEC 1. Errors never quote the input.
func ParseKey(keyPEM []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("no PEM block in it")
	}
	if again, _ := pem.Decode(rest); again != nil {
		return nil, fmt.Errorf("more than one PEM block in it; the second is %q", again.Type)
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block of type %q, want a private key", block.Type)
	}
	if err != nil {
		return nil, errors.New("damaged, encrypted or of an unknown algorithm") // the cause could quote key bytes
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

// samePublicKey says whether two public keys are equal.
func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// keyHash identifies a key: the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
func keyHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
