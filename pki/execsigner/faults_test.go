package execsigner_test

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/execsigner"
)

func newSigner(ctx context.Context, t *testing.T, argv []string, public crypto.PublicKey) *execsigner.Signer {
	t.Helper()
	signer, err := execsigner.New(ctx, execsigner.Config{Supervisor: supervisor(), Argv: argv, Key: "root", Public: public})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func sign(signer crypto.Signer) ([]byte, error) {
	sum := sha256.Sum256([]byte("what is signed"))
	return signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// signOnce is the first signature of a plugin that gave its public key in order.
func signOnce(t *testing.T, argv []string, public crypto.PublicKey) ([]byte, error) {
	t.Helper()
	return sign(newSigner(t.Context(), t, argv, public))
}

// The plugin of the tests signs when nothing else is asked of it, so that the faults below
// are those that they are meant to be.
func TestTestPlugin(t *testing.T) {
	t.Parallel()
	dir, key := onlyKey(t)
	signature, err := signOnce(t, misbehaving(dir, "nothing", ""), key.Public())
	sum := sha256.Sum256([]byte("what is signed"))
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
		t.Fatal(err)
	}
}

// Each way in which a plugin's response can be wrong is told apart.
func TestResponseRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, status, stderr string
		want                       string
	}{
		{"nothing", "", "0", "", "reading the plugin's response: there is none"},
		{"nothing, and says why", "", "0", "no slot\n", `there is none; it wrote to standard error: "no slot"`},
		{"white space", " \n", "0", "", "there is none"},
		{"text", "OK", "0", "", "not one JSON object"},
		{"a list", "[]", "0", "", "not one JSON object"},
		{"cut short", `{"version":1,"signature":"AAAA"`, "0", "", "not one JSON object"},
		{"not UTF-8", "{\"version\":1,\"error\":\"\xff\"}", "0", "", "not in UTF-8"},
		{"two objects", `{"version":1,"signature":"AAAA"}{"version":1,"signature":"AAAA"}`, "0", "", "data after the JSON object"},
		{"two lines", "{\"version\":1,\"signature\":\"AAAA\"}\n{\"version\":1,\"signature\":\"AAAA\"}\n", "0", "", "data after the JSON object"},
		{"junk behind it", `{"version":1,"signature":"AAAA"} done`, "0", "", "data after the JSON object"},
		{"junk before it", `Touch the key! {"version":1,"signature":"AAAA"}`, "0", "", "not one JSON object"},
		{"no version", `{"signature":"AAAA"}`, "0", "", "no version"},
		{"a later version", `{"version":2,"signatures":["AAAA"],"signature":"AAAA"}`, "0", "", "neither text nor a number"},
		{"a later version, flat", `{"version":2,"algorithm":"x","signature":"AAAA"}`, "0", "", "another version of the protocol than 1"},
		{"a version in text", `{"version":"1","signature":"AAAA"}`, "0", "", "another version"},
		{"an unknown field", `{"version":1,"signature":"AAAA","alg":"ES256"}`, "0", "", `an unknown field "alg"`},
		{"a field in another case", `{"version":1,"Signature":"AAAA"}`, "0", "", `an unknown field "Signature"`},
		{"a field twice", `{"version":1,"signature":"AAAA","signature":"BBBB"}`, "0", "", `the field "signature" twice`},
		{"the field of another operation", `{"version":1,"public_key":"AAAA"}`, "0", "", `an unknown field "public_key"`},
		{"neither", `{"version":1}`, "0", "", "neither a signature nor an error"},
		{"both", `{"version":1,"signature":"AAAA","error":"x"}`, "0", "", "both a signature and an error"},
		{"an empty error", `{"version":1,"error":" "}`, "0", "", "an error that is no text, or empty"},
		{"null", `{"version":1,"signature":null}`, "0", "", "neither text nor a number"},
		{"a number", `{"version":1,"signature":1}`, "0", "", "not in base64"},
		{"empty", `{"version":1,"signature":""}`, "0", "", "not in base64"},
		{"hexadecimal", `{"version":1,"signature":"30450"}`, "0", "", "not in base64"},
		{"base64 of URLs", `{"version":1,"signature":"__-_"}`, "0", "", "not in base64"},
		{"base64 without padding", `{"version":1,"signature":"AAA"}`, "0", "", "not in base64"},
		{"base64 in lines", `{"version":1,"signature":"AAAA\nAAAA"}`, "0", "", "not in base64"},
		{"not a signature", `{"version":1,"signature":"AAAA"}`, "0", "", "did not return a signature of this data with this key"},
		{"a refusal", `{"version":1,"error":"no touch\u001b[2J"}`, "0", "", `the plugin says: "no touch\x1b[2J"`},
		{"a refusal and a status", `{"version":1,"error":"no touch"}`, "1", "trace\n", `the plugin says: "no touch"; it wrote to standard error: "trace"`},
		{"a long refusal", `{"version":1,"error":"` + strings.Repeat("x", 2000) + `"}`, "0", "", strings.Repeat("x", 1024) + `"…`},
		{"a status", "", "7", "cannot open slot 3\n", `the plugin failed: it ended with exit status 7; it wrote to standard error: "cannot open slot 3"`},
		{"a status and nothing said", "", "1", "", "the plugin failed: it ended with exit status 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, key := onlyKey(t)
			argv := misbehaving(dir, "sign", "print", test.text, test.status, test.stderr)
			signature, err := signOnce(t, argv, key.Public())
			if err == nil || signature != nil {
				t.Fatalf("accepted: %d bytes", len(signature))
			}
			if !strings.HasPrefix(err.Error(), `signing with key "root" of plugin `) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), dir) {
				t.Errorf("the error %q shows the plugin's arguments", err)
			}
		})
	}
}

func TestPublicKeyRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"not DER", `{"version":1,"public_key":"AAAA"}`, "must be a SubjectPublicKeyInfo in DER"},
		{"PEM", `{"version":1,"public_key":"` + base64.StdEncoding.EncodeToString([]byte("-----BEGIN PUBLIC KEY-----\n")) + `"}`, "must be a SubjectPublicKeyInfo in DER"},
		{"RSA of 1024 bits", publicKeyResponse(t, rsaPublic(1024)), "has 1024 bits, want at least 2048"},
		{"RSA of 8193 bits", publicKeyResponse(t, rsaPublic(8193)), "has 8193 bits, and TLS takes at most 8192"},
		{"P-224", publicKeyResponse(t, p224(t)), "on curve P-224"},
		{"X25519", publicKeyResponse(t, x25519(t)), "which etcd cannot use"},
		{"a signature", `{"version":1,"signature":"AAAA"}`, `an unknown field "signature"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, _ := onlyKey(t)
			signer, err := execsigner.New(t.Context(), execsigner.Config{Supervisor: supervisor(), Argv: misbehaving(dir, "public-key", "print", test.text, "0", ""), Key: "root"})
			if err == nil || signer != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// rsaPublic is a key whose modulus nobody factored.
func rsaPublic(bits int) *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}
}

func p224(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

func x25519(t *testing.T) *ecdh.PublicKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.PublicKey()
}

// A signature counts only when it is of what was asked, by the key, and of a plugin that
// came to a good end.
func TestSignatureRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		behaviour []string
		want      string
	}{
		{"of something else", []string{"sign-other"}, "did not return a signature of this data with this key"},
		{"not in DER", []string{"sign-raw"}, "the concatenated numbers r and s, and must be in DER"},
		{"before a failure", []string{"answer-then", "4"}, "the plugin failed: it ended with exit status 4"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, key := onlyKey(t)
			argv := misbehaving(dir, "sign", test.behaviour[0], test.behaviour[1:]...)
			signature, err := signOnce(t, argv, key.Public())
			if err == nil || signature != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bytes, %v; want %q", len(signature), err, test.want)
			}
		})
	}
}

// A plugin that reads no request, even one larger than a pipe holds, is not waited for.
func TestRequestIgnored(t *testing.T) {
	t.Parallel()
	key := generate(t, "ed25519")
	argv := misbehaving(t.TempDir(), "", "ignore-stdin", publicKeyResponse(t, key.Public()))
	signer := newSigner(t.Context(), t, argv, key.Public())
	_, err := signer.Sign(rand.Reader, make([]byte, 1<<20), crypto.Hash(0))
	if err == nil || !strings.Contains(err.Error(), `an unknown field "public_key"`) {
		t.Errorf("%v", err)
	}
}

func publicKeyResponse(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return `{"version":1,"public_key":"` + base64.StdEncoding.EncodeToString(der) + `"}`
}

func TestTooMuchOutput(t *testing.T) {
	t.Parallel()
	dir, key := onlyKey(t)
	signature, err := signOnce(t, misbehaving(dir, "sign", "flood"), key.Public())
	if err == nil || signature != nil || !strings.Contains(err.Error(), "the plugin printed more than 65536 bytes") {
		t.Errorf("%d bytes, %v", len(signature), err)
	}
	// Standard error is no response: what is too much of it is dropped.
	if _, err := signOnce(t, misbehaving(dir, "sign", "flood-stderr"), key.Public()); err != nil {
		t.Errorf("a plugin that says much and signs: %v", err)
	}
	argv := misbehaving(dir, "sign", "print", "", "1", strings.Repeat("e", 5000))
	_, err = signOnce(t, argv, key.Public())
	if err == nil || !strings.HasSuffix(err.Error(), `: "`+strings.Repeat("e", 4096)+`"…`) {
		t.Errorf("a plugin that says much and fails: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"hang", "leave-session-behind-and-hang"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			dir, _ := onlyKey(t)
			life := newLifeline(t)
			config := execsigner.Config{Supervisor: supervisor(), Argv: misbehaving(dir, "public-key", behaviour, life.path), Key: "root", Timeout: 2 * time.Second}
			_, err := execsigner.New(t.Context(), config)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the plugin did not end within 2s") {
				t.Errorf("%v", err)
			}
			within(t, life.gone, "the plugin, or what it started, lives on")
		})
	}
}

// The context that New was given ends a signature too, with all that the plugin started.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"hang", "leave-behind-and-hang", "leave-session-behind-and-hang"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			dir, key := onlyKey(t)
			life := newLifeline(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			signer := newSigner(ctx, t, misbehaving(dir, "sign", behaviour, life.path), key.Public())
			failed := make(chan error, 1)
			go func() {
				_, err := sign(signer)
				failed <- err
			}()
			within(t, life.ready, "the plugin did not start")
			cancel()
			within(t, life.gone, "the plugin, or what it started, lives on")
			err := <-failed
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted while the plugin ran") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		dir, _ := onlyKey(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := execsigner.New(ctx, execsigner.Config{Supervisor: supervisor(), Argv: misbehaving(dir, "", ""), Key: "root"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// A plugin may exit and leave a process behind that has its output, in its session or in one of
// its own. It is not waited for, and it does not live on.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	tests := []struct{ behaviour, want string }{
		{"leave-behind", ""},
		{"leave-session-behind", ""},
		{"leave-behind-and-fail", "the plugin failed: it ended with exit status 3"},
	}
	for _, test := range tests {
		t.Run(test.behaviour, func(t *testing.T) {
			t.Parallel()
			dir, key := onlyKey(t)
			life := newLifeline(t)
			signature, err := signOnce(t, misbehaving(dir, "sign", test.behaviour, life.path), key.Public())
			switch {
			case test.want == "" && (err != nil || signature == nil):
				t.Error(err)
			case test.want != "" && (err == nil || signature != nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%d bytes, %v; want %q", len(signature), err, test.want)
			}
			within(t, life.gone, "the process lives on")
		})
	}
}

// When the process that wants a signature is killed, the plugin ends with all that it started.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir, _ := onlyKey(t)
	life := newLifeline(t)
	argv := misbehaving(dir, "public-key", "leave-session-behind-and-hang", life.path)
	cmd := exec.CommandContext(t.Context(), argv[0], append([]string{askArg}, argv...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, life.ready, "the plugin did not start")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	within(t, life.gone, "the plugin, or what it started, lives on")
}

// The request is exactly what the package comment says, and then standard input ends.
func TestRequest(t *testing.T) {
	t.Parallel()
	dir, key := onlyKey(t)
	saved := filepath.Join(t.TempDir(), "request")
	if _, err := signOnce(t, misbehaving(dir, "sign", "save-request", saved), key.Public()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("what is signed"))
	want := `{"version":1,"op":"sign","key":"root","hash":"SHA-256","digest":"` + base64.StdEncoding.EncodeToString(sum[:]) + "\"}\n"
	if string(got) != want {
		t.Errorf("the request\n%swant\n%s", got, want)
	}
}

// A plugin is given what it needs and nothing that this process happens to have.
func TestSurroundings(t *testing.T) {
	t.Setenv("PATH", "/bin:/usr/bin")
	t.Setenv("HOME", "/home/operator")
	t.Setenv("EXECSIGNER_WANTED", "a b=c")
	t.Setenv("EXECSIGNER_SECRET", "hunter2")
	dir, _ := onlyKey(t)
	ask := func(names ...string) string {
		t.Helper()
		_, err := execsigner.New(t.Context(), execsigner.Config{Supervisor: supervisor(), Argv: misbehaving(dir, "public-key", "surroundings"), Key: "root", Env: names})
		if err == nil {
			t.Fatal("no error that says what the plugin saw")
		}
		return err.Error()
	}
	if got, want := ask(), `own session true, environment [\"PATH=/bin:/usr/bin\" \"HOME=/home/operator\"]`; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := ask("EXECSIGNER_WANTED", "HOME"), `[\"PATH=/bin:/usr/bin\" \"EXECSIGNER_WANTED=a b=c\" \"HOME=/home/operator\"]`; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := ask("EXECSIGNER_UNSET"), `"EXECSIGNER_UNSET" for the plugin is not set`; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, name := range []string{"PATH", "HOME"} {
		if err := os.Unsetenv(name); err != nil { // t.Setenv restores it
			t.Fatal(err)
		}
	}
	if got, want := ask(), "environment []"; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	unsuitable := p224(t)
	good := execsigner.Config{Argv: []string{"/nonexistent/plugin"}, Key: "root", Supervisor: supervisor()}
	tests := []struct {
		name   string
		change func(*execsigner.Config)
		want   string
	}{
		{"no plugin", func(c *execsigner.Config) { c.Argv = nil }, "no program is named"},
		{"an empty plugin", func(c *execsigner.Config) { c.Argv = []string{"", "x"} }, "no program is named"},
		{"no key", func(c *execsigner.Config) { c.Key = "" }, `the key name ""`},
		{"a key with a line break", func(c *execsigner.Config) { c.Key = "a\nb" }, `the key name "a\nb"`},
		{"a key that is not text", func(c *execsigner.Config) { c.Key = "\xff" }, "printable text"},
		{"a long key", func(c *execsigner.Config) { c.Key = strings.Repeat("x", 1025) }, "1 to 1024 bytes"},
		{"a negative timeout", func(c *execsigner.Config) { c.Timeout = -time.Second }, "the timeout -1s"},
		{"an unsuitable key", func(c *execsigner.Config) { c.Public = unsuitable }, "the expected public key: "},
		{"a variable with a value", func(c *execsigner.Config) { c.Env = []string{"A=b"} }, `"A=b"`},
		{"no supervisor", func(c *execsigner.Config) { c.Supervisor = nil }, "the command line of the supervisor is missing"},
		{"a plugin that is not there", func(*execsigner.Config) {}, "no such file"},
		{"a plugin that is not in PATH", func(c *execsigner.Config) { c.Argv = []string{"execsigner-nonexistent"} }, "not found in $PATH"},
		{"a plugin that is a folder", func(c *execsigner.Config) { c.Argv = []string{"/"} }, "is a directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := good
			test.change(&config)
			signer, err := execsigner.New(t.Context(), config)
			if err == nil || signer != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	_, err := execsigner.New(t.Context(), execsigner.Config{Timeout: -1})
	for _, want := range []string{"no program", "the key name", "the timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want all faults at once, %q too", err, want)
		}
	}
}
