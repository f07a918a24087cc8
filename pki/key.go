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
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

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

// ParseKey reads the private key of a PEM file: PKCS #8, PKCS #1 or SEC 1. Like etcd, it skips other
// text and other blocks, such as a certificate in the same file or EC PARAMETERS. Errors never quote
// the input.
func ParseKey(keyPEM []byte) (crypto.Signer, error) {
	blocks, err := parsePEM(keyPEM, "pkey")
	if err != nil {
		return nil, err
	}
	keys := slices.DeleteFunc(slices.Clone(blocks), func(b pemBlock) bool { return !b.isKey() })
	switch {
	case len(keys) == 0 && blocks[0].Type == pemCertificate:
		return nil, errNoKey
	case len(keys) == 0:
		return nil, fmt.Errorf("a PEM block of type %q, want a private key", blocks[0].Type)
	case len(keys) > 1:
		return nil, fmt.Errorf("it has %d private keys; etcd uses the first and ignores the others: remove them", len(keys))
	}
	block := keys[0]
	if len(block.Bytes) > maxKeySize {
		return nil, fmt.Errorf("it has %d bytes, which no key that TLS takes has", len(block.Bytes))
	}
	key := parseKeyDER(block.Bytes)
	if key == nil {
		return nil, errors.New("it is damaged, encrypted or of an unknown algorithm") // the cause could quote key bytes
	}
	if !isCanonical(key, block.Bytes) || !bytes.Equal(removeBreaks(bytes.TrimRight(block.text, " \t\r\n")), removeBreaks(pem.EncodeToMemory(block.Block))) {
		return nil, errors.New("it is damaged, or not in the form that `openssl pkey` writes")
	}
	return key, nil
}

// maxKeySize is more than the DER of an RSA key with 16,384 bits has. To check the primes of a larger key
// takes minutes.
const maxKeySize = 12 << 10

// errNoKey means that a file holds a certificate and no private key.
var errNoKey = errors.New("a certificate, want a private key")

// parseKeyDER reads a key in any of the forms, whatever the type of its block says, as crypto/tls
// does. It returns nil if the key is in none of them.
func parseKeyDER(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

// isCanonical reports whether nothing in a key's DER is unknown or contradicts the rest. The parsers
// ignore unknown parts, and a damaged public half, which openssl would use.
func isCanonical(key crypto.Signer, der []byte) bool {
	var forms [][]byte
	add := func(form []byte, err error) {
		if err == nil {
			forms = append(forms, form)
		}
	}
	add(x509.MarshalPKCS8PrivateKey(key))
	switch k := key.(type) {
	case *rsa.PrivateKey:
		add(x509.MarshalPKCS1PrivateKey(k), nil)
	case *ecdsa.PrivateKey:
		sec1, err := x509.MarshalECPrivateKey(k)
		add(sec1, err)
		for _, inner := range ecForms(sec1) {
			add(inner, nil)
			add(insidePKCS8(forms[0], inner))
		}
	}
	return slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Equal(form, der) })
}

// ecPrivateKey is the ECPrivateKey of RFC 5915.
type ecPrivateKey struct {
	Version    int
	PrivateKey []byte
	Curve      asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
	PublicKey  asn1.BitString        `asn1:"optional,explicit,tag:1"`
}

// ecForms returns an elliptic key without its optional parts, which not every program writes: the
// curve, the public half, or both.
func ecForms(sec1 []byte) [][]byte {
	var whole ecPrivateKey
	if rest, err := asn1.Unmarshal(sec1, &whole); err != nil || len(rest) > 0 {
		return nil
	}
	forms := [][]byte{sec1}
	for _, form := range []ecPrivateKey{
		{Version: whole.Version, PrivateKey: whole.PrivateKey, Curve: whole.Curve},
		{Version: whole.Version, PrivateKey: whole.PrivateKey},
	} {
		if der, err := asn1.Marshal(form); err == nil {
			forms = append(forms, der)
		}
	}
	return forms
}

// insidePKCS8 returns a PKCS #8 key with another key in its place.
func insidePKCS8(pkcs8, inner []byte) ([]byte, error) {
	var outer struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	if _, err := asn1.Unmarshal(pkcs8, &outer); err != nil {
		return nil, err
	}
	outer.PrivateKey = inner
	return asn1.Marshal(outer)
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

// keyHash identifies the key of a certificate.
func keyHash(cert *x509.Certificate) string {
	return publicKeyHash(cert.PublicKey, cert.RawSubjectPublicKeyInfo)
}

// publicKeyHash identifies a key: the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal. It encodes
// the key anew, because parsers accept some keys in several encodings, such as an RSA key with more
// bytes behind it. Only a key of an unknown kind is identified by the encoding that was read.
func publicKeyHash(pub crypto.PublicKey, read []byte) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		der = read
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
