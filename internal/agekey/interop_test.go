package agekey

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ageTool is the age of the module in test/age, with its key generator and the plugin that
// takes a passphrase out of the environment, since age itself wants a terminal for it.
type ageTool struct{ dir string }

func buildAgeTool(t *testing.T) ageTool {
	t.Helper()
	module, err := filepath.Abs(filepath.Join("..", "..", "test", "age"))
	if err != nil {
		t.Fatal(err)
	}
	tool := ageTool{dir: t.TempDir()}
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=readonly", "-trimpath", "-o", tool.dir+"/",
		"filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen", "filippo.io/age/cmd/age-plugin-batchpass")
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building age: %v\n%s", err, out)
	}
	return tool
}

// run gives the tool's standard output.
func (a ageTool) run(t *testing.T, passphrase string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(a.dir, name), args...)
	cmd.Env = []string{"PATH=" + a.dir, "AGE_PASSPHRASE=" + passphrase, "AGE_PASSPHRASE_WORK_FACTOR=10"}
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The age tool opens what we write, and we open what it writes, with keys of its own making.
func TestAgeTool(t *testing.T) {
	t.Parallel()
	tool := buildAgeTool(t)
	keyPEM := rootKey(t)
	people := []pair{sshEd25519(t, 1), sshRSA(t)}
	for name, args := range map[string][]string{"x25519": nil, "hybrid": {"-pq"}} {
		identity := tool.run(t, "", nil, "age-keygen", args...)
		recipient := tool.run(t, "", identity, "age-keygen", "-y")
		people = append(people, pair{name, strings.TrimSpace(string(recipient)), identity})
	}
	for _, p := range people {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			identityPath := writeFile(t, p.identity)
			theirs := tool.run(t, "", encryptFor(t, keyPEM, p.recipient), "age", "-d", "-i", identityPath)
			if !bytes.Equal(theirs, keyPEM) {
				t.Errorf("age opened our file to %d other bytes", len(theirs))
			}
			for form, args := range map[string][]string{"armored": {"-a"}, "binary": nil} {
				file := tool.run(t, "", keyPEM, "age", append(args, "-e", "-r", p.recipient)...)
				if got, err := Decrypt(file, p.identity); err != nil || !bytes.Equal(got, keyPEM) {
					t.Errorf("age's %s file: %d bytes, %v", form, len(got), err)
				}
			}
		})
	}
	t.Run("passphrase", func(t *testing.T) {
		t.Parallel()
		file, err := encryptPassphrase(keyPEM, []byte(testPassphrase), 10)
		if err != nil {
			t.Fatal(err)
		}
		if theirs := tool.run(t, testPassphrase, file, "age", "-d", "-j", "batchpass"); !bytes.Equal(theirs, keyPEM) {
			t.Errorf("age opened our file to %d other bytes", len(theirs))
		}
		for form, args := range map[string][]string{"armored": {"-a"}, "binary": nil} {
			file := tool.run(t, testPassphrase, keyPEM, "age", append(args, "-e", "-j", "batchpass")...)
			if got, err := DecryptPassphrase(file, []byte(testPassphrase)); err != nil || !bytes.Equal(got, keyPEM) {
				t.Errorf("age's %s file: %d bytes, %v", form, len(got), err)
			}
		}
	})
	t.Run("recipients file", func(t *testing.T) {
		t.Parallel()
		text := []byte("# custodians\n" + people[0].recipient + "\n\n" + people[1].recipient + "\n")
		recipients, err := ParseRecipients(text)
		if err != nil || len(recipients) != 2 {
			t.Fatalf("%q, %v", recipients, err)
		}
		file := tool.run(t, "", keyPEM, "age", "-e", "-R", writeFile(t, text))
		stanzas, err := readHeader(file)
		if err != nil || len(stanzas) != len(recipients) {
			t.Errorf("age read %d recipients in a file in which we read %d: %v", len(stanzas), len(recipients), err)
		}
	})
}

// The tool that the tests run is of the version that the product is built with.
func TestAgeToolVersion(t *testing.T) {
	t.Parallel()
	version := func(dir string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "filippo.io/age")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list in %s: %v", dir, err)
		}
		return strings.TrimSpace(string(out))
	}
	ours, tools := version("."), version(filepath.Join("..", "..", "test", "age"))
	if ours == "" || ours != tools {
		t.Errorf("the product has age %q, test/age %q", ours, tools)
	}
}
