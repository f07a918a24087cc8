package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// secretsGiven returns files with a secret that somebody gives in the place of another file, by what is in
// them, and the secret of each.
func secretsGiven(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	random := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef!#%&/()=?<>|*+~^"))
	return map[string]string{
		"a key in PEM":             string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"an identity of age":       "# created: 2026-01-01\nAGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0S7GH8LW\n",
		"a passphrase":             "correct horse battery staple\n",
		"a passphrase as mapping":  "correct: horse: battery staple: yes\n",
		"a password as mapping":    "hunter2hunter2: horsebattery\n",
		"a password of digits":     "314159265358979323846\n",
		"a password with a mark":   "!correcthorse &batterystaple *hunter2hunter2\n",
		"a password with a brace":  "{correct%zz: horsebatterystaple\n",
		"a password in brackets":   "[correcthorse, batterystaple]\n",
		"a password in JSON":       `{"correcthorse": "batterystaple", "items": "hunter2hunter2"}` + "\n",
		"a text of JSON":           `"correcthorsebatterystaple"` + "\n",
		"a password of two lines":  "correcthorse\nbatterystaple\n",
		"a password with a scheme": "https://correct:horse%zzbattery@staple\n",
		"a password like a list":   "- correcthorse\n- batterystaple\n",
		"a password in quotes":     "kind: correcthorsebatterystaple\napiVersion: hunter2hunter2\n\tx",
		"random bytes":             random + "\n",
		"random bytes in iptables": "*filter\n-A " + random + "\nCOMMIT\n",
		"random bytes as variable": "ETCD_" + random + "\n",
	}
}

// leak returns eight bytes of the secret that the output has; empty if it has none. What the test itself
// says in the words of a format is no secret.
func leak(output, secret string) string {
	const run = 8
	for line := range strings.Lines(secret) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "-----") || strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimPrefix(line, "AGE-SECRET-KEY-1") // which every identity has
		for at := 0; at+run <= len(line); at++ {
			piece := line[at : at+run]
			if strings.Contains(output, piece) && !strings.Contains("kind: apiVersion: ExecStart= [Service] https://", strings.TrimSpace(piece)) {
				return piece
			}
		}
	}
	return ""
}

// A secret that is given in the place of another file is never printed.
func TestGivenSecrets(t *testing.T) {
	g := newGiven(t)
	dir := t.TempDir()
	n := 0
	for name, secret := range secretsGiven(t) {
		n++
		file := filepath.Join(dir, fmt.Sprint(n))
		clitest.WriteFile(t, file, []byte(secret))
		for _, line := range g.lines {
			if slices.Contains(line, "--root-key-passphrase-file") && strings.Count(secret, "\n") == 1 {
				continue // it is a passphrase, and encrypts: this takes long and is tested elsewhere
			}
			_, output := runSoon(t, g.with(line, file))
			if found := leak(output, secret); found != "" {
				t.Errorf("%s: %s prints %q:\n%s", name, strings.Join(line, " "), found, output)
			}
		}
	}
}

// A key that others can read is refused wherever it is given, with the command that mends it; so is one that
// others can exchange.
func TestGivenKeysOfOthers(t *testing.T) {
	g := newGiven(t)
	data, err := os.ReadFile(g.words["KEY"])
	if err != nil {
		t.Fatal(err)
	}
	open, shared := filepath.Join(t.TempDir(), "open.key"), filepath.Join(t.TempDir(), "shared")
	exchangeable := filepath.Join(shared, "client.key")
	if err := os.Mkdir(shared, 0o700); err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, open, data)
	clitest.WriteFile(t, exchangeable, data)
	if err := errors.Join(os.Chmod(open, 0o644), os.Chmod(shared, 0o777)); err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, line := range g.lines {
		text := strings.Join(line, " ")
		if !strings.Contains(text, "--key FILE") && !strings.Contains(text, "CERT,FILE") {
			continue
		}
		keys++
		for file, mend := range map[string]string{open: "chmod 600 " + open, exchangeable: "chmod go-w " + shared} {
			status, output := runSoon(t, g.with(line, file))
			if status == statusDone || !strings.Contains(output, mend) || !strings.Contains(output, file) && !strings.Contains(output, shared) {
				t.Errorf("%s: status %d, want %q\n%s", text, status, mend, output)
			}
		}
	}
	if keys == 0 {
		t.Error("no line gives a key")
	}
}
