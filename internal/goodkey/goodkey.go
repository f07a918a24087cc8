// Package goodkey refuses public keys that no TLS peer takes, or whose private half others know
// or can compute. Its rules are those of boulder (letsencrypt/boulder goodkey), for the keys that
// Go's TLS takes.
package goodkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

// CheckEncoded is [Check] and [CheckEncoding].
func CheckEncoded(key crypto.PublicKey, encoded []byte) error {
	if err := Check(key); err != nil {
		return err
	}
	return CheckEncoding(key, encoded)
}

// CheckEncoding checks the SubjectPublicKeyInfo from which crypto/x509 read a key. It must be the one
// that crypto/x509 writes: a key in another one is not recognised by programs that compare encodings, so
// that one that was revoked could come back.
func CheckEncoding(key crypto.PublicKey, encoded []byte) error {
	if canonical, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(canonical, encoded) {
		return errors.New("its key is not in the one encoding that a key has in requests and certificates (DER, RFC 5280), which openssl and etcdsec write")
	}
	return nil
}

// Check checks a key. It takes less than a second, because it looks at the size first.
func Check(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return checkRSA(key)
	case *ecdsa.PublicKey:
		return checkECDSA(key)
	case ed25519.PublicKey:
		return checkEd25519(key)
	}
	return fmt.Errorf("its key has type %T, which etcd cannot use", key)
}

// guesses is the number of the smallest private keys that anybody would try first.
const guesses = 16

func checkECDSA(key *ecdsa.PublicKey) error {
	if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
		return fmt.Errorf("its key is on curve %s, want P-256, P-384 or P-521", key.Curve.Params().Name)
	}
	if _, err := key.ECDH(); err != nil {
		return errors.New("its key is not a point of its curve")
	}
	point, err := key.Bytes()
	if err != nil {
		return err
	}
	private := make([]byte, (key.Params().N.BitLen()+7)/8)
	for guess := range byte(guesses) {
		private[len(private)-1] = guess + 1
		guessed, err := ecdsa.ParseRawPrivateKey(key.Curve, private)
		if err != nil {
			return err
		}
		known, err := guessed.PublicKey.Bytes()
		if err != nil {
			return err
		}
		// The first half is x. The negative of a point has it too, and its key is as well known.
		if half := 1 + len(private); bytes.Equal(known[:half], point[:half]) {
			return errors.New("its key is one that everybody can guess")
		}
	}
	return nil
}
