package agekey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func TestRecipientRefused(t *testing.T) {
	t.Parallel()
	x25519, hybrid, ed := agePair(t, "x25519"), agePair(t, "hybrid"), sshEd25519(t, 1)
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		recipient string
		want      string
	}{
		{"empty", "", "not a recipient"},
		{"a word", "alice", "not a recipient"},
		{"an identity", secretLine(t, x25519), "an identity, which is secret"},
		{"an identity in lower case", strings.ToLower(secretLine(t, hybrid)), "an identity, which is secret"},
		{"an identity of a plugin", "AGE-PLUGIN-YUBIKEY-1QQQQ", "an identity, which is secret"},
		{"a YubiKey", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "age plugin"},
		{"a tag", "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e", "age plugin"},
		{"a mistyped X25519", strings.Replace(x25519.recipient, "age1p", "age1q", 1), "a damaged age1… recipient"},
		{"half an X25519", x25519.recipient[:30], "a damaged age1… recipient"},
		{"a mistyped hybrid", hybrid.recipient[:len(hybrid.recipient)-1] + "q", "a damaged age1pq1… recipient"},
		{"half a hybrid", hybrid.recipient[:100], "a damaged age1pq1… recipient"},
		{"white space around it", " " + x25519.recipient, "not a recipient"},
		{"an ECDSA SSH key", authorizedKey(t, ecdsaKey.Public()), "age cannot encrypt for"},
		{"a security key", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t", "age cannot encrypt for"},
		{"an SSH certificate", "ssh-ed25519-cert-v01@openssh.com AAAA", "age cannot encrypt for"},
		{"half an SSH key", ed.recipient[:40], "a damaged SSH public key"},
		{"an SSH key of another type", "ssh-rsa " + strings.TrimPrefix(ed.recipient, "ssh-ed25519 "), "a damaged SSH public key"},
		{"two SSH keys", "ssh-ed25519 junk\n" + ed.recipient, "more than one line"},
		{"RSA of 1024 bits", rsaOf(1024), "want 2048"},
		{"RSA of 100000 bits", rsaOf(100000), "longer than"},
		{"a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", "not a recipient"},
		// The point of order 1: whoever encrypts to it shares nothing with anybody.
		{"a low-order X25519 point", "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya", "not a usable public key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file, err := Encrypt([]byte("key"), []string{ed.recipient, test.recipient})
			if err == nil || file != nil {
				t.Fatalf("accepted: %d bytes", len(file))
			}
			if !strings.Contains(err.Error(), "recipient 2: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error %q does not name recipient 2 and say %q", err, test.want)
			}
			wantNoSecret(t, err, []byte(test.recipient[min(len(test.recipient), 16):]))
		})
	}
}

// secretLine is the secret of an identity file.
func secretLine(t testing.TB, p pair) string {
	t.Helper()
	at := bytes.Index(p.identity, []byte("AGE-SECRET-KEY-"))
	if at < 0 {
		t.Fatalf("no secret in %s", p.name)
	}
	return strings.TrimSpace(string(p.identity[at:]))
}

// rsaOf is the line of an SSH public key whose modulus nobody factored.
func rsaOf(bits int) string {
	pub := rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}
	var blob []byte
	for _, part := range [][]byte{[]byte("ssh-rsa"), big.NewInt(int64(pub.E)).Bytes(), append([]byte{0}, pub.N.Bytes()...)} {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(part)))
		blob = append(blob, part...)
	}
	return "ssh-rsa " + base64.StdEncoding.EncodeToString(blob)
}

func TestRecipientKindsThatDoNotMix(t *testing.T) {
	t.Parallel()
	hybrid := agePair(t, "hybrid").recipient
	for _, classic := range []string{agePair(t, "x25519").recipient, sshEd25519(t, 1).recipient} {
		for _, recipients := range [][]string{{hybrid, classic}, {classic, hybrid}, {classic, classic, hybrid}} {
			_, err := Encrypt([]byte("key"), recipients)
			if err == nil || !strings.Contains(err.Error(), "post-quantum") {
				t.Errorf("%.12q: %v", recipients, err)
			}
		}
	}
	if _, err := Encrypt([]byte("key"), []string{hybrid, hybrid}); err != nil {
		t.Errorf("hybrid alone: %v", err)
	}
}

func TestParseRecipients(t *testing.T) {
	t.Parallel()
	x25519, hybrid, ed := agePair(t, "x25519"), agePair(t, "hybrid"), sshEd25519(t, 1)
	tests := []struct {
		name string
		text string
		want []string
		fail string
	}{
		{"one", x25519.recipient, []string{x25519.recipient}, ""},
		{"with comments", "# custodians\n\n" + x25519.recipient + "\r\n  # a safe\n\t" + ed.recipient + "  \n", []string{x25519.recipient, ed.recipient}, ""},
		{"empty", "", nil, "there is none in it"},
		{"only comments", "# nobody\n\n", nil, "there is none in it"},
		{"a bad line", "# custodians\n" + x25519.recipient + "\nbob\n", nil, "line 3: not a recipient"},
		{"an identity file", string(x25519.identity), nil, "line 3: an identity, which is secret"},
		{"a comment behind a recipient", x25519.recipient + " # safe", nil, "line 1: a damaged age1… recipient"},
		{"kinds that do not mix", x25519.recipient + "\n" + hybrid.recipient, nil, "post-quantum"},
		{"too many", strings.Repeat(x25519.recipient+"\n", maxRecipients+1), nil, "65 recipients"},
		{"too large", strings.Repeat("\n", MaxFileSize+1), nil, "larger than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseRecipients([]byte(test.text))
			if test.fail == "" {
				if err != nil || !slices.Equal(got, test.want) {
					t.Fatalf("%q, %v", got, err)
				}
				return
			}
			if err == nil || got != nil || !strings.Contains(err.Error(), test.fail) {
				t.Fatalf("%q, %v; want %q", got, err, test.fail)
			}
			wantNoSecret(t, err, []byte(secretLine(t, x25519))[16:])
		})
	}
}

func TestIdentitiesRefused(t *testing.T) {
	t.Parallel()
	x25519, hybrid, ed := agePair(t, "x25519"), agePair(t, "hybrid"), sshEd25519(t, 1)
	file := encryptFor(t, rootKey(t), x25519.recipient)
	secret := secretLine(t, x25519)
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKey := sshPrivate(1)
	tests := []struct {
		name     string
		identity string
		want     string
	}{
		{"empty", "", "0 in the file; want 1 to 64"},
		{"only comments", "# nothing\n", "0 in the file; want 1 to 64"},
		{"a word", "# mine\nhunter2hunter2\n", "line 2: not an identity; want AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…"},
		{"a recipient", x25519.recipient, "line 1: a recipient, which cannot decrypt; want AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…"},
		{"an SSH recipient", ed.recipient, "line 1: a recipient, which cannot decrypt; want AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…"},
		{"a plugin's", "AGE-PLUGIN-YUBIKEY-1QQQQ", "line 1: an identity of an age plugin, and no plugin is run here; decrypt the key with age -d"},
		{"mistyped", secret[:40] + "Q" + secret[41:], "line 1: a damaged AGE-SECRET-KEY-1… identity"},
		{"with another 1 in it", secret[:40] + "1" + secret[41:], "line 1: a damaged AGE-SECRET-KEY-1… identity"},
		{"with a character that is none of bech32", secret[:40] + "B" + secret[41:], "line 1: a damaged AGE-SECRET-KEY-1… identity"},
		{"cut short", secret[:50], "line 1: a damaged AGE-SECRET-KEY-1… identity"},
		{"a damaged hybrid", secretLine(t, hybrid) + "B", "line 1: a damaged AGE-SECRET-KEY-PQ-1… identity"},
		{"too many", strings.Repeat(secret+"\n", maxIdentities+1), "65 in the file; want 1 to 64"},
		{"too large", strings.Repeat("\n", MaxFileSize+1), "larger than 262144 bytes"},
		{"encrypted itself", string(encryptFor(t, x25519.identity, x25519.recipient)), "the file is itself encrypted; decrypt it first, with age -d"},
		{"encrypted itself, in binary", "age-encryption.org/v1\n-> X25519 AAAA\n", "the file is itself encrypted; decrypt it first, with age -d"},
		{"an SSH key with a passphrase", string(marshalSSH(t, edKey, []byte("x"))), "take the passphrase off a copy with ssh-keygen -p, or decrypt the key with age -d"},
		{"an ECDSA SSH key", string(marshalSSH(t, ecdsaKey, nil)), "a damaged private key, or not an SSH key of type ed25519 or RSA"},
		{"half an SSH key", string(ed.identity[:len(ed.identity)/2]), "a damaged private key, or not an SSH key of type ed25519 or RSA"},
		{"an unencrypted root key", string(rootKey(t)), "a damaged private key, or not an SSH key of type ed25519 or RSA"},
		{"a large SSH key", "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat("A", maxSSHIdentitySize), "an SSH private key of more than 16384 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Decrypt(file, []byte(test.identity))
			if err == nil || got != nil {
				t.Fatalf("accepted: %d bytes", len(got))
			}
			// To its end: a cause behind it would be age's own, which names what it read.
			if !strings.HasPrefix(err.Error(), "reading identities: ") || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("the error %q does not end with %q", err, test.want)
			}
			wantNoSecret(t, err, []byte(secret)[16:], []byte(test.identity)[min(len(test.identity), 24):])
		})
	}
}

func FuzzRecipients(f *testing.F) {
	for _, p := range []pair{agePair(f, "x25519"), agePair(f, "hybrid"), sshEd25519(f, 1)} {
		if p.recipient == "" {
			f.Fatalf("%s: no seed", p.name)
		}
		for _, text := range []string{p.recipient, "# x\n\r\n" + p.recipient + "\r\n", p.recipient[:20], p.recipient + "\n" + p.recipient} {
			f.Add([]byte(text))
		}
	}
	for _, text := range []string{rsaOf(2048), "age1yubikey1qqqq", "ssh-rsa AAAA", "AGE-SECRET-KEY-1"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		recipients, err := ParseRecipients(text)
		if err != nil {
			return
		}
		again, err := ParseRecipients([]byte(strings.Join(recipients, "\n")))
		if err != nil || !slices.Equal(again, recipients) {
			t.Fatalf("%q became %q: %v", recipients, again, err)
		}
		if _, err := Encrypt([]byte("key"), recipients); err != nil {
			t.Fatalf("recipients that were accepted are refused: %v", err)
		}
	})
}

func FuzzIdentities(f *testing.F) {
	file := encryptFor(f, []byte("key"), agePair(f, "x25519").recipient)
	for _, p := range pairs(f) {
		if len(p.identity) == 0 {
			f.Fatalf("%s: no seed", p.name)
		}
		f.Add(p.identity)
		f.Add(p.identity[:len(p.identity)/2])
		f.Add(fmt.Appendf(nil, "%s\n%s", p.identity, p.identity))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := Decrypt(file, text)
		if (err == nil) != (string(key) == "key") {
			t.Fatalf("%q, %v", key, err)
		}
	})
}
