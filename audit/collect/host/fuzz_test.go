package host

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
)

// seeds adds the files of a corpus below testdata, of which there must be some.
func seeds(f *testing.F, dir string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds in testdata/%s: %v", dir, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// checkSettings says what must hold of settings that come from anywhere: they can be shown,
// they are bounded, and each has a source or a word on why it has no effect.
func checkSettings(t *testing.T, s *audit.Settings) {
	t.Helper()
	check := func(text string) {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%q cannot be shown", text)
		}
	}
	for name, v := range s.Values {
		check(name)
		check(v.Value)
		for _, o := range v.Overridden {
			check(o.Value)
			check(o.Text)
		}
		if v.Source == "" && len(v.Overridden) == 0 || len(v.Value) > maxText+4 {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if s.Sandbox != nil {
		for name, value := range s.Sandbox.Values {
			check(name)
			check(value)
		}
	}
	for _, fault := range s.Faults {
		check(fault.Subject)
		check(fault.Reason)
		if fault.Reason == "" {
			t.Errorf("%+v", fault)
		}
	}
}

func FuzzPod(f *testing.F) {
	seeds(f, "pods")
	f.Fuzz(func(t *testing.T, data []byte) {
		invs, err := parsePod(data, nil)
		if err != nil && len(invs) > 0 {
			t.Errorf("%v, and %d programs", err, len(invs))
		}
		for _, inv := range invs {
			inv.origin = "pod"
			inv.view.elsewhere = errOffline
			inv.view.mounts = nil
			if !slices.Contains(programs(), inv.program) {
				t.Errorf("program %q", inv.program)
			}
			checkSettings(t, inv.settings("h"))
		}
	})
}

// A script is followed within its bounds, whatever is in it.
func FuzzScript(f *testing.F) {
	seeds(f, "scripts")
	f.Fuzz(func(t *testing.T, data []byte) {
		l := launch{
			argv: []string{"sh", "-c", string(data), "sh", "--auto-tls"}, env: []variable{{"A", "--name=a b"}, {"ETCD_NAME", "x"}}, unknown: []string{"B"},
			readFile: func(string) ([]byte, error) { return data, nil },
		}
		began := time.Now()
		found := l.follow()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, inv := range found.invocations {
			inv.origin, inv.view = "p", &view{elsewhere: errOffline}
			checkSettings(t, inv.settings("h"))
		}
	})
}

// The deepest scripts that fit are an error, and end nothing else.
func TestDeepScripts(t *testing.T) {
	for _, part := range []string{"(", "$(", "{ ", "`", "if ", "\"$(", "${a:-", "$((", "[[ (", "a() { ", "while ", "case x in (", "a=(", "<(", "! ", "time ", "&& ", "eval "} {
		script := strings.Repeat(part, maxScript/len(part))
		began := time.Now()
		if found := (launch{argv: []string{"sh", "-c", script + "\netcd --name=a"}}).follow(); len(found.invocations) > 0 && !found.invocations[0].script {
			t.Errorf("%q: %+v", part, found.invocations[0])
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%q took %v", part, took)
		}
	}
	doubling := "a=x;" + strings.Repeat("a=$a$a;", 100) + "etcd --name=$a"
	branches := strings.Repeat("if x; then export A=1; fi;", 2000) + "etcd"
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, "a%d=1;", i)
	}
	recursive := "f() { f; f; }; f; etcd"
	for _, script := range []string{doubling, branches, many.String() + "etcd", recursive} {
		began := time.Now()
		(launch{argv: []string{"sh", "-c", script}}).follow()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%.40q took %v", script, took)
		}
	}
}

func FuzzConfigFile(f *testing.F) {
	seeds(f, "configs")
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, _, err := parseConfigFile("f", data)
		if err != nil {
			return
		}
		for _, w := range settings {
			if !isKnownFlag(w.name) && !strings.HasPrefix(w.name, "client-") && !strings.HasPrefix(w.name, "peer-") {
				t.Errorf("%+v is no setting", w)
			}
		}
		s := &audit.Settings{Program: etcd, Values: map[string]audit.Setting{}}
		applyConfig(s, "f", data)
		cleanValues(s)
		checkSettings(t, s)
		// What etcd's own reader takes for the name is the name.
		var config struct {
			Name string `json:"name"`
		}
		if strings.Count(strings.ToLower(string(data)), "name") == 1 && yaml.Unmarshal(data, &config) == nil && lastSetting(settings, "name").value != config.Name {
			t.Errorf("name %q, want %q", lastSetting(settings, "name").value, config.Name)
		}
	})
}

func FuzzUnit(f *testing.F) {
	seeds(f, "units")
	f.Fuzz(func(t *testing.T, data []byte) {
		u := &unit{}
		u.apply(parseUnit(data), specifiersOf("etcd@a.service", "h"))
		inv := u.invocation(nil)
		if inv == nil {
			return
		}
		inv.origin, inv.view = "etcd@a.service", &view{elsewhere: errOffline}
		checkSettings(t, inv.settings("h"))
	})
}

func FuzzCommandLine(f *testing.F) {
	seeds(f, "cmdlines")
	f.Fuzz(func(t *testing.T, data []byte) {
		argv := strings.Split(string(data), "\x00")
		for _, program := range programs() {
			inv := &invocation{program: program, origin: "p", args: argv, view: &view{elsewhere: errOffline}}
			flags, _ := parseFlags(program, argv)
			if len(flags) > len(argv) {
				t.Errorf("%d flags of %d words", len(flags), len(argv))
			}
			checkSettings(t, inv.settings("h"))
		}
	})
}

func FuzzEnvironment(f *testing.F) {
	seeds(f, "environments")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, env := range [][]variable{parseEnviron(data), parseEnvironmentFile(data)} {
			size := 0
			for _, v := range env {
				size += len(v.name) + len(v.value)
			}
			if size > len(data) {
				t.Errorf("%d bytes of %d", size, len(data))
			}
			inv := &invocation{program: etcd, origin: "p", env: env, view: &view{elsewhere: errOffline}}
			checkSettings(t, inv.settings("h"))
		}
		// Plain assignments are read back as they were written.
		if name, value, found := strings.Cut(string(data), "="); found && isVariableName(name) && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\\\"'", r) }) {
			if got := parseEnvironmentFile(append(bytes.Clone(data), '\n')); len(got) != 1 || got[0] != (variable{name, value}) {
				t.Errorf("%q: got %+v", data, got)
			}
		}
	})
}

func FuzzEncryption(f *testing.F) {
	seeds(f, "encryption")
	f.Fuzz(func(_ *testing.T, data []byte) { parseEncryption("/e", data, &audit.Settings{}) })
}

func FuzzPEM(f *testing.F) {
	seeds(f, "pem")
	f.Fuzz(func(t *testing.T, data []byte) {
		content := parsePEM(data)
		if len(content.public) > 0 && !content.isKey {
			t.Errorf("%+v", content)
		}
	})
}

func FuzzCRL(f *testing.F) {
	seeds(f, "crl")
	f.Fuzz(func(t *testing.T, data []byte) {
		list := parseCRL(data)
		if _, err := x509.ParseRevocationList(data); err == nil && (list.Fault != "" || list.PEM) {
			t.Errorf("%+v of a list in DER", list)
		}
		if strings.ContainsFunc(list.Fault, unicode.IsControl) {
			t.Errorf("%q cannot be shown", list.Fault)
		}
	})
}

func FuzzReadFile(f *testing.F) {
	for _, dir := range []string{"pods", "configs", "units", "environments"} {
		seeds(f, dir)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		invs, err := parseAny("etcd.service", data)
		if err != nil {
			return
		}
		for _, inv := range invs {
			inv.origin = "file"
			checkSettings(t, inv.settings(""))
		}
	})
}
