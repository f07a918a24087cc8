package agekey

import (
	"bytes"
	"errors"
	"testing"
)

// A file is foreign bytes: whole and opened, or an error that says nothing of the secrets.
// scrypt may cost no more than in the seeds, so that time and memory are the parser's.
func FuzzDecrypt(f *testing.F) {
	keyPEM := []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	x25519, ed := agePair(f, "x25519"), sshEd25519(f, 1)
	seeds := [][]byte{
		encryptFor(f, keyPEM, x25519.recipient),
		encryptFor(f, keyPEM, ed.recipient, x25519.recipient),
		encryptFor(f, keyPEM, agePair(f, "hybrid").recipient),
		encryptWith(f, keyPEM, testPassphrase),
	}
	for _, seed := range seeds {
		if len(seed) == 0 {
			f.Fatal("an empty seed")
		}
		raw := unarmored(f, seed)
		for _, data := range [][]byte{seed, seed[:len(seed)/2], append(seed, seed...), raw, raw[:len(raw)-1], append(raw, 0)} {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		byX25519, err := Decrypt(data, x25519.identity)
		check(t, byX25519, err, []byte(secretLine(t, x25519))[16:])
		bySSH, err := Decrypt(data, ed.identity)
		check(t, bySSH, err, ed.identity[40:])
		byPassphrase, err := decryptPassphrase(data, []byte(testPassphrase), testWorkFactor)
		check(t, byPassphrase, err, []byte(testPassphrase))

		has, err := HasPassphrase(data)
		if byPassphrase != nil && (!has || err != nil) {
			t.Fatalf("a passphrase opened it, and it says that it has none: %v", err)
		}
		if byPassphrase != nil && (byX25519 != nil || bySSH != nil) {
			t.Fatal("both a passphrase and an identity opened it")
		}
		if byX25519 != nil && bySSH != nil && !bytes.Equal(byX25519, bySSH) {
			t.Fatal("two identities opened it to two keys")
		}
	})
}

func check(t *testing.T, key []byte, err error, secret []byte) {
	t.Helper()
	if err != nil {
		if key != nil {
			t.Fatalf("%d bytes beside the error %v", len(key), err)
		}
		if errors.Is(err, ErrDamaged) && (errors.Is(err, ErrNoIdentity) || errors.Is(err, ErrWrongPassphrase)) {
			t.Fatalf("%v is two things at once", err)
		}
		wantNoSecret(t, err, secret)
		return
	}
	if len(key) == 0 || len(key) > maxKeySize {
		t.Fatalf("a key of %d bytes", len(key))
	}
	p := sshEd25519(t, 9)
	again, err := Decrypt(encryptFor(t, key, p.recipient), p.identity)
	if err != nil || !bytes.Equal(again, key) {
		t.Fatalf("what was decrypted cannot be encrypted again: %v", err)
	}
}
