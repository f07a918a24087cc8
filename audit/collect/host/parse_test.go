package host

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

func flagsAsText(flags []written) string {
	var all []string
	for _, f := range flags {
		all = append(all, f.name+"="+f.value)
	}
	return strings.Join(all, "|")
}

func TestParseFlags(t *testing.T) {
	for name, c := range map[string]struct {
		program     string
		args, fault string
		want        string
	}{
		"both dashes, both forms":          {etcd, "-name a --data-dir=/x --wal-dir /y", "", "name=a|data-dir=/x|wal-dir=/y"},
		"bare switch":                      {etcd, "--client-cert-auth --name a -auto-tls", "", "client-cert-auth=true|name=a|auto-tls=true"},
		"switch with a value":              {etcd, "--client-cert-auth=false", "", "client-cert-auth=false"},
		"a switch takes no next word":      {etcd, "--client-cert-auth false --name a", `"false" is not a valid flag`, "client-cert-auth=true"},
		"an option takes any next word":    {etcd, "--name --data-dir", "", "name=--data-dir"},
		"equals in a value":                {etcd, "--initial-cluster=a=http://b:1", "", "initial-cluster=a=http://b:1"},
		"empty value":                      {etcd, "--name=", "", "name="},
		"no value":                         {etcd, "--name", "--name needs a value", ""},
		"unknown before a flag":            {etcd, "--of-a-later-etcd --name a", "", "of-a-later-etcd=true|name=a"},
		"unknown with a value":             {etcd, "--of-a-later-etcd 5 --name a", "", "of-a-later-etcd=5|name=a"},
		"a word":                           {etcd, "name=a --auto-tls", `"name=a" is not a valid flag`, ""},
		"bad syntax":                       {etcd, "---name a", `"---name" is not a flag`, ""},
		"end of flags":                     {etcd, "--name a --", "", "name=a"},
		"word behind the end of flags":     {etcd, "--name a -- b", `"b" is not a valid flag`, "name=a"},
		"one dash alone":                   {etcd, "-", `"-" is not a valid flag`, ""},
		"API server, both forms":           {kubeAPIServer, "--etcd-cafile /a --etcd-certfile=/b --profiling --v 2 -v=4", "", "etcd-cafile=/a|etcd-certfile=/b|profiling=true|v=2"},
		"API server, underscores":          {kubeAPIServer, "--etcd_cafile=/a", "", "etcd-cafile=/a"},
		"API server, one dash and a value": {kubeAPIServer, "-v 4 --etcd-cafile=/a", "", "etcd-cafile=/a"},
		"nothing":                          {etcd, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			flags, faults := parseFlags(c.program, strings.Fields(c.args))
			if got := flagsAsText(flags); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			switch {
			case c.fault == "" && len(faults) > 0, c.fault != "" && (len(faults) != 1 || faults[0].Subject != "" || !strings.Contains(faults[0].Reason, c.fault)):
				t.Errorf("faults %+v, want %q", faults, c.fault)
			}
		})
	}
}

func TestProgramIn(t *testing.T) {
	for name, c := range map[string]struct {
		argv          []string
		program, args string
	}{
		"etcd":          {[]string{"etcd", "--name=a"}, etcd, "--name=a"},
		"path":          {[]string{"/usr/local/bin/etcd"}, etcd, ""},
		"wrapped":       {[]string{"/go-runner", "--log-file=/var/log/kube-apiserver.log", "/usr/local/bin/kube-apiserver", "--v=2"}, kubeAPIServer, "--v=2"},
		"nice":          {[]string{"nice", "-n", "-19", "etcd", "--name", "a"}, etcd, "--name a"},
		"gateway":       {[]string{"etcd", "gateway", "start"}, "", ""},
		"proxy":         {[]string{"etcd", "grpc-proxy", "start"}, "", ""},
		"etcdctl":       {[]string{"etcdctl", "get", "a"}, "", ""},
		"a script":      {[]string{"sh", "-c", "exec /usr/local/bin/etcd"}, "", ""},
		"a flag's path": {[]string{"backup", "--of=/etcd"}, "", ""},
		"saved to":      {[]string{"etcdctl", "snapshot", "save", "/backup/etcd"}, "", ""},
		"packed":        {[]string{"nice", "tar", "c", "/var/lib/etcd"}, "", ""},
		"none":          {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			program, args := programIn(c.argv)
			if program != c.program || strings.Join(args, " ") != c.args {
				t.Errorf("got %q %q", program, args)
			}
		})
	}
	if got := programInScript([]string{"/bin/sh", "-ec", "set -o pipefail; exec nice /usr/local/bin/etcd --name=a"}); got != etcd {
		t.Errorf("got %q", got)
	}
	if got := programInScript([]string{"bash", "-c", "GOMAXPROCS=$(nproc) /usr/bin/etcd --name=a"}); got != etcd {
		t.Errorf("got %q", got)
	}
	for _, argv := range [][]string{{"/bin/sh", "-c", "tail -f /var/lib/etcd.log; tar c /var/lib/etcd"}, {"sh", "-c", "etcdctl snapshot save /etcd"}, {"kubectl", "logs", "etcd"}, {"etcd=1"}, nil} {
		if got := programInScript(argv); got != "" {
			t.Errorf("%q: got %q", argv, got)
		}
	}
}

func TestParseConfigFile(t *testing.T) {
	for name, c := range map[string]struct {
		yaml, want string
		faults     []string // their subjects
		err        string
	}{
		"flat":                  {"name: a\ndata-dir: /x\nenable-pprof: true\nmax-wals: 3\n", "data-dir=/x|enable-pprof=true|max-wals=3|name=a", nil, ""},
		"TLS":                   {"client-transport-security: {cert-file: /c, client-cert-auth: true, allowed-hostname: [a, b]}\npeer-transport-security: {cert-file: /p, client-cert-auth: false, allowed-cn: [m], auto-tls: true}\n", "client-cert-allowed-hostname=a,b|cert-file=/c|client-cert-auth=true|peer-cert-allowed-cn=m|peer-auto-tls=true|peer-cert-file=/p|peer-client-cert-auth=false", nil, ""},
		"YAML 1.1 truth":        {"enable-pprof: yes\nenable-v2: off\n", "enable-pprof=true|enable-v2=false", nil, ""},
		"any case":              {"Name: a\n", "name=a", nil, ""},
		"twice":                 {"name: a\nname: b\n", "name=b", nil, ""},
		"second document":       {"name: a\n---\nname: b\n", "name=a", nil, ""},
		"list":                  {"cipher-suites: [A, B]\n", "cipher-suites=A,B", nil, ""},
		"null":                  {"name:\n", "", nil, ""},
		"empty":                 {"", "", nil, ""},
		"unknown key":           {"foo: bar\nname: a\n", "name=a", []string{"f: foo"}, ""},
		"TLS key at the top":    {"cert-file: /c\npeer-trusted-ca-file: /d\n", "", []string{"f: cert-file", "f: peer-trusted-ca-file"}, ""},
		"flag at the top":       {"client-crl-file: /c\n", "", []string{"f: client-crl-file"}, ""},
		"unknown key below":     {"client-transport-security: {client-crl-file: /c}\n", "", []string{"f: client-transport-security.client-crl-file"}, ""},
		"text for truth":        {`enable-pprof: "true"`, "", nil, "enable-pprof: want true or false, without quotes"},
		"text for truth, below": {`client-transport-security: {client-cert-auth: "true"}`, "", nil, "client-transport-security.client-cert-auth: want true or false"},
		"number for text":       {"name: 12\n", "", nil, "name: want a text; a number is put in quotes"},
		"text for number":       {`max-wals: "3"`, "", nil, "max-wals: want a number"},
		"text for list":         {"log-outputs: stderr\n", "", nil, "log-outputs: want a list of texts"},
		"list for mapping":      {"peer-transport-security: []\n", "", nil, "peer-transport-security: want a mapping"},
		"a list at the top":     {"- name: a\n", "", nil, "not a mapping of settings"},
		"no YAML":               {"name: [\n", "", nil, "not YAML"},
		"tab":                   {"\tname: a\n", "", nil, "not YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			settings, faults, err := parseConfigFile("f", []byte(c.yaml))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var subjects []string
			for _, f := range faults {
				subjects = append(subjects, f.Subject)
			}
			if got := flagsAsText(settings); got != c.want || !slices.Equal(subjects, c.faults) {
				t.Errorf("got %s %q, want %s %q", got, subjects, c.want, c.faults)
			}
		})
	}
}

// The tables of flags and keys are those of etcd's own source, in the versions that tests run.
func TestTablesAreEtcds(t *testing.T) {
	for _, module := range []string{"etcd-3.5", "etcd-3.6", "etcd-3.7"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "go.etcd.io/etcd/server/v3/embed", "go.etcd.io/etcd/server/v3/etcdmain")
		cmd.Dir = filepath.Join("..", "..", "..", "test", module)
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		keys, switches, options := 0, 0, 0
		for dir := range strings.FieldsSeq(string(out)) {
			source, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "config.go"), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(source, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.TypeSpec:
					keys += checkKeys(t, n)
				case *ast.CallExpr:
					name, kind := registered(n)
					if name == "" {
						break
					}
					boolean, known := lookUpSwitch(name)
					if !known || boolean != (kind == "BoolVar") {
						t.Errorf("%s: the table has --%s as boolean %v, known %v; etcd by %s", module, name, boolean, known, kind)
					}
					if boolean {
						switches++
					} else {
						options++
					}
				}
				return true
			})
		}
		if keys < 80 || switches < 15 || options < 80 {
			t.Errorf("%s: only %d keys, %d boolean flags and %d others were found", module, keys, switches, options)
		}
	}
}

// checkKeys compares the json tags of a type of etcd's configuration with the tables.
func checkKeys(t *testing.T, spec *ast.TypeSpec) int {
	t.Helper()
	fields, ok := spec.Type.(*ast.StructType)
	if !ok || !slices.Contains([]string{"Config", "configJSON", "securityConfig", "configProxy"}, spec.Name.Name) {
		return 0
	}
	keys := 0
	for _, f := range fields.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(f.Tag.Value)
		key, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if key == "" || key == "-" || key == "grpc-additional-server-options" { // for who embeds etcd
			continue
		}
		keys++
		var want kind
		switch typ := f.Type.(type) {
		case *ast.ArrayType:
			want = isList
		case *ast.Ident:
			want = map[string]kind{"string": isText, "bool": isBoolean, "securityConfig": isMapping}[typ.Name]
			if want == "" {
				want = isNumber
			}
		case *ast.SelectorExpr:
			want = map[string]kind{"Duration": isNumber, "V2DeprecationEnum": isText}[typ.Sel.Name]
			if want == "" {
				want = isMapping
			}
		}
		got, found := fileKey(key)
		if spec.Name.Name == "securityConfig" {
			got = ""
			for _, s := range securityKeys() {
				if s.key == key {
					got, found = s.kind, true
				}
			}
		}
		if !found || got != want {
			t.Errorf("%s.%s: the table has %q, want %q", spec.Name.Name, key, got, want)
		}
	}
	return keys
}

// registered is the name of the flag that a call adds, and how.
func registered(call *ast.CallExpr) (name, how string) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) < 3 {
		return "", ""
	}
	if receiver, ok := f.X.(*ast.Ident); !ok || receiver.Name != "fs" {
		return "", ""
	}
	literal, ok := call.Args[1].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", ""
	}
	name, _ = strconv.Unquote(literal.Value)
	return name, f.Sel.Name
}

func TestEtcdSettings(t *testing.T) {
	env := parseEnviron([]byte("PATH=/bin\x00ETCD_NAME=a\x00ETCD_NAME=b\x00ETCD_DATA_DIR=\x00ETCD_TYPO=1\x00ETCD_SERVICE_HOST=10.0.0.1\x00ETCD_PORT_2379_TCP=x\x00ETCDCTL_API=3\x00ETCD_UNSUPPORTED_ARCH=arm\x00garbage\x00=x\x00ETCD_client_cert_auth=true"))
	settings, faults := etcdSettings(env)
	if got := flagsAsText(settings); got != "name=b" {
		t.Errorf("got %s", got)
	}
	want := []audit.Fault{
		{Subject: "environment ETCD_TYPO", Reason: "etcd has no flag of this name, so the variable has no effect"},
		{Subject: "environment ETCD_client_cert_auth", Reason: "etcd has no flag of this name, so the variable has no effect"},
	}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Error(diff)
	}
}

func TestParseEnvironmentFile(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":           {"A=1\nB=two words\n", "A=1|B=two words"},
		"comments":        {"# A=1\n ; B=2\n\nC=3", "C=3"},
		"quotes":          {"A=\"a b\"\nB='c $d'\nC=\"e\\\"f\"\n", `A=a b|B=c $d|C=e"f`},
		"white space":     {"  A = 1  \nB=2 \n", "A=1|B=2"},
		"kept in quotes":  {"A=\"1 \"  \n", "A=1 "},
		"continued":       {"A=1\\\n2\nB=3\n", "A=12|B=3"},
		"over lines":      {"A=\"1\n2\"\nB=3\n", "A=1\n2|B=3"},
		"no equals":       {"export\nA=1\n", "A=1"},
		"export is shell": {"export A=1\nB=2\n", "B=2"},
		"odd name":        {"1A=1\nB-C=2\nD=3\n", "D=3"},
		"CR LF":           {"A=1\r\nB=2\r\n", "A=1|B=2"},
		"equals":          {"A=b=c\n", "A=b=c"},
		"empty":           {"A=\nB=\"\"\n", "A=|B="},
		"quote inside":    {"A=b\"c\"\n", `A=b"c"`},
	} {
		t.Run(name, func(t *testing.T) {
			var all []string
			for _, v := range parseEnvironmentFile([]byte(c.text)) {
				all = append(all, v.name+"="+v.value)
			}
			if got := strings.Join(all, "|"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseEncryption(t *testing.T) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
	got := parseEncryption("/e", []byte(head+`- resources: [secrets, configmaps]
  providers:
  - secretbox: {keys: [{name: k, secret: c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=}]}
  - kms: {apiVersion: v2, name: a, endpoint: unix:///a}
  - kms: {name: b, endpoint: unix:///b}
  - identity: {}
- resources: ["*.*"]
  providers: [{aesgcm: {keys: [{name: k2, secret: 9xJ3oWmFq1mE8rQvD5Cj2GkUe0dQpT7sLhYb4nXaVZI=}]}}]
`), &audit.Settings{})
	want := &audit.EncryptionConfig{
		Resources: []string{"secrets", "configmaps", "*.*"},
		Secrets:   []audit.Provider{"secretbox", "kms v2", "kms v1", "identity"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// With --encryption-provider-config-automatic-reload, plugins of v1 need names of their own too.
	twice := []byte(head + "- resources: [secrets]\n  providers: [{kms: {name: a, endpoint: unix:///a}}, {kms: {name: a, endpoint: unix:///b}}]\n")
	reload := &audit.Settings{Values: map[string]audit.Setting{encryptionReload: {Value: "true", Source: "flag"}}}
	if parseEncryption("/e", twice, &audit.Settings{}).Refused != nil || parseEncryption("/e", twice, reload).Refused == nil {
		t.Error("the setting for reloading makes no difference")
	}
	for name, text := range map[string]string{
		"no YAML":          "kind: [",
		"another kind":     "kind: Secret\n",
		"two providers":    head + "- resources: [secrets]\n  providers: [{identity: {}, aescbc: {keys: [{secret: c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=}]}}]\n",
		"unknown provider": head + "- resources: [secrets]\n  providers: [{'c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=': {}}]\n",
		"unknown KMS":      head + "- resources: [secrets]\n  providers: [{kms: {apiVersion: c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=}}]\n",
		"wrong type":       head + "- resources: c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=\n",
		"empty":            "",
	} {
		got := parseEncryption("/e", []byte(text), &audit.Settings{})
		if len(got.Refused) == 0 || strings.Contains(strings.Join(got.Refused, " "), "c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWithoutSecret(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"name", "a", "a"},
		{"discovery-password", "hunter2", "(left out)"},
		{"discovery-user", "root:hunter2", "root:(left out)"},
		{"discovery-user", "root", "root"},
		{"discovery-proxy", "http://user:hunter2@proxy:80/x", "http://proxy:80/x"},
		{"etcd-servers", "https://a:1,https://u:p@b:2", "https://a:1,https://b:2"},
		{"initial-cluster", "m0=https://a:1,m1=https://b:2", "m0=https://a:1,m1=https://b:2"},
		{"discovery-password", "", ""},
	} {
		if got := withoutSecret(c.name, c.value); got != c.want {
			t.Errorf("%s=%s: got %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
