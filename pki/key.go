package pki

import (
	"bytes"
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

// encodeKey returns the key as PKCS #8 in PEM, which etcd, kube-apiserver and openssl read.
func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads one private key in PEM: PKCS #8, PKCS #1 or SEC 1. Only white space may come before
// or after it. Errors never quote the input.
func ParseKey(keyPEM []byte) (crypto.Signer, error) {
	text := bytes.TrimSpace(keyPEM)
	if err := checkPEM(text, "pkey"); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return nil, errors.New("no PEM block at its start")
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("its PEM block is cut short or damaged")
	}
	if again, _ := pem.Decode(rest); again != nil {
		return nil, fmt.Errorf("it has more than one PEM block; the second is %q", again.Type)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("there is text after its PEM block")
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
		return nil, errors.New("it is damaged, encrypted or of an unknown algorithm") // the cause could quote key bytes
	}
	if !isCanonical(key, block) || !bytes.Equal(removeBreaks(text[:len(text)-len(rest)]), removeBreaks(pem.EncodeToMemory(block))) {
		return nil, errors.New("it is damaged, or not in the form that `openssl pkey` writes")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

// isCanonical reports whether a key's DER is the one that Go and openssl write. The parsers ignore
// unknown parts, and a damaged public half, which openssl would use.
func isCanonical(key any, block *pem.Block) bool {
	var again []byte
	var err error
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if block.Type == "EC PRIVATE KEY" {
			again, err = x509.MarshalECPrivateKey(k)
			break
		}
		again, err = x509.MarshalPKCS8PrivateKey(k)
	case *rsa.PrivateKey:
		if block.Type == "RSA PRIVATE KEY" {
			again = x509.MarshalPKCS1PrivateKey(k)
			break
		}
		again, err = x509.MarshalPKCS8PrivateKey(k)
	default:
		again, err = x509.MarshalPKCS8PrivateKey(k)
	}
	return err == nil && bytes.Equal(again, block.Bytes)
}

func removeBreaks(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r"), nil), []byte("\n"), nil)
}

// samePublicKey reports whether two public keys are equal.
func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// certHash identifies a certificate: the SHA-256 of its DER, in hexadecimal.
func certHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// keyHash identifies a key: the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
func keyHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
