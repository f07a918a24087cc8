package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// givenFiles has a command line for every flag and argument of every verb that takes a file to read, with
// FILE in its place. Words in capitals are what newGiven makes.
const givenFiles = `
audit run -f FILE
audit run --targets FILE
audit run 127.0.0.1:1 --waivers FILE
audit run 127.0.0.1:1 --advisories FILE
audit run --settings FILE
audit run --kubeconfig FILE
audit run 127.0.0.1:1 --cacert FILE
audit run 127.0.0.1:1 --cert FILE --key KEY
audit run 127.0.0.1:1 --cert CERT --key FILE
audit run 127.0.0.1:1 --present revoked=FILE,KEY
audit run 127.0.0.1:1 --present revoked=CERT,FILE
audit census --snapshot FILE
audit census --endpoints https://127.0.0.1:1 --config FILE
audit census --endpoints https://127.0.0.1:1 --waivers FILE
audit census --endpoints https://127.0.0.1:1 --cacert FILE
audit census --endpoints https://127.0.0.1:1 --cert FILE --key KEY
audit census --endpoints https://127.0.0.1:1 --cert CERT --key FILE
audit diff FILE REPORT
audit diff REPORT FILE
audit merge FILE REPORT
audit merge REPORT --waivers FILE
bootstrap STORE -f FILE
bootstrap STORE -f SPEC --root-key-recipients-file FILE
bootstrap STORE -f SPEC --root-key-passphrase-file FILE
bootstrap STORE -f SPEC --root-key-identity FILE
encryption generate STORE -f FILE
encryption lint FILE
encryption lint CONFIG --waivers FILE
encryption rotate STORE --kubeconfig KUBECONFIG -f FILE
encryption rotate STORE --kubeconfig FILE
encryption rotate STORE --kubeconfig KUBECONFIG --cacert FILE --cert CERT --key KEY
encryption rotate STORE --kubeconfig KUBECONFIG --cert FILE --key KEY
encryption rotate STORE --kubeconfig KUBECONFIG --cert CERT --key FILE
encryption rotate status STORE --kubeconfig KUBECONFIG -f FILE
encryption rotate status STORE --kubeconfig FILE
encryption rotate status STORE --kubeconfig KUBECONFIG --cacert FILE --cert CERT --key KEY
encryption rotate status STORE --kubeconfig KUBECONFIG --cert FILE --key KEY
encryption rotate status STORE --kubeconfig KUBECONFIG --cert CERT --key FILE
pki csr -f FILE etcd-0 NODE
pki export pkcs12 STORE auditor out/auditor.p12 --password-file FILE
pki import NEW etcd-0=STORE -f FILE
pki import authority NEW -f FILE client-root=CERT
pki import authority NEW -f SPEC client-root=FILE
pki install -f FILE etcd-0 STORE NODE
pki issue STORE -f FILE
pki issue STORE -f SPEC --root-key-recipients-file FILE
pki issue STORE -f SPEC --root-key-passphrase-file FILE
pki issue STORE -f SPEC --root-key-identity FILE
pki recover STORE -f FILE
pki recover STORE --root-key-recipients-file FILE
pki recover STORE --root-key-passphrase-file FILE
pki recover STORE --root-key-identity FILE
pki renew STORE -f FILE
pki renew STORE --root-key-recipients-file FILE
pki renew STORE --root-key-passphrase-file FILE
pki renew STORE --root-key-identity FILE
pki revoke STORE auditor -f FILE
pki revoke STORE FILE
pki sign STORE auditor FILE
pki sign STORE auditor CSR -f FILE
pki sign STORE auditor CSR --remote https://127.0.0.1:1 --remote-key FILE
pki sign STORE auditor CSR --remote https://127.0.0.1:1 --remote-key AUTHKEY --remote-cacert FILE
pki sign STORE auditor CSR --root-key-recipients-file FILE
pki sign STORE auditor CSR --root-key-passphrase-file FILE
pki sign STORE auditor CSR --root-key-identity FILE
pki status FILE
pki verify STORE -f FILE
policies apply -f FILE
policies drift -f FILE
policies drift -f SPEC FILE
policies drift -f SPEC etcd-0=FILE
policies prove -f FILE
policies prove -f SPEC FILE
policies prove -f SPEC etcd-0=FILE
policies prove -f SPEC --topology FILE
policies render -f FILE
rbac plan -f FILE
rbac apply STORE -f FILE
rbac apply STORE --cacert FILE
rbac apply STORE --cert FILE --key KEY
rbac apply STORE --cert CERT --key FILE
rbac apply STORE --present FILE,KEY
rbac apply STORE --present CERT,FILE
rbac apply STORE --also FILE
rbac verify STORE -f FILE
rbac verify STORE --cacert FILE
rbac verify STORE --cert FILE --key KEY
rbac verify STORE --cert CERT --key FILE
rbac verify STORE --present FILE,KEY
rbac verify STORE --present CERT,FILE
rbac disable STORE -f FILE
rbac disable STORE --cacert FILE
rbac disable STORE --cert FILE --key KEY
rbac disable STORE --cert CERT --key FILE
`

// A given is what the lines of givenFiles name.
type given struct {
	lines [][]string
	words map[string]string // the paths that the words in capitals stand for
}

const givenSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: given}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.99.0.1]}]
  apiServers: [{name: cp-0, addresses: [10.99.0.2]}]
  clients: [{name: root, role: root}]
  rbac: {compaction: etcd}
`

const spareConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources: [{resources: [secrets], providers: [{identity: {}}]}]
`

func newGiven(t *testing.T) given {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	id := clitest.NewIdentity(t, time.Now().Add(time.Hour))
	g := given{words: map[string]string{
		"SPEC": path("cluster.yaml"), "STORE": path("store"), "NODE": path("node"), "NEW": path("new"),
		"CERT": id.Cert, "KEY": id.Key, "CONFIG": path("encryption.yaml"), "REPORT": path("report.json"),
		"KUBECONFIG": path("kubeconfig"), "AUTHKEY": path("authkey"), "CSR": path("auditor.csr"),
	}}
	clitest.WriteFile(t, path("cluster.yaml"), []byte(givenSpec))
	clitest.WriteFile(t, path("encryption.yaml"), []byte(spareConfig))
	clitest.WriteFile(t, path("authkey"), []byte(strings.Repeat("0f", 32)))
	clitest.WriteFile(t, path("kubeconfig"), []byte(`{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}], clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}], users: [{name: a, user: {token: t}}]}`))
	if status, _, stderr := etcdsec(t, "bootstrap", "-f", path("cluster.yaml"), path("store"), "--signer", "std"); status != statusDone {
		t.Fatal(stderr)
	}
	if status, _, stderr := etcdsec(t, "pki", "csr", "-f", path("cluster.yaml"), "auditor", path("requests")); status != statusDone {
		t.Fatal(stderr)
	}
	found, err := filepath.Glob(path("requests/*.csr"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	g.words["CSR"] = found[0]
	_, report, _ := etcdsec(t, "encryption", "lint", path("encryption.yaml"), "-o", "json")
	clitest.WriteFile(t, path("report.json"), []byte(report))
	for line := range strings.Lines(strings.TrimSpace(givenFiles)) {
		g.lines = append(g.lines, strings.Fields(line))
	}
	return g
}

// with returns a line with a file in the place of FILE.
func (g given) with(line []string, file string) []string {
	args := slices.Clone(line)
	for i, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			name, value = "", arg
		} else {
			name += "="
		}
		var parts []string
		for part := range strings.SplitSeq(value, ",") {
			if part == "FILE" {
				part = file
			} else if path, ok := g.words[part]; ok {
				part = path
			}
			parts = append(parts, part)
		}
		args[i] = name + strings.Join(parts, ",")
	}
	return args
}

// runSoon runs a command line that must end soon and use little memory.
func runSoon(t *testing.T, args []string) (status int, output string) {
	t.Helper()
	const patience, most = 30 * time.Second, 1 << 30 // a passphrase takes half of it
	var out, errs bytes.Buffer
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ended := make(chan int, 1)
	go func() {
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
		ended <- run(t.Context(), a, args)
	}()
	select {
	case status = <-ended:
	case <-time.After(patience):
		t.Fatalf("etcdsec %s: it does not end", strings.Join(args, " "))
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > most {
		t.Errorf("etcdsec %s: it used %d bytes", strings.Join(args, " "), used)
	}
	return status, out.String() + errs.String()
}

// Every verb refuses what is no file, at once and with its name.
func TestGivenFilesOfEveryKind(t *testing.T) {
	g := newGiven(t)
	dir := t.TempDir()
	fifo, empty, sparse := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "sparse")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, empty, nil)
	clitest.WriteFile(t, sparse, nil)
	if err := os.Truncate(sparse, 1<<40); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{fifo, "/dev/zero", folder, empty, sparse} {
		for _, line := range g.lines {
			status, output := runSoon(t, g.with(line, file))
			if status == statusDone || !strings.Contains(output, file) {
				t.Errorf("%s with %s: status %d\n%s", strings.Join(line, " "), file, status, output)
			}
		}
	}
}

// A given file that is missing is a mistake on the command line, whatever the verb does with it.
func TestMissingGivenFileIsUsage(t *testing.T) {
	g := newGiven(t)
	missing := filepath.Join(t.TempDir(), "missing")
	for _, line := range g.lines {
		if status, output := runSoon(t, g.with(line, missing)); status != statusUsage || !strings.Contains(output, missing) {
			t.Errorf("%s: status %d\n%s", strings.Join(line, " "), status, output)
		}
	}
}

// No file of a store that became a pipe makes a verb wait, and no folder that is one.
func TestPipesInFolders(t *testing.T) {
	g := newGiven(t)
	store := g.words["STORE"]
	files := 0
	err := filepath.WalkDir(store, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		aside := filepath.Join(filepath.Dir(store), "aside")
		if err := errors.Join(os.Rename(path, aside), syscall.Mkfifo(path, 0o600)); err != nil {
			return err
		}
		for _, line := range []string{"pki verify STORE", "pki status STORE", "pki renew STORE --dry-run", "bootstrap STORE -f SPEC --dry-run", "rbac verify STORE --timeout 1ns"} {
			status, output := runSoon(t, g.with(strings.Fields(line), ""))
			if status == statusDone && strings.HasPrefix(line, "pki verify") {
				t.Errorf("%s passes with a pipe in place of %s\n%s", line, path, output)
			}
		}
		return os.Rename(aside, path)
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, %v", files, err)
	}

	fifo := filepath.Join(t.TempDir(), "snapshot.db")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"pki", "verify", fifo}, {"pki", "renew", fifo}, {"pki", "renew", "-f", g.words["SPEC"], fifo}, {"bootstrap", "-f", g.words["SPEC"], fifo},
		{"pki", "import", g.words["NEW"], "etcd-0=" + fifo}, {"pki", "csr", "-f", g.words["SPEC"], "etcd-0", fifo},
		{"pki", "install", "-f", g.words["SPEC"], "root", fifo, g.words["NODE"]}, {"pki", "install", "-f", g.words["SPEC"], "root", store, fifo},
		{"pki", "export", "tar", fifo, g.words["NEW"]}, {"pki", "export", "tar", store, fifo}, {"encryption", "generate", "-f", g.words["SPEC"], fifo},
		{"encryption", "rotate", "abort", fifo}, {"rbac", "verify", fifo}, {"audit", "run", "127.0.0.1:1", "--pki", fifo}, {"audit", "run", "--root", fifo},
		{"audit", "run", "127.0.0.1:1", "--snapshot-dir", fifo}, {"audit", "run", "127.0.0.1:1", "--snapshot-dir", filepath.Dir(fifo)},
		{"policies", "confirm", "--state-dir", fifo}, {"policies", "rollback", "--state-dir", fifo},
	} {
		if status, output := runSoon(t, args); status == statusDone {
			t.Errorf("etcdsec %s\n%s", strings.Join(args, " "), output)
		}
	}
}

// The table has every flag whose value is the path of a file that is read.
func TestGivenFilesHasEveryFlag(t *testing.T) {
	written := []string{"policies apply --save", "policies watch --nft"}
	folders := []string{"dir", "folder"}
	paths := []string{"file", "path", "CERT,KEY", "CERT", "FAULT=CERT,KEY"}
	flags := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		verb := strings.TrimPrefix(cmd.CommandPath(), "etcdsec ")
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, _ := pflag.UnquoteUsage(f)
			if !slices.Contains(paths, value) || slices.Contains(folders, value) {
				return
			}
			flags++
			flag := "--" + f.Name
			if f.Shorthand == "f" {
				flag = "-f"
			}
			at := slices.IndexFunc(strings.Split(givenFiles, "\n"), func(line string) bool {
				given := strings.Index(line, flag+" ")
				return strings.HasPrefix(line, verb+" ") && given >= 0 && strings.Contains(strings.Fields(line[given:])[1], "FILE")
			})
			if at < 0 && !slices.Contains(written, verb+" "+flag) {
				t.Errorf("no line for %s %s `%s`", verb, flag, value)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand(&app{}))
	if flags == 0 {
		t.Error("no flags")
	}
}

// What a shell gives for <(command) is read in place of a file. The exceptions refuse it, and say what to
// do.
func TestGivenPipes(t *testing.T) {
	g := newGiven(t)
	exceptions := []string{
		"audit census --snapshot FILE", "pki import authority NEW -f SPEC client-root=FILE", "pki sign STORE auditor FILE",
		"pki sign STORE auditor CSR --remote https://127.0.0.1:1 --remote-key AUTHKEY --remote-cacert FILE", "pki status FILE",
	}
	for _, line := range g.lines {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString("junk: x\n"); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		_, output := runSoon(t, g.with(line, "/dev/fd/"+strconv.Itoa(int(r.Fd()))))
		text := strings.Join(line, " ")
		refused := strings.Contains(output, "a named pipe: write its content to a file, and give that")
		if refused != slices.Contains(exceptions, text) {
			t.Errorf("%s: refused as a pipe: %t\n%s", text, refused, output)
		}
		_ = r.Close()
	}
}
