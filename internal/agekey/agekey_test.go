package agekey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
)

// A pair is one who can open a file: what it is encrypted to, and with what it is opened.
type pair struct {
	name      string
	recipient string
	identity  []byte
}

// pairs are one of every kind that Encrypt takes.
func pairs(t testing.TB) []pair {
	t.Helper()
	return []pair{agePair(t, "x25519"), agePair(t, "hybrid"), sshEd25519(t, 1), sshRSA(t)}
}

// agePair is an identity file that age-keygen wrote.
func agePair(t testing.TB, name string) pair {
	t.Helper()
	identity, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(identity), "# public key: ")
	recipient, _, _ := strings.Cut(after, "\n")
	if !ok || recipient == "" {
		t.Fatalf("%s.txt names no public key", name)
	}
	return pair{name, recipient, identity}
}

// sshPrivate is the same key for the same seed, so that a fuzzer's workers share it.
func sshPrivate(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func sshEd25519(t testing.TB, seed byte) pair {
	t.Helper()
	key := sshPrivate(seed)
	return sshPair(t, "ssh-ed25519", key, key.Public())
}

func sshRSA(t testing.TB) pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return sshPair(t, "ssh-rsa", key, key.Public())
}

func sshPair(t testing.TB, name string, key, pub any) pair {
	t.Helper()
	return pair{name, authorizedKey(t, pub) + " operator@example", marshalSSH(t, key, nil)}
}

func authorizedKey(t testing.TB, pub any) string {
	t.Helper()
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub)))
}

func marshalSSH(t testing.TB, key any, passphrase []byte) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "operator@example")
	if passphrase != nil {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "operator@example", passphrase)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// rootKey is a key as a store has it.
func rootKey(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func encryptFor(t testing.TB, keyPEM []byte, recipients ...string) []byte {
	t.Helper()
	file, err := Encrypt(keyPEM, recipients)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// unarmored is a file without its armor.
func unarmored(t testing.TB, file []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(armor.NewReader(bytes.NewReader(file))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantNoSecret fails when an error holds eight bytes in a row of a secret.
func wantNoSecret(t testing.TB, err error, secrets ...[]byte) {
	t.Helper()
	const window = 8
	for _, secret := range secrets {
		for i := 0; i+window <= len(secret); i++ {
			if part := string(secret[i : i+window]); strings.Contains(err.Error(), part) {
				t.Fatalf("the error %q holds %q of a secret", err, part)
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	for _, p := range pairs(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			file := encryptFor(t, keyPEM, p.recipient)
			if !bytes.HasPrefix(file, []byte(armor.Header+"\n")) || !bytes.HasSuffix(file, []byte("\n"+armor.Footer+"\n")) {
				t.Errorf("not armored:\n%s", file)
			}
			for form, data := range map[string][]byte{
				"armored":           file,
				"binary":            unarmored(t, file),
				"with CRLF":         bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")),
				"after empty lines": append([]byte("\n\n"), file...),
			} {
				if got, err := Decrypt(data, p.identity); err != nil || !bytes.Equal(got, keyPEM) {
					t.Errorf("%s: %d bytes, %v", form, len(got), err)
				}
				if has, err := HasPassphrase(data); has || err != nil {
					t.Errorf("%s: has a passphrase %t, %v", form, has, err)
				}
			}
			if again := encryptFor(t, keyPEM, p.recipient); bytes.Equal(again, file) {
				t.Error("the same file twice: nothing in it is random")
			}
		})
	}
}

// Each of several recipients opens the file, and nobody else.
func TestSeveralRecipients(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	inside := []pair{agePair(t, "x25519"), sshEd25519(t, 1), sshRSA(t)}
	var recipients []string
	for _, p := range inside {
		recipients = append(recipients, p.recipient)
	}
	file := encryptFor(t, keyPEM, recipients...)
	for _, p := range inside {
		if got, err := Decrypt(file, p.identity); err != nil || !bytes.Equal(got, keyPEM) {
			t.Errorf("%s: %d bytes, %v", p.name, len(got), err)
		}
	}
	for _, p := range []pair{agePair(t, "hybrid"), sshEd25519(t, 2), sshRSA(t)} {
		got, err := Decrypt(file, p.identity)
		if !errors.Is(err, ErrNoIdentity) || errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("%s, who is no recipient: %d bytes, %v", p.name, len(got), err)
			continue
		}
		if want := `tried 1 on its 3 recipients of the types "X25519", "ssh-ed25519", "ssh-rsa"`; !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not say %q", err, want)
		}
	}
}

// An identity file may hold several identities, of which any opens the file.
func TestSeveralIdentities(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	x25519, hybrid := agePair(t, "x25519"), agePair(t, "hybrid")
	both := append(append([]byte("\n  # both\r\n"), x25519.identity...), hybrid.identity...)
	for _, p := range []pair{x25519, hybrid} {
		if got, err := Decrypt(encryptFor(t, keyPEM, p.recipient), both); err != nil || !bytes.Equal(got, keyPEM) {
			t.Errorf("%s: %d bytes, %v", p.name, len(got), err)
		}
	}
}

// Every single altered byte is seen. Only one in the recipients' part, which nothing but
// the right identity authenticates, looks like a file for somebody else.
func TestAlteredByte(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	p := agePair(t, "x25519")
	file := unarmored(t, encryptFor(t, keyPEM, p.recipient))
	headerEnd := bytes.Index(file, []byte("\n--- "))
	if headerEnd < 0 {
		t.Fatal("no end of the recipients found")
	}
	noIdentity := 0
	for i := range file {
		altered := bytes.Clone(file)
		altered[i] ^= 1
		got, err := Decrypt(altered, p.identity)
		switch {
		case err == nil || got != nil:
			t.Fatalf("byte %d altered: it opens, to %d bytes", i, len(got))
		case i < headerEnd && errors.Is(err, ErrNoIdentity):
			noIdentity++
		case !errors.Is(err, ErrDamaged):
			t.Errorf("byte %d altered: %v", i, err)
		}
		wantNoSecret(t, err, keyPEM, []byte(secretLine(t, p)))
	}
	if noIdentity == 0 {
		t.Error("no altered recipient looked like another's")
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	p := agePair(t, "x25519")
	file := encryptFor(t, keyPEM, p.recipient)
	raw := unarmored(t, file)
	block, _ := pem.Decode(keyPEM)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "header"},
		{"an unencrypted key", keyPEM, "header"},
		{"an unencrypted key in DER", block.Bytes, "header"},
		{"an identity file", p.identity, "header"},
		{"armor around something else", []byte(armor.Header + "\nAAAA\n" + armor.Footer + "\n"), "header"},
		{"no end of the armor", file[:len(file)-10], "armor"},
		{"armor cut in a line", file[:len(file)/2], "armor"},
		{"another character in the armor", bytes.Replace(file, []byte("\n"), []byte("\n!"), 1), "armor"},
		{"something behind the armor", append(bytes.Clone(file), "junk"...), "armor"},
		{"two files", append(bytes.Clone(file), file...), "armor"},
		{"cut in the header", raw[:50], "header"},
		{"cut behind the header", raw[:bytes.Index(raw, []byte("\n--- "))+49], "header"},
		{"cut in the content", raw[:len(raw)-1], "content"},
		{"something behind the content", append(bytes.Clone(raw), 0), "content"},
		{"too large", bytes.Repeat([]byte("\n"), MaxFileSize+1), "larger than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Decrypt(test.data, p.identity)
			if !errors.Is(err, ErrDamaged) || errors.Is(err, ErrNoIdentity) || got != nil {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error %q does not name the %s", err, test.want)
			}
			wantNoSecret(t, err, keyPEM, block.Bytes, []byte(secretLine(t, p)))
		})
	}
	for n := range raw {
		if got, err := Decrypt(raw[:n], p.identity); err == nil || got != nil {
			t.Fatalf("the first %d of %d bytes open, to %d bytes", n, len(raw), len(got))
		}
	}
}

// A file can be whole and still be no key, or ask for too much.
func TestFileThatIsNoKey(t *testing.T) {
	t.Parallel()
	p := agePair(t, "x25519")
	recipient, err := age.ParseX25519Recipient(p.recipient)
	if err != nil {
		t.Fatal(err)
	}
	write := func(size, recipients int) []byte {
		t.Helper()
		var all []age.Recipient
		for range recipients {
			all = append(all, recipient)
		}
		var file bytes.Buffer
		w, err := age.Encrypt(&file, all...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	tests := []struct {
		name             string
		size, recipients int
		want             string // empty: it opens
	}{
		{"empty", 0, 1, "empty or larger"},
		{"one byte", 1, 1, ""},
		{"as large as a key may be", maxKeySize, 1, ""},
		{"a byte larger", maxKeySize + 1, 1, "empty or larger"},
		{"much larger", MaxFileSize / 2, 1, "empty or larger"},
		{"as many recipients as are read", 100, maxRecipients, ""},
		{"one recipient more", 100, maxRecipients + 1, "65 recipients"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Decrypt(write(test.size, test.recipients), p.identity)
			if test.want == "" {
				if err != nil || len(got) != test.size {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				return
			}
			if err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bytes, %v; want %q", len(got), err, test.want)
			}
			if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNoIdentity) {
				t.Errorf("%v is neither damage nor a wrong identity", err)
			}
		})
	}
}

func TestKeyThatIsNotEncrypted(t *testing.T) {
	t.Parallel()
	p := agePair(t, "x25519")
	for name, size := range map[string]int{"empty": 0, "too large": maxKeySize + 1} {
		if file, err := Encrypt(make([]byte, size), []string{p.recipient}); err == nil || file != nil {
			t.Errorf("%s: %d bytes", name, len(file))
		}
	}
}

// What can be encrypted can be opened again, whatever the recipients weigh.
func TestMostRecipients(t *testing.T) {
	t.Parallel()
	keyPEM := make([]byte, 4<<10)
	hybrid := agePair(t, "hybrid")
	var recipients []string
	for range maxRecipients {
		recipients = append(recipients, hybrid.recipient)
	}
	if got, err := Decrypt(encryptFor(t, keyPEM, recipients...), hybrid.identity); err != nil || !bytes.Equal(got, keyPEM) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := Encrypt(keyPEM, append(recipients, hybrid.recipient)); err == nil || !strings.Contains(err.Error(), "65 recipients") {
		t.Errorf("one more: %v", err)
	}
	if _, err := Encrypt(keyPEM, nil); err == nil || !strings.Contains(err.Error(), "0 recipients") {
		t.Errorf("none: %v", err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		t.Fatal(err)
	}
	// An RSA-4096 recipient takes 0.7 KiB, so 64 of them and the largest key still fit.
	p := sshPair(t, "ssh-rsa", large, large.Public())
	for i := range recipients {
		recipients[i] = p.recipient
	}
	if got, err := Decrypt(encryptFor(t, make([]byte, maxKeySize), recipients...), p.identity); err != nil || len(got) != maxKeySize {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
