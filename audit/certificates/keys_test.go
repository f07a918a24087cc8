package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"
)

// A key is the same one, however a certificate encodes it.
func TestKeysAreComparedAsUnderstood(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key *ecdsa.PrivateKey, encoding string) *x509.Certificate {
		return &x509.Certificate{PublicKey: key.Public(), RawSubjectPublicKeyInfo: []byte(encoding)}
	}
	if !sameKey(with(key, "one"), with(key, "two")) || sameKey(with(key, "one"), with(other, "one")) {
		t.Error("keys are compared by their encodings")
	}
	unknown := func(encoding string) *x509.Certificate {
		return &x509.Certificate{RawSubjectPublicKeyInfo: []byte(encoding)}
	}
	if !sameKey(unknown("one"), unknown("one")) || sameKey(unknown("one"), unknown("two")) {
		t.Error("keys of an unknown kind are not compared by their encodings")
	}
}
