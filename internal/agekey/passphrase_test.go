package agekey

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
)

// testWorkFactor keeps scrypt in the milliseconds; the default has a test of its own.
const testWorkFactor = 4

const testPassphrase = "correct horse battery staple"

func encryptWith(t testing.TB, keyPEM []byte, passphrase string) []byte {
	t.Helper()
	file, err := encryptPassphrase(keyPEM, []byte(passphrase), testWorkFactor)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPassphraseRoundTrip(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	for _, passphrase := range []string{testPassphrase, "spaces at the end   ", "ÄÖÜ äöü ß 漢字かな交じり文"} {
		file := encryptWith(t, keyPEM, passphrase)
		for form, data := range map[string][]byte{"armored": file, "binary": unarmored(t, file)} {
			if got, err := DecryptPassphrase(data, []byte(passphrase)); err != nil || !bytes.Equal(got, keyPEM) {
				t.Errorf("%q, %s: %d bytes, %v", passphrase, form, len(got), err)
			}
			if has, err := HasPassphrase(data); !has || err != nil {
				t.Errorf("%s: has a passphrase %t, %v", form, has, err)
			}
		}
	}
}

// One file at the cost that files are written with.
func TestPassphraseDefaultCost(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	file, err := EncryptPassphrase(keyPEM, []byte(testPassphrase))
	if err != nil {
		t.Fatal(err)
	}
	stanzas, err := readHeader(file)
	if err != nil || len(stanzas) != 1 || len(stanzas[0].Args) != 2 || stanzas[0].Args[1] != "18" {
		t.Fatalf("not one recipient with the work factor 18: %v, %v", stanzas, err)
	}
	if got, err := DecryptPassphrase(file, []byte(testPassphrase)); err != nil || !bytes.Equal(got, keyPEM) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestPassphraseWrong(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	file := encryptWith(t, keyPEM, testPassphrase)
	for _, passphrase := range []string{"", "x", testPassphrase + "\n", strings.ToUpper(testPassphrase), strings.Repeat("x", 1<<20)} {
		got, err := DecryptPassphrase(file, []byte(passphrase))
		if !errors.Is(err, ErrWrongPassphrase) || errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("%.40q: %d bytes, %v", passphrase, len(got), err)
			continue
		}
		wantNoSecret(t, err, []byte(passphrase), keyPEM)
	}
}

// An identity file and a passphrase do not open each other's files, and the error says so.
func TestPassphraseOrIdentity(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	p := agePair(t, "x25519")
	_, err := Decrypt(encryptWith(t, keyPEM, testPassphrase), p.identity)
	if !errors.Is(err, ErrNoIdentity) || !strings.Contains(err.Error(), "encrypted with a passphrase") {
		t.Errorf("an identity on a file with a passphrase: %v", err)
	}
	_, err = DecryptPassphrase(encryptFor(t, keyPEM, p.recipient), []byte(testPassphrase))
	if !errors.Is(err, ErrNoIdentity) || errors.Is(err, ErrWrongPassphrase) || !strings.Contains(err.Error(), `"X25519"`) {
		t.Errorf("a passphrase on a file for a recipient: %v", err)
	}
}

func TestPassphraseAlteredByte(t *testing.T) {
	t.Parallel()
	keyPEM := rootKey(t)
	file := unarmored(t, encryptWith(t, keyPEM, testPassphrase))
	headerEnd := bytes.Index(file, []byte("\n--- "))
	if headerEnd < 0 {
		t.Fatal("no end of the recipients found")
	}
	for i := range file {
		altered := bytes.Clone(file)
		altered[i] ^= 1
		got, err := decryptPassphrase(altered, []byte(testPassphrase), testWorkFactor+1)
		if err == nil || got != nil {
			t.Fatalf("byte %d altered: it opens, to %d bytes", i, len(got))
		}
		if i >= headerEnd && !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d altered: %v", i, err)
		}
		wantNoSecret(t, err, keyPEM, []byte(testPassphrase))
	}
}

// A file may ask for any amount of memory. What is too much is refused before any of it is
// taken, and not called damage.
func TestPassphraseCost(t *testing.T) {
	file := unarmored(t, encryptWith(t, rootKey(t), testPassphrase))
	tests := []struct {
		factor  string
		damaged bool
	}{
		{"21", false},
		{"30", false},
		{"62", false},
		{"9223372036854775807", false},
		{"9223372036854775808", true},
		{"0", true},
		{"-1", true},
		{"04", true},
		{"4x", true},
	}
	for _, test := range tests {
		t.Run(test.factor, func(t *testing.T) {
			costly := bytes.Replace(file, []byte(" 4\n"), []byte(" "+test.factor+"\n"), 1)
			if bytes.Equal(costly, file) {
				t.Fatal("no work factor found")
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := DecryptPassphrase(costly, []byte(testPassphrase))
			runtime.ReadMemStats(&after)
			if err == nil || got != nil || errors.Is(err, ErrDamaged) != test.damaged || errors.Is(err, ErrWrongPassphrase) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if want := "at most 2^20 is spent, which takes 1024 MiB"; !test.damaged && !strings.Contains(err.Error(), want) {
				t.Errorf("the error %q does not say %q", err, want)
			}
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
				t.Errorf("%d bytes were taken", taken)
			}
		})
	}
}

// A passphrase beside another recipient would open to who does not know it.
func TestPassphraseBesideARecipient(t *testing.T) {
	t.Parallel()
	p := agePair(t, "x25519")
	recipient, err := age.ParseX25519Recipient(p.recipient)
	if err != nil {
		t.Fatal(err)
	}
	scrypt, err := age.NewScryptRecipient(testPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	scrypt.SetWorkFactor(testWorkFactor)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, unlabelled{scrypt}, recipient)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := DecryptPassphrase(file.Bytes(), []byte(testPassphrase)); !errors.Is(err, ErrDamaged) || got != nil {
		t.Errorf("with the passphrase: %d bytes, %v", len(got), err)
	}
	if got, err := Decrypt(file.Bytes(), p.identity); err == nil || got != nil {
		t.Errorf("with the identity: %d bytes, %v", len(got), err)
	}
}

// unlabelled hides the label by which age keeps a passphrase alone in its file.
type unlabelled struct{ age.Recipient }

func TestCheckPassphrase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		passphrase string
		want       string // empty: accepted
	}{
		{"five words", "eternal erase keen suffer fog", ""},
		{"15 characters", "abcdefghijklmno", ""},
		{"14 characters", "abcdefghijklmn", "fewer than 15 characters"},
		{"15 bytes of fewer characters", "äöüßäöüß", "fewer than 15 characters"},
		{"15 characters beyond ASCII", "äöüßéèêëçñõãåøæ", ""},
		{"empty", "", "fewer than 15 characters"},
		{"one character", strings.Repeat("a", 40), "fewer than 6 different"},
		{"five characters", strings.Repeat("abcde", 8), "fewer than 6 different"},
		{"six characters", strings.Repeat("abcdef", 8), ""},
		{"a line end", testPassphrase + "\n", "cannot be typed"},
		{"a tab", "correct\thorse battery", "cannot be typed"},
		{"a zero byte", "correct\x00horse battery", "cannot be typed"},
		{"broken UTF-8", "correct\xffhorse battery", "cannot be typed"},
		{"the longest", strings.Repeat("correct!", maxPassphrase/8), ""},
		{"too long", strings.Repeat("correct!", maxPassphrase/8) + "!", "1025 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := CheckPassphrase([]byte(test.passphrase))
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			wantNoSecret(t, err, []byte(test.passphrase))
			if file, err := EncryptPassphrase([]byte("key"), []byte(test.passphrase)); err == nil || file != nil {
				t.Errorf("a key was encrypted with it: %v", err)
			}
		})
	}
}

func TestParsePassphrase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, want string
		refused          bool
	}{
		{"no line end", testPassphrase, testPassphrase, false},
		{"a line end", testPassphrase + "\n", testPassphrase, false},
		{"a line end of Windows", testPassphrase + "\r\n", testPassphrase, false},
		{"spaces count", " x \n", " x ", false},
		{"two line ends", testPassphrase + "\n\n", "", true},
		{"two lines", "one\ntwo\n", "", true},
		{"empty", "", "", true},
		{"an empty line", "\n", "", true},
		{"too long", strings.Repeat("x", maxPassphrase+1), "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePassphrase([]byte(test.text))
			if string(got) != test.want || (err != nil) != test.refused {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil {
				wantNoSecret(t, err, []byte(test.text))
			}
		})
	}
}
